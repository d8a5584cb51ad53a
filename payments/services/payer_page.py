"""What may the payer be shown, and what happens when they come back? Reached by a random token; it moves no money itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import transaction

from ledger.money import Money
from payments.errors import NotFound
from payments.jobs import ADVANCE_PAYMENT, enqueue
from payments.models import Attempt, Payment
from payments.services import declining
from payments.states import AWAITING_STATES, PAID_STATES, AttemptState, PaymentState, Waits


@dataclass(frozen=True, slots=True)
class PayerView:
    """One payment as its payer may see it. `ended`: nothing happens soon, else the page looks again. `confirm_url`: their bank."""

    money: Money
    heading: str
    words: str
    reference: str
    ended: bool
    paid: bool
    confirm_url: str
    back_url: str


def pay_address(payment: Payment) -> str:
    """Where the payer goes; empty if the payment has no page."""
    return f"{settings.PUBLIC_URL}/pay/{payment.token}/" if payment.token else ""


def return_address(payment: Payment) -> str:
    """Where a gateway sends the payer back to."""
    return f"{settings.PUBLIC_URL}/pay/{payment.token}/return" if payment.token else ""


def look_at(token: str) -> PayerView:
    """What the payer's page shows now. Raises: NotFound. Writes nothing."""
    payment = _find(token)
    attempt = payment.attempts.order_by("-number").first()
    heading, words = _words(payment, attempt)
    return PayerView(
        money=_asked(payment, attempt),
        heading=heading,
        words=words,
        reference=payment.reference,
        ended=payment.state not in _UNDER_WAY or payment.waits_for == Waits.RETRY or _is_left(payment),
        paid=payment.state in PAID_STATES or payment.state == PaymentState.AUTHORISED,
        confirm_url=attempt.action_url if attempt is not None and _may_confirm(payment, attempt) else "",
        back_url=payment.return_url,
    )


def came_back(token: str, now: datetime) -> PayerView:
    """This function will have the gateway asked soon: whatever brought the payer back proves nothing.

    Raises: NotFound. Idempotent: coming back ten times asks as often as the clock allows. Writes: the payment's clock.
    """
    payment = _find(token)
    with transaction.atomic():
        locked = Payment.objects.select_for_update().get(pk=payment.pk)
        if locked.waits_for == Waits.PAYER and locked.next_check_at is not None and locked.next_check_at > now:
            locked.next_check_at = now
            locked.save(update_fields=["next_check_at"])
            enqueue(ADVANCE_PAYMENT, locked.pk)
    view = look_at(token)
    if view.confirm_url:  # what they did there is being asked for: nobody is told to do again what they have just done
        return replace(view, heading="One moment", words="We are asking your bank what you decided.", confirm_url="")
    return view


_UNDER_WAY = AWAITING_STATES | {PaymentState.INITIATED, PaymentState.VALIDATED}


def _find(token: str) -> Payment:
    payment = Payment.objects.filter(token=token).first() if token.isprintable() and token else None
    if payment is None:
        raise NotFound("There is no payment under this address.")
    return payment


def _may_confirm(payment: Payment, attempt: Attempt) -> bool:
    """Is it still their turn? What was refused or shall be cancelled is being closed: nobody is sent to their bank for it."""
    if payment.state not in AWAITING_STATES or payment.cancel_requested_at is not None:
        return False
    return attempt.state == AttemptState.OPEN and attempt.awaits_payer and not attempt.failure_class


def _asked(payment: Payment, attempt: Attempt | None) -> Money:
    """What the payer confirms, which may be a part; else all that is due."""
    part = attempt.amount_minor if attempt is not None and _may_confirm(payment, attempt) else None
    return payment.money if part is None else Money(part, payment.currency)


def _is_left(payment: Payment) -> bool:
    """Has a part come in, and does the rest wait for a person?"""
    return payment.state == PaymentState.PARTIALLY_PAID and payment.waits_for in {Waits.MERCHANT, Waits.OPERATOR}


def _words(payment: Payment, attempt: Attempt | None) -> tuple[str, str]:
    state = PaymentState(payment.state)
    if state in PAID_STATES:
        return "Paid", "Thank you. Your payment has arrived."
    if state == PaymentState.AUTHORISED:
        return "Confirmed", "Thank you. Your bank has confirmed the payment."
    if attempt is not None and _may_confirm(payment, attempt):
        return "Please confirm", "Your bank asks you to confirm this payment."
    if payment.waits_for == Waits.RETRY and payment.next_check_at is not None:
        day = f"{payment.next_check_at:%d %B}"
        return "Not paid yet", f"It did not go through. It is tried again on {day}; you need not do anything."
    if _is_left(payment):
        return "Partly paid", "A part of it has arrived. The merchant will tell you how the rest is paid."
    if state in _UNDER_WAY:
        return "One moment", "The payment is being processed. Please do not pay again."
    if state in {PaymentState.REFUNDED, PaymentState.CHARGED_BACK}:
        return "Refunded", "The money of this payment has gone back."
    if state == PaymentState.FAILED and attempt is not None and attempt.failure_class:
        return "Not paid", declining.words_for_payer(attempt)
    return "Not paid", "This payment has ended. You have not been charged."
