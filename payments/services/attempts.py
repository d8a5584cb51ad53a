"""How does a try to collect begin, and how is one taken back that the payer could still finish? Plans calls, sends nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.models import Attempt, Payment
from payments.queries.route_words import route_words
from payments.services import declining, methods, switches
from payments.services.accounts import adapter_of
from payments.services.case import Case, nothing_open, rest_money
from payments.services.clocks import set_payment_clock
from payments.services.operations import new_reference, plan_operation
from payments.services.payer_page import return_address
from payments.services.questions import open_question
from payments.services.recording import Cause, apply_fact
from payments.services.routing import Choice, choose_route
from payments.services.snapshots import snapshot_of
from payments.states import (
    AWAITING_STATES,
    MovementKind,
    OperationKind,
    PaymentState,
    ReviewKind,
    Source,
    Waits,
)

SWITCH_SECONDS = 30  # sending is stopped, or no gateway is healthy: looked at again after this
_MOST_CLOSES = 5  # could not be closed this often: a person looks
_CLOSE_AGAIN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next outside the lock: run this operation, or ask the gateway; neither: look again under the lock."""

    operation_id: int | None = None
    ask: bool = False
    again: bool = False


def tell(case: Case, kind: FactKind, now: datetime, message: str = "") -> int | None:
    """Record a step of our own; returns the row of the causal log."""
    fact = Fact(kind, Source.SERVICE, now, message=message)
    return apply_fact(case, snapshot_of(case, fact), fact, Cause(), now).transition_id


def start_attempt(
    case: Case,
    now: datetime,
    *,
    tried: Collection[int] = (),
    repeat_on_purpose: bool = False,
    amount: Money | None = None,
) -> Step | None:
    """Route, open an attempt and plan its first operation, under the lock. The one way an attempt begins.

    `nothing_open` bars it: no second attempt while an earlier one may have taken or can still take money. `tried` are
    the accounts that are not asked again. `amount` None: all that is missing. Answers None if it waits (sending is
    stopped, nobody is healthy), or nobody can take it.
    """
    payment = case.payment
    assert payment is not None and nothing_open(case)
    if switches.stopped_charges():
        wait(case, now)
        return None
    # A later try comes without the payer, whoever began the payment.
    by = "merchant" if case.attempts else payment.initiated_by
    amount = amount or rest_money(case)
    barred = declining.ceiling_reached(payment.method, amount, now, initiated_by=by)
    choice = Choice(None, None, (barred,)) if barred else choose_route(payment, tried=tried, now=now, amount=amount)
    if choice.account is None:
        _nowhere(case, choice, now)
        return None
    return open_attempt(case, choice, now, amount, repeat_on_purpose=repeat_on_purpose or _was_taken_once(case, amount))


def _was_taken_once(case: Case, amount: Money) -> bool:
    """A gateway may take the rest for a double of an equal part: it is told that it is none."""
    took = [m for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts]
    return any(m.money == amount for m in took)


def _nowhere(case: Case, choice: Choice, now: datetime) -> None:
    """Nobody can take it. If that may change by itself it waits, as long as its window is open."""
    if choice.may_change:
        wait(case, now)
        return
    kind = FactKind.GIVEN_UP if case.payment and case.payment.state in AWAITING_STATES else FactKind.NO_ROUTE
    tell(case, kind, now, " ".join(choice.why)[:400])


def wait(case: Case, now: datetime) -> None:
    """Nothing can begin now for a reason that is not this payment's: looked at again in half a minute."""
    payment = case.payment
    assert payment is not None
    payment.waits_for, payment.next_check_at = Waits.SWITCH, now + timedelta(seconds=SWITCH_SECONDS)
    payment.save()


def open_attempt(case: Case, choice: Choice, now: datetime, amount: Money, *, repeat_on_purpose: bool = False) -> Step:
    """The attempt at the chosen account, and its first call, planned. A rest is taken at once: its part was captured."""
    payment = case.payment
    assert payment is not None and choice.account is not None and choice.credential is not None
    attempt = _attempt(case, choice, amount, now)
    why = route_words(attempt.route)
    asked = f"{choice.account.name} is asked" + ("" if amount == payment.money else f" for {amount}")
    told = tell(case, FactKind.ATTEMPT_OPENED, now, f"{asked}. {why}"[:400])
    assert told is not None
    at_once = payment.capture_mode == "automatic" or payment.state == PaymentState.PARTIALLY_PAID
    kind = OperationKind.SALE if at_once else OperationKind.AUTHORISE
    flags = {
        **methods.stored_flags(payment, choice.credential),
        "repeat_on_purpose": repeat_on_purpose,
        "return_url": return_address(payment),
    }
    operation = plan_operation(
        case,
        attempt,
        kind,
        amount,
        now=now,
        reference=attempt.reference,
        credential=choice.credential.token,
        flags=flags,
    )
    set_payment_clock(case, now)
    payment.save(update_fields=["waits_for", "next_check_at"])  # the rest stands since the attempt was opened
    return Step(operation_id=operation.pk)


def _attempt(case: Case, choice: Choice, amount: Money, now: datetime) -> Attempt:
    assert case.payment is not None and choice.account is not None
    attempt = Attempt(
        payment=case.payment,
        number=len(case.attempts) + 1,
        gateway_account=choice.account,
        reference=new_reference("cf"),
        route={"why": list(choice.why)},
        amount_minor=None if amount == case.payment.money else amount.amount_minor,
        created_at=now,
    )
    attempt.save()
    case.account = choice.account
    case.attempts.append(attempt)
    case.attempt = attempt
    return attempt


def close_attempt(case: Case, attempt: Attempt, now: datetime) -> Step | None:
    """Take away what the payer could still finish at the gateway, before anything else is done with the payment."""
    payment = case.payment
    assert payment is not None
    if OperationKind.CLOSE not in adapter_of(attempt.gateway_account).capabilities.operations:
        because = f"{attempt.gateway_account.name} can not close what the payer may still finish there."
        open_question(case, ReviewKind.CLOSE_FAILED, because, now)
        _rest(case, payment, now)
        return None
    closes = [o for o in case.operations if o.kind == OperationKind.CLOSE and o.attempt_id == attempt.pk]
    if len(closes) >= _MOST_CLOSES:
        because = f"It could not be closed at the gateway, {len(closes)} times. The payer may still finish it there."
        open_question(case, ReviewKind.CLOSE_FAILED, because, now)
        _rest(case, payment, now)
        return None
    again = timedelta(seconds=_CLOSE_AGAIN_SECONDS * len(closes))
    if closes and closes[-1].ended_at is not None and now < closes[-1].ended_at + again:
        payment.waits_for, payment.next_check_at = Waits.WORKER, closes[-1].ended_at + again
        payment.save()
        return None
    case.turn_to(attempt)
    asked = payment.money if attempt.amount_minor is None else Money(attempt.amount_minor, payment.currency)
    operation = plan_operation(case, attempt, OperationKind.CLOSE, asked, now=now)
    set_payment_clock(case, now)
    payment.save()
    return Step(operation_id=operation.pk)


def _rest(case: Case, payment: Payment, now: datetime) -> None:
    set_payment_clock(case, now)
    if payment.next_check_at is not None:
        payment.next_check_at = max(payment.next_check_at, now + timedelta(hours=1))
    payment.save()
