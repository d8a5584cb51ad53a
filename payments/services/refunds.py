"""How does money go back? Reserved under the payment's lock, then by the means the gateway allows: a void of the whole before
settlement, a refund after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction

from ledger.money import Money
from ledger.services import post_entries
from payments.accounting import Booking, entry_for, refund_reserved
from payments.decisions import Posting
from payments.errors import Conflict, InvalidInput, NotAllowedNow, NotEnough, NotFound
from payments.facts import Fact, FactKind
from payments.jobs import ADVANCE_REFUND, enqueue
from payments.models import Attempt, Payment, Refund, Review
from payments.queries.timeline import who_said
from payments.services.actors import Actor
from payments.services.calls import Clock, adapter_for
from payments.services.case import Case, captured_money, is_voided, known_money, lock_payment, total, transaction_of
from payments.services.clocks import RETRY_SECONDS
from payments.services.disputes import why_no_refund, withheld_money
from payments.services.operations import plan_operation
from payments.services.questions import open_question
from payments.services.recording import Cause, apply_fact
from payments.services.resolution import ask_about
from payments.services.sending import run_operation
from payments.services.snapshots import snapshot_of
from payments.states import (
    DEAD_REFUND_STATES,
    OPEN_OPERATION_STATES,
    PAID_STATES,
    MovementKind,
    OperationKind,
    PaymentState,
    RefundState,
    ReviewKind,
    Source,
    Waits,
)

_MOST_TRIES = 6


def refundable_money(case: Case) -> Money:
    """captured − refunds in any state but failed and cancelled (voids by hand have their refund row as well), what had gone
    back of money before a review let it count, and what disputes hold in doubt or have taken. A refund that came back and
    was kept by decision can be given again."""
    captured = captured_money(case) + _kept(case) - withheld_money(case)
    alive = sum(r.amount_minor for r in case.refunds if r.state not in DEAD_REFUND_STATES and r.review_id is None)
    before = [m for m in case.movements if m.kind == MovementKind.REFUND and m.counts and m.refund_id is None]
    return captured - Money(alive, captured.currency) - total(before, captured.currency)


def _kept(case: Case) -> Money:
    assert case.payment is not None
    kept = [m for m in case.movements if m.kind == MovementKind.REFUND_RETURN and m.counts]
    return total(kept, case.payment.currency)


def request_refund(
    payment_id: str, *, amount_minor: int, reason: str, actor: Actor, now: datetime, version: int | None = None
) -> Refund:
    """This function will reserve a sum of what was captured and start giving it back.

    Raises: NotFound, Forbidden, Conflict, InvalidInput (reason), NotAllowedNow (nothing captured), NotEnough.
    Writes: refund, journal entry (sales to refunds payable), transition.
    """
    actor.require("payments.refund_payment")
    if not reason.strip():
        raise InvalidInput("A refund needs a reason.", field="reason")
    with transaction.atomic():
        case = lock_by_public_id(payment_id, version)
        payment = case.payment
        assert payment is not None
        if PaymentState(payment.state) not in PAID_STATES:
            raise NotAllowedNow(f"The payment is {payment.state}: only captured money can be refunded.")
        barred = why_no_refund(case)
        if barred:
            raise NotAllowedNow(barred)
        left = refundable_money(case)
        if not 0 < amount_minor <= left.amount_minor:
            raise NotEnough(
                f"{Money(amount_minor, payment.currency)} asked, {left} can be refunded.", field="amount_minor"
            )
        at_once = refundable_at_once(case)
        if amount_minor > at_once.amount_minor:
            raise NotEnough(
                f"It was paid in parts: at most {at_once} of one transaction can go back at once. Ask for each apart.",
                field="amount_minor",
            )
        attempt = _captured_by(case, amount_minor)
        if attempt is None:
            raise NotAllowedNow(
                "Another payment's transaction paid this one: it is given back in the gateway's own dashboard."
            )
        return reserve(case, attempt, Money(amount_minor, payment.currency), reason=reason, actor=actor, now=now)


def _captured_by(case: Case, amount_minor: int) -> Attempt | None:
    """The attempt whose transaction took the money; None where a review brought it from elsewhere. Of several that each took
    a part, the last that still has enough."""
    took = {(m.gateway_account_id, m.gateway_id) for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts}
    brought = [a for a in reversed(case.attempts) if (a.gateway_account_id, a.gateway_id) in took]
    if len(brought) > 1:
        brought = [a for a in brought if _left_at(case, a).amount_minor >= amount_minor]
    return next(iter(brought), None)


def _left_at(case: Case, attempt: Attempt) -> Money:
    """What can still be given back of one attempt's transaction."""
    assert case.payment is not None
    took = [m for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts and m.attempt_id == attempt.pk]
    alive = [
        r for r in case.refunds if r.attempt_id == attempt.pk and r.state not in DEAD_REFUND_STATES and r.review is None
    ]
    promised = sum(refund.amount_minor for refund in alive)
    return total(took, case.payment.currency) - Money(promised, case.payment.currency)


def refundable_at_once(case: Case) -> Money:
    """What one refund can give back: all that is refundable, but of one transaction where several each brought a part."""
    left = refundable_money(case)
    took = {m.attempt_id for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts}
    if len(took) < 2:
        return left
    each = [_left_at(case, attempt) for attempt in case.attempts if attempt.pk in took]
    return min(left, max(each, key=lambda money: money.amount_minor), key=lambda money: money.amount_minor)


def lock_by_public_id(payment_id: str, version: int | None = None) -> Case:
    """The payment's case under its lock. Raises: NotFound; Conflict if it changed since `version`."""
    pk = Payment.objects.filter(public_id=payment_id).values_list("pk", flat=True).first()
    if pk is None:
        raise NotFound(f"There is no payment {payment_id}.")
    case = lock_payment(pk)
    assert case.payment is not None
    if version is not None and case.payment.version != version:
        last = case.payment.transitions.order_by("-id").first()
        who = who_said(last) if last else "a new fact"
        what, at = (last.because, last.at.isoformat()) if last else ("", "")
        detail = f"The payment changed since you looked at it. {who}: {what}".removesuffix(": ")
        raise Conflict(detail, who=who, what=what, at=at)
    return case


def reserve(
    case: Case,
    attempt: Attempt,
    money: Money,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
    review: Review | None = None,
) -> Refund:
    """Write the approved refund and move its sum to refunds payable, under the lock. From `review`: out of what it holds."""
    payment = case.payment
    assert payment is not None
    case.turn_to(attempt)
    refund = Refund(
        payment=payment,
        attempt=attempt,
        review=review,
        origin=Refund.Origin.REVIEW if review else Refund.Origin.REQUESTED,
        amount_minor=money.amount_minor,
        currency=money.currency,
        reason=reason,
        requested_by=actor.label,
        next_check_at=now,
        created_at=now,
        updated_at=now,
    )
    refund.mark_approved()
    refund.save()
    case.refunds.append(refund)
    booking = _booking(
        case, refund, "reserved", f"refund {refund.public_id} approved: {reason}", now, actor=actor.label
    )
    post_entries([refund_reserved(money, booking, from_held=review.held_on if review else "")], now=now)
    fact = Fact(
        FactKind.REFUND_ASKED,
        Source.OPERATOR if actor.user_id else Source.API,
        now,
        money=money,
        message=f"{money} shall go back: {reason}",
    )
    apply_fact(case, snapshot_of(case, fact), fact, Cause(actor=actor.label, user_id=actor.user_id), now)
    enqueue(ADVANCE_REFUND, refund.pk)
    return refund


def advance_refund(refund_id: int, clock: Clock) -> None:
    """This function will take a refund as far as it goes now: choose the means, plan, send; or wait for settlement.

    Idempotent: the lock and the one open operation an attempt allow one call at a time.
    """
    refund = Refund.objects.select_related("attempt", "review").get(pk=refund_id)
    if refund.state not in {RefundState.APPROVED, RefundState.WAITING}:
        return
    if not _is_settled(refund):
        ask_about(refund.payment_id, clock)  # what settled meanwhile decides the means
    operation_id = _plan(refund_id, clock())
    if operation_id is not None:
        run_operation(operation_id, clock)


def _is_settled(refund: Refund) -> bool:
    target = (refund.review.gateway_id if refund.review else "") or refund.attempt.gateway_id
    captures = refund.attempt.movements.filter(kind=MovementKind.CAPTURE, gateway_id=target)
    return captures.exists() and not captures.filter(settled_at=None).exists()


def _plan(refund_id: int, now: datetime) -> int | None:
    with transaction.atomic(durable=True):
        payment_id = Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id)
        case = lock_payment(payment_id)
        refund = next(r for r in case.refunds if r.pk == refund_id)
        attempt = next(a for a in case.attempts if a.pk == refund.attempt_id)
        case.turn_to(attempt)
        if refund.state not in {RefundState.APPROVED, RefundState.WAITING}:
            return None
        if any(o.state in OPEN_OPERATION_STATES and o.attempt_id == attempt.pk for o in case.operations):
            _wait(refund, "another call about this payment is open", now + timedelta(seconds=RETRY_SECONDS), now)
            return None
        barred = why_no_refund(case)
        if barred:
            _wait(refund, "a dispute over the payment is open", now + timedelta(hours=1), now)
            open_question(case, ReviewKind.REFUND_OVERDUE, f"Refund {refund.public_id} waits. {barred}", now)
            return None
        if _charged_back(case, refund):
            _free(case, refund, now)
            return None
        means = _means(case, refund, attempt)
        if means is None:
            _wait_for_settlement(case, refund, now)
            return None
        if _tried_enough(case, refund, now):
            return None
        refund.mark_sent()
        refund.waits_for, refund.next_check_at, refund.updated_at = Waits.GATEWAY, None, now
        refund.save()
        target = transaction_of(refund, attempt, case)
        return plan_operation(case, attempt, means, refund.money, now=now, refund=refund, gateway_id=target).pk


def _charged_back(case: Case, refund: Refund) -> bool:
    """Has a dispute meanwhile given the payer what this refund was to give? Then it would be paid twice."""
    taken = withheld_money(case).is_positive
    return refund.review_id is None and taken and refundable_money(case).amount_minor < 0


def _free(case: Case, refund: Refund, now: datetime) -> None:
    """The refund ends unsent: what was reserved is sales again, out of which the dispute took it, and a person hears of it."""
    refund.mark_failed()
    refund.waits_for, refund.waits_because, refund.next_check_at, refund.updated_at = Waits.NOTHING, "", None, now
    refund.save()
    booking = _booking(case, refund, "freed", f"refund {refund.public_id} not sent: charged back", now)
    draft = entry_for(Posting.REFUND_FREED, refund.money, replace(booking, held_on=""))
    assert draft is not None
    post_entries([draft], now=now)
    because = f"Refund {refund.public_id} of {refund.money} was not sent: a dispute has taken the money meanwhile."
    fact = Fact(FactKind.REVIEW_OPENED, Source.SERVICE, now, money=refund.money, message=because)
    apply_fact(case, snapshot_of(case, fact), fact, Cause(), now)
    open_question(case, ReviewKind.REFUND_FAILED, because, now)


def _booking(case: Case, refund: Refund, step: str, description: str, now: datetime, actor: str = "") -> Booking:
    assert case.payment is not None
    return Booking(
        source_key=f"refund:{refund.public_id}:{step}",
        subject=case.payment.public_id,
        description=description[:200],
        occurred_at=now,
        gateway=case.account.slug,
        match_key=case.payment.public_id,
        actor=actor,
    )


def _tried_enough(case: Case, refund: Refund, now: datetime) -> bool:
    """It provably did not get through several times: a person hears of it, and it is tried again every hour."""
    ended = [o.ended_at for o in case.operations if o.refund_id == refund.pk and o.ended_at is not None]
    if len(ended) < _MOST_TRIES:
        return False
    again_at = max(ended) + timedelta(hours=1)
    because = f"Refund {refund.public_id} of {refund.money} did not get through {len(ended)} times."
    open_question(case, ReviewKind.REFUND_OVERDUE, because, now)
    if now >= again_at:
        return False
    _wait(refund, f"it did not get through {len(ended)} times", again_at, now)
    return True


def _means(case: Case, refund: Refund, attempt: Attempt) -> OperationKind | None:
    """NMI: a refund only after settlement; before it a void, and only of the whole. None: wait for the batch."""
    target = transaction_of(refund, attempt, case)
    captures = case.of_transaction(target, MovementKind.CAPTURE)
    if is_voided(case, target):
        return OperationKind.REFUND  # never sent: `run_operation` sees that nothing is left
    if adapter_for(case.account).capabilities.refund_before_settlement or all(m.settled_at for m in captures):
        return OperationKind.REFUND
    taken = known_money(case, target, MovementKind.CAPTURE)
    gone = total(
        (m for m in case.movements if m.attempt_id == attempt.pk and m.kind == MovementKind.REFUND), refund.currency
    )
    if taken == refund.money and gone.is_zero:
        return OperationKind.VOID
    return None


def means_words(review: Review) -> str:
    """How the money of a case would go back now, concretely: "Void at NMI of transaction 81…: not settled yet."

    Empty where no attempt of ours made it. Read without a lock, for people to look at; `advance_refund` decides anew.
    """
    payment, attempt, money = review.payment, review.attempt, review.held
    if payment is None or attempt is None or money is None or not money.is_positive:
        return ""
    case = Case(review.gateway_account, payment, attempt, movements=list(payment.movements.order_by("id")))
    refund = Refund(
        payment=payment, attempt=attempt, review=review, amount_minor=money.amount_minor, currency=money.currency
    )
    where = f"{case.account.name} of transaction {transaction_of(refund, attempt, case)}"
    if is_voided(case, transaction_of(refund, attempt, case)):
        return f"Nothing is left to give back at {where}: it was voided."
    means = _means(case, refund, attempt)
    if means == OperationKind.VOID:
        return f"Void at {where}, {money}: it is not settled yet."
    if means == OperationKind.REFUND:
        return f"Refund at {where}, {money}."
    return f"Refund at {where}, {money}, once it stands in a settled batch: a part can not be voided."


def _wait(refund: Refund, because: str, until: datetime, now: datetime) -> None:
    if refund.state != RefundState.WAITING:
        refund.mark_waiting()
    refund.waits_for, refund.waits_because, refund.next_check_at, refund.updated_at = Waits.WORKER, because, until, now
    refund.save()


def _wait_for_settlement(case: Case, refund: Refund, now: datetime) -> None:
    """Until the next batch; past the account's patience a case opens and the refund goes on waiting."""
    if refund.waits_until is None:
        refund.waits_until = now + timedelta(seconds=case.account.settlement_wait_seconds)
    _wait(
        refund, "a part can be given back only after the gateway's next settlement batch", now + timedelta(hours=1), now
    )
    refund.waits_for = Waits.SETTLEMENT
    refund.save()
    if now >= refund.waits_until:
        because = f"Refund {refund.public_id} of {refund.money} still waits for settlement."
        open_question(case, ReviewKind.REFUND_OVERDUE, because, now)
