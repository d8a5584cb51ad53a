"""What can a merchant or an operator ask of a payment? Capture and cancel: guarded under the lock, planned, then sent outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.money import Money
from payments.errors import InvalidInput, NotAllowedNow, NotEnough, NotFound
from payments.facts import Fact, FactKind
from payments.jobs import ADVANCE_PAYMENT, enqueue
from payments.models import Payment
from payments.services.actors import Actor
from payments.services.calls import adapter_for
from payments.services.case import Case, held_hold, lock_payment, nothing_open, part_money
from payments.services.clocks import set_payment_clock
from payments.services.disputes import why_no_refund
from payments.services.operations import plan_operation
from payments.services.recording import Cause, apply_fact
from payments.services.refunds import lock_by_public_id, refundable_at_once, refundable_money
from payments.services.snapshots import snapshot_of
from payments.states import AWAITING_STATES, OPEN_OPERATION_STATES, PAID_STATES, OperationKind, PaymentState, Source


@dataclass(frozen=True, slots=True)
class Preview:
    """What a command would do, said before it is done. `refused` names why it can not be done now; empty: it can."""

    title: str
    lines: tuple[str, ...]
    refused: str = ""
    most_minor: int = 0


def capture_payment(
    payment_id: str,
    *,
    amount_minor: int | None,
    final: bool,
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> Payment:
    """This function will plan a capture of a held amount; None captures all that is held.

    Raises: NotFound, Forbidden, Conflict, NotAllowedNow, NotEnough (more than is held), InvalidInput (`final`).
    Writes: operation, transition. Idempotent on nothing by itself: one open operation an attempt lets it happen once.
    """
    actor.require("payments.capture_payment")
    with transaction.atomic():
        case = lock_by_public_id(payment_id, version)
        payment, attempt = case.payment, case.current_attempt
        assert payment is not None
        refusal = _capture_refusal(case)
        if refusal:
            raise NotAllowedNow(refusal)
        assert attempt is not None
        hold = _capturable(case)
        money = hold if amount_minor is None else Money(amount_minor, hold.currency)
        if not 0 < money.amount_minor <= hold.amount_minor:
            raise NotEnough(f"{money} asked, {hold} is held.", field="amount_minor")
        if not final and money != hold and not adapter_for(case.account).capabilities.multi_capture:
            raise InvalidInput(
                f"{case.account.name} captures once and releases the rest: a part needs final = true.", field="final"
            )
        final = final or money == hold  # nothing would be left to capture
        _told(case, FactKind.CAPTURE_ASKED, f"{money} of the hold shall be captured.", actor, now)
        plan_operation(case, attempt, OperationKind.CAPTURE, money, now=now, final=final, requested_by=actor.label)
        set_payment_clock(case, now)
        payment.save()
        enqueue(ADVANCE_PAYMENT, payment.pk)
        return payment


def _capture_refusal(case: Case) -> str:
    payment = case.payment
    assert payment is not None
    if payment.state != PaymentState.AUTHORISED:
        return f"The payment is {payment.state}: only an authorised one can be captured."
    if payment.cancel_requested_at is not None:
        return "Cancelling has been asked: the hold is being released."
    if any(o.state in OPEN_OPERATION_STATES for o in case.operations):
        return "Another call about this payment is open; its end is awaited first."
    return ""


def _capturable(case: Case) -> Money:
    assert case.payment is not None and case.current_attempt is not None
    hold = held_hold(case, case.current_attempt.gateway_id) or case.payment.money
    return min(hold, case.payment.money, key=lambda money: money.amount_minor)


def cancel_payment(payment_id: str, *, actor: Actor, now: datetime, version: int | None = None) -> Payment:
    """This function will cancel at once where nothing was sent, else as soon as the gateway has let go.

    Raises: NotFound, Forbidden, Conflict, NotAllowedNow (money was taken: refund it; or it has ended).
    Writes: payment, transition. Idempotent: asking again changes nothing.
    """
    actor.require("payments.cancel_payment")
    with transaction.atomic():
        case = lock_by_public_id(payment_id, version)
        payment = case.payment
        assert payment is not None
        refusal = _cancel_refusal(payment)
        if refusal:
            raise NotAllowedNow(refusal)
        if payment.cancel_requested_at is None:
            _told(case, FactKind.CANCEL_ASKED, "Cancelling was asked.", actor, now)
        return payment


def _cancel_refusal(payment: Payment) -> str:
    state = PaymentState(payment.state)
    if state in PAID_STATES:
        return f"The payment is {state}: its money can be refunded, not cancelled."
    if state in {PaymentState.INITIATED, PaymentState.VALIDATED, PaymentState.AUTHORISED, *AWAITING_STATES}:
        return ""
    return f"The payment is {state}: there is nothing to cancel."


def _told(case: Case, kind: FactKind, message: str, actor: Actor, now: datetime) -> None:
    fact = Fact(kind, Source.OPERATOR if actor.user_id else Source.API, now, message=message)
    apply_fact(case, snapshot_of(case, fact), fact, Cause(actor=actor.label, user_id=actor.user_id), now)


# --- previews ---------------------------------------------------------------------------------------------------------


def _read(payment_id: str) -> Case:
    pk = Payment.objects.filter(public_id=payment_id).values_list("pk", flat=True).first()
    if pk is None:
        raise NotFound(f"There is no payment {payment_id}.")
    with transaction.atomic():
        return lock_payment(pk)


def preview_capture(payment_id: str) -> Preview:
    """What a capture would do now; writes nothing."""
    case = _read(payment_id)
    refusal = _capture_refusal(case)
    if refusal:
        return Preview("Capture", (), refusal)
    hold = _capturable(case)
    once = "" if adapter_for(case.account).capabilities.multi_capture else " What is not captured is released."
    return Preview(
        "Capture",
        (
            f"{case.account.name} is asked to take up to {hold} of the hold.{once}",
            "When it confirms: the payment is captured, debit gateway receivable, credit sales.",
        ),
        most_minor=hold.amount_minor,
    )


def preview_cancel(payment_id: str) -> Preview:
    """What cancelling would do now; writes nothing."""
    case = _read(payment_id)
    payment = case.payment
    assert payment is not None
    refusal = _cancel_refusal(payment)
    if refusal:
        return Preview("Cancel", (), refusal)
    if payment.state == PaymentState.PARTIALLY_PAID:
        return Preview("Cancel", _cancel_part_lines(case))
    if payment.state == PaymentState.AUTHORISED:
        line = f"{case.account.name} is asked to void the hold; the payment is cancelled when that is proven."
    elif payment.state == PaymentState.PENDING:
        line = (
            "A call is open: the payment is cancelled once it is proven that nothing was taken, or the hold is voided."
        )
    else:
        line = "Nothing was sent yet: the payment is cancelled at once."
    return Preview("Cancel", (line, "Money already taken is not cancelled: it would have to be refunded."))


def _cancel_part_lines(case: Case) -> tuple[str, ...]:
    part = part_money(case)
    wait = () if nothing_open(case) else ("The rest is being collected: that is followed to its end first.",)
    return (
        *wait,
        f"{part} that have come in are owed back: debit partial payments held, credit refunds payable.",
        "A refund is prepared and a case opened: it goes out when a person says so.",
    )


def preview_refund(payment_id: str) -> Preview:
    """What can be refunded now and how; writes nothing."""
    case = _read(payment_id)
    payment = case.payment
    assert payment is not None
    if PaymentState(payment.state) not in PAID_STATES:
        return Preview("Refund", (), f"The payment is {payment.state}: only captured money can be refunded.")
    barred = why_no_refund(case)
    if barred:
        return Preview("Refund", (), barred)
    left = refundable_money(case)
    if not left.is_positive:
        return Preview("Refund", (), "Everything captured has been refunded, is on its way back, or was charged back.")
    at_once = refundable_at_once(case)
    parts = (f"It was paid in parts: one refund gives back at most {at_once}, of one transaction.",)
    return Preview(
        "Refund",
        (
            f"Up to {left} can go back.",
            *(parts if at_once < left else ()),
            "At once: debit sales, credit refunds payable. When the gateway confirms: debit refunds payable, credit"
            " gateway receivable.",
            "Before the gateway's settlement batch the whole is voided; a part waits for the batch.",
        ),
        most_minor=at_once.amount_minor,
    )
