"""What does each decision of a review do? One small function a decision, inside the deciding transaction and under the payment's
lock. Whether it is allowed was asked before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import OperationalError

from ledger.money import Money
from ledger.services import post_entries
from payments.accounting import Booking, held_adopted, held_applied, held_to_wallet
from payments.errors import Conflict, InvalidInput, NotAllowedNow
from payments.facts import Fact, FactKind
from payments.jobs import ADVANCE_REFUND, enqueue
from payments.models import Attempt, GatewayAccount, Movement, Payment, Review
from payments.services.actors import Actor
from payments.services.attempts import start_attempt
from payments.services.case import Case, held_hold, hold_alive, lock_payment, nothing_open, part_money
from payments.services.clocks import set_payment_clock
from payments.services.dispositions import Choice
from payments.services.moves import drop_retries
from payments.services.operations import plan_operation
from payments.services.parts import let_refunds_go
from payments.services.recording import Cause, apply_fact
from payments.services.refunds import reserve
from payments.services.snapshots import snapshot_of
from payments.states import (
    AWAITING_STATES,
    OPEN_ATTEMPT_STATES,
    OPEN_OPERATION_STATES,
    PAID_STATES,
    Certainty,
    FailureClass,
    MovementKind,
    OperationKind,
    OperationState,
    PaymentState,
    ReviewKind,
    Source,
)


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision on its way through its transaction."""

    case: Case | None
    review: Review
    choice: Choice
    reason: str
    note: str
    actor: Actor
    now: datetime
    target_payment: str
    until: datetime | None

    @property
    def source_key(self) -> str:
        return f"review:{self.review.public_id}:{self.review.version}:{self.choice.code}"


def _booking(d: Decided, subject: str) -> Booking:
    payment = d.case.payment if d.case else None
    return Booking(
        source_key=d.source_key,
        subject=subject,
        description=f"review {d.review.public_id}: {d.choice.label}"[:200],
        occurred_at=d.now,
        gateway=_gateway(d.review).slug,
        match_key=subject,
        actor=d.actor.label,
        held_on=d.review.held_on,
        partly=payment is not None and payment.state == PaymentState.PARTIALLY_PAID,
        earlier=part_money(d.case) if d.case and payment is not None and payment.accept_partial else None,
    )


def _gateway(review: Review) -> GatewayAccount:
    return GatewayAccount.objects.get(pk=review.gateway_account_id)


def _held(review: Review) -> Money:
    assert review.held is not None
    return review.held


def _apply_here(d: Decided) -> None:
    """The money pays this payment after all: it counts, and the payment is captured; or it is a part, and the rest is missing."""
    assert d.case is not None and d.case.payment is not None
    payment, state = d.case.payment, PaymentState(d.case.payment.state)
    as_part = _is_part(d)
    post_entries([held_applied(_held(d.review), _booking(d, payment.public_id), as_part=as_part)], now=d.now)
    _count_money(d.review, payment, d.review.attempt)
    if state in PAID_STATES or (as_part and state == PaymentState.PARTIALLY_PAID):
        return
    _let_go(d)
    payment.late_success = payment.late_success or state != PaymentState.PARTIALLY_PAID
    _move(payment, payment.mark_partially_paid if as_part else payment.mark_captured, d.now)


def _is_part(d: Decided) -> bool:
    """Is it less than due with what stands already, for a payment that takes parts and has not been given up?"""
    assert d.case is not None and d.case.payment is not None
    payment = d.case.payment
    waits = payment.state in AWAITING_STATES | {PaymentState.AUTHORISED, PaymentState.FAILED}
    return payment.accept_partial and waits and part_money(d.case) + _held(d.review) < payment.money


def _move(payment: Payment, move: Callable[[], None], now: datetime) -> None:
    """Nothing is tried again by itself after such a decision."""
    move()
    payment.updated_at = now
    payment.save()
    drop_retries(payment, now)


def _let_go(d: Decided) -> None:
    """The payment is paid by other money: a hold that still lives at the gateway is voided."""
    assert d.case is not None
    attempt = d.case.current_attempt
    hold = held_hold(d.case, attempt.gateway_id) if attempt else None
    if attempt is None or hold is None or hold.is_zero:
        return
    _refuse_second_call(d.case, attempt)
    plan_operation(d.case, attempt, OperationKind.VOID, hold, now=d.now, requested_by=d.actor.label)


def _refuse_second_call(case: Case, attempt: Attempt) -> None:
    if any(o.attempt_id == attempt.pk and o.state in OPEN_OPERATION_STATES for o in case.operations):
        raise NotAllowedNow("Another call about this payment is open; its end is awaited first.")


def _apply_to_other(d: Decided) -> None:
    """The money pays another payment, which must be waiting for exactly that: unpaid, same currency and amount."""
    target = _lock_target(d)
    if d.case is not None:
        _end_unpaid(d)
    post_entries([held_applied(_held(d.review), _booking(d, target.public_id))], now=d.now)
    _count_money(d.review, target, None)
    case = lock_payment(target.pk)
    fact = Fact(
        FactKind.REVIEW_DECIDED,
        Source.OPERATOR,
        d.now,
        money=d.review.held,
        message=f"{d.review.held} of review {d.review.public_id} pays this payment. {d.note}"[:400],
    )
    cause = Cause(actor=d.actor.label, user_id=d.actor.user_id)
    apply_fact(case, snapshot_of(case, fact), fact, cause, d.now)
    assert case.payment is not None
    _move(case.payment, case.payment.mark_captured, d.now)
    set_payment_clock(case, d.now)
    case.payment.save()


def _lock_target(d: Decided) -> Payment:
    """Locked by number order with the review's own payment already held: the target is never an older row under a lock."""
    target = Payment.objects.filter(public_id=d.target_payment).first()
    if target is None:
        raise InvalidInput(f"There is no payment {d.target_payment!r}.", field="target_payment")
    if target.pk == d.review.payment_id:
        raise InvalidInput("That is the payment of this case: choose to apply it here.", field="target_payment")
    try:
        target = Payment.objects.select_for_update(nowait=True).get(pk=target.pk)
    except OperationalError as error:
        raise Conflict(f"{target.public_id} is being worked on right now. Try again in a moment.") from error
    if target.state not in {PaymentState.FAILED, PaymentState.EXPIRED} or target.money != d.review.held:
        raise InvalidInput(
            f"{target.public_id} is {target.state} over {target.money}: it must be failed or expired over {d.review.held}.",
            field="target_payment",
        )
    return target


def _count_money(review: Review, payment: Payment, attempt: Attempt | None) -> None:
    """The movements that the review held become part of the payment's amounts, with what went back of them already."""
    ours = {"gateway_account_id": review.gateway_account_id, "counts": False, "currency": review.currency}
    took = Movement.objects.filter(gateway_id=review.gateway_id, kind=MovementKind.CAPTURE, **ours)
    exact = took.filter(amount_minor=review.held_minor).order_by("pk").values_list("pk", flat=True)[:1]
    if exact:
        took = took.filter(pk=exact[0])
    elif review.attempt_id is not None:
        back = Movement.objects.filter(kind=MovementKind.REFUND, attempt_id=review.attempt_id, refund=None, **ours)
        back.update(counts=True, payment=payment)
    took.update(counts=True, payment=payment, **({"attempt": attempt} if attempt else {}))


def _refund(d: Decided) -> None:
    """The money goes back to the payer; the adapter picks void or refund."""
    assert d.case is not None and d.review.attempt_id is not None
    attempt = next(a for a in d.case.attempts if a.pk == d.review.attempt_id)
    d.case.attempt, d.case.account = attempt, _gateway(d.review)
    _end_unpaid(d)
    reserve(
        d.case,
        attempt,
        _held(d.review),
        reason=f"{d.reason}: {d.note}"[:200],
        actor=d.actor,
        now=d.now,
        review=d.review,
    )


def _end_unpaid(d: Decided) -> None:
    """The money that should have paid goes elsewhere: a payment that waited for it fails."""
    assert d.case is not None and d.case.payment is not None
    waits_for_it = d.case.payment.state in {PaymentState.PENDING, PaymentState.AUTHORISED}
    if waits_for_it and not hold_alive(d.case) and not _another_is_open(d):
        _move(d.case.payment, d.case.payment.mark_failed, d.now)


def _another_is_open(d: Decided) -> bool:
    """May another attempt still pay it?"""
    assert d.case is not None
    others = [a for a in d.case.attempts if a.pk != d.review.attempt_id]
    return any(a.state in OPEN_ATTEMPT_STATES for a in others) or any(
        o.state in OPEN_OPERATION_STATES and o.attempt_id != d.review.attempt_id for o in d.case.operations
    )


def _adopt(d: Decided) -> None:
    """The gateway's amount stands: what it sent beyond our books comes out of sales, or out of the part that is held."""
    payment = d.case.payment if d.case else None
    booking = _booking(d, payment.public_id if payment else d.review.public_id)
    if d.review.kind == ReviewKind.REFUND_BEYOND_CAP:  # it changes no amount of the payment
        booking = replace(booking, partly=False)
    post_entries([held_adopted(-_held(d.review), booking)], now=d.now)
    if booking.partly and booking.earlier and payment and not (booking.earlier + _held(d.review)).is_positive:
        _move(payment, payment.mark_pending, d.now)
    if d.review.kind == ReviewKind.REFUND_RETURNED:
        _keep_returned(d)
        return
    Movement.objects.filter(  # a capture restated to less: the difference is part of the payment's amounts now
        gateway_account_id=d.review.gateway_account_id,
        gateway_id=d.review.gateway_id,
        kind=MovementKind.CAPTURE,
        amount_minor=d.review.held_minor,
    ).update(counts=True)


def _keep_returned(d: Decided) -> None:
    """A refund that came back is kept: the payment has that much again."""
    assert d.case is not None and d.case.payment is not None
    back = d.case.payment.movements.filter(
        kind=MovementKind.REFUND_RETURN, amount_minor=d.review.held_minor, counts=False, posted_at=d.review.opened_at
    )
    Movement.objects.filter(pk__in=back.order_by("pk").values_list("pk", flat=True)[:1]).update(counts=True)


def _accept_dispute(d: Decided) -> None:
    """We do not argue. Nothing is sent: the person accepts it in the gateway's dashboard."""
    assert d.review.dispute is not None
    d.review.dispute.accepted_at = d.now
    d.review.dispute.save(update_fields=["accepted_at"])


def _wallet(d: Decided) -> None:
    """The money becomes the payer's balance with us."""
    assert d.case is not None and d.case.payment is not None and d.case.payment.payer is not None
    customer = d.case.payment.payer.fingerprint
    _end_unpaid(d)
    draft = held_to_wallet(_held(d.review), _booking(d, d.case.payment.public_id), customer=customer)
    post_entries([draft], now=d.now)


def _void_hold(d: Decided) -> None:
    """Let a hold go that nobody needs."""
    assert d.case is not None and d.review.attempt_id is not None
    attempt = next(a for a in d.case.attempts if a.pk == d.review.attempt_id)
    holds = d.case.of_transaction(d.review.gateway_id, MovementKind.AUTHORISATION)
    money = next((m.money for m in holds if m.released_at is None), None)
    if money is None:
        raise NotAllowedNow("Nothing is held any more.")
    _refuse_second_call(d.case, attempt)
    plan_operation(
        d.case,
        attempt,
        OperationKind.VOID,
        money,
        now=d.now,
        requested_by=d.actor.label,
        gateway_id=d.review.gateway_id,
    )


def _send_again(d: Decided) -> None:
    """A new attempt that the gateway shall not take for a duplicate."""
    assert d.case is not None
    if not nothing_open(d.case):
        raise NotAllowedNow("An attempt has taken money, or may still: nothing is sent again.")
    start_attempt(d.case, d.now, repeat_on_purpose=True)


def _give_up(d: Decided) -> None:
    """Nothing was taken: the payment fails."""
    assert d.case is not None and d.case.payment is not None
    _move(d.case.payment, d.case.payment.mark_failed, d.now)


def _give_back(d: Decided) -> None:
    """The refunds of a part whose rest never came are sent; each goes its own way from here."""
    assert d.case is not None
    for refund in let_refunds_go(d.case, d.now):
        enqueue(ADVANCE_REFUND, refund.pk)


def _absent(d: Decided) -> None:
    """The person vouches, with note and evidence, that the call never happened."""
    assert d.case is not None
    operation = next(o for o in d.case.operations if o.pk == d.review.operation_id)
    if operation.state != OperationState.UNKNOWN:
        raise Conflict(f"The operation has {operation.state} meanwhile.")
    d.case.operation = operation
    fact = Fact(
        FactKind.ABSENT,
        Source.OPERATOR,
        d.now,
        certainty=Certainty.NOT_SENT,
        failure_class=FailureClass.UNKNOWN,
        message=f"{d.actor.label} vouches that it never happened",
    )
    cause = Cause(actor=d.actor.label, user_id=d.actor.user_id, operation_id=operation.pk)
    apply_fact(d.case, snapshot_of(d.case, fact), fact, cause, d.now)


def _noted(_d: Decided) -> None:
    """Seen, nothing to do."""


EFFECTS: dict[str, Callable[[Decided], None]] = {
    "apply_here": _apply_here,
    "apply_to_other": _apply_to_other,
    "refund": _refund,
    "wallet": _wallet,
    "adopt": _adopt,
    "void_hold": _void_hold,
    "send_again": _send_again,
    "give_up": _give_up,
    "give_back": _give_back,
    "never_happened": _absent,
    "contest": _noted,
    "accept_dispute": _accept_dispute,
    "noted": _noted,
}
