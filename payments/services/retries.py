"""When is a declined payment tried again? Retries are rows with a due time; people see, hasten and cancel them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from payments.declines import NextStep
from payments.errors import InvalidInput, NotAllowedNow, NotFound
from payments.facts import Fact, FactKind
from payments.jobs import ADVANCE_PAYMENT, enqueue
from payments.models import Attempt, GatewayAccount, Operation, Payment, Retry
from payments.queries.page_rows import PaymentRows
from payments.queries.route_words import route_words
from payments.services import declining, methods, switches
from payments.services.actors import Actor
from payments.services.attempts import Step, start_attempt
from payments.services.case import Case, lock_payment, nothing_open, rest_money
from payments.services.clocks import set_payment_clock
from payments.services.intake import lock_reference
from payments.services.recording import Cause, apply_fact
from payments.services.refunds import lock_by_public_id
from payments.services.routing import choose_route
from payments.services.snapshots import snapshot_of
from payments.states import (
    AWAITING_STATES,
    COLLECTING,
    OPEN_OR_PAID_STATES,
    AttemptState,
    PaymentState,
    RetryState,
    Source,
    Waits,
)

RIGHT = "payments.retry_payment"
# A refusal with one of these as its first advice is not put to the same card again, by nobody.
_NO_MORE = frozenset({NextStep.NEVER_AGAIN, NextStep.LOOK_UP})


def waiting_retry(payment: Payment) -> Retry | None:
    """The retry that is planned for the payment, if one is."""
    return payment.retries.filter(state=RetryState.WAITING).first()


def plan_retry(case: Case, attempt: Attempt, due: datetime, because: str, now: datetime) -> Retry:
    """Write the retry that follows an attempt, under the payment's lock. Idempotent on: the attempt."""
    payment = case.payment
    assert payment is not None
    retry, made = Retry.objects.get_or_create(
        after=attempt,
        defaults={
            "payment": payment,
            "number": payment.retries.count() + 1,
            "due_at": due,
            "because": because[:300],
            "planned_at": now,
        },
    )
    if made:
        _tell(case, FactKind.RETRY_PLANNED, f"Tried again at {due:%d %b %H:%M} UTC: {because}", None, now)
    set_payment_clock(case, now)
    payment.save()
    return retry


def begin_retry(case: Case, retry: Retry, now: datetime) -> Step | None:
    """Its time has come: a new round over all gateways. What the networks forbid by now is refused inside."""
    retry.state, retry.ended_at = RetryState.DONE, now
    retry.save(update_fields=["state", "ended_at"])
    step = start_attempt(case, now)
    if step is None and case.payment is not None and _stays_planned(case.payment):
        # Nothing may begin now (sending is stopped, nobody is healthy): it stays planned.
        retry.state, retry.ended_at = RetryState.WAITING, None
        retry.save(update_fields=["state", "ended_at"])
    return step


def _stays_planned(payment: Payment) -> bool:
    """A rest that nobody can take now ends no payment: then only a stop keeps the retry."""
    return payment.state == PaymentState.PENDING or (
        payment.state == PaymentState.PARTIALLY_PAID and payment.waits_for == Waits.SWITCH
    )


def cancel_retry(public_id: str, *, because: str, actor: Actor, now: datetime) -> Payment:
    """This function will take a planned retry back: the payment has then failed for good; of a part, the rest is left open.

    Raises: NotFound, Forbidden, InvalidInput (`because`), NotAllowedNow if it has run. Idempotent: once cancelled, again is
    nothing. Writes: the retry, transitions, the payment.
    """
    actor.require(RIGHT)
    if not because.strip():
        raise InvalidInput("Say why it shall not be tried again.", field="because")
    payment_id = Retry.objects.filter(public_id=public_id).values_list("payment_id", flat=True).first()
    if payment_id is None:
        raise NotFound(f"There is no retry {public_id}.")
    with transaction.atomic():
        case = lock_payment(payment_id)
        assert case.payment is not None
        retry = Retry.objects.get(public_id=public_id)
        if retry.state == RetryState.CANCELLED:
            return case.payment
        if retry.state == RetryState.DONE:
            raise NotAllowedNow("This retry has already been made.")
        retry.state, retry.ended_at = RetryState.CANCELLED, now
        retry.ended_by, retry.ended_because = actor.label, because.strip()[:300]
        retry.save()
        _tell(case, FactKind.RETRY_CANCELLED, f"The planned retry was cancelled: {because.strip()}"[:400], actor, now)
        _tell(case, FactKind.GIVEN_UP, "No further try is planned.", actor, now)
        return case.payment


def retry_now(payment_id: str, *, actor: Actor, now: datetime, version: int | None = None) -> Payment:
    """This function will try a declined payment again now: a planned retry early, a failed payment anew, or a missing rest.

    Raises: NotFound, Forbidden, Conflict, NotAllowedNow with the reason (something is open, the networks or the issuer
    forbid it, no usable credential). Writes: attempt, operation, retry, transitions. Idempotent on nothing by itself: an
    open attempt bars a second one.
    """
    actor.require(RIGHT)
    reference = Payment.objects.filter(public_id=payment_id).values_list("reference", flat=True).first()
    with transaction.atomic():
        lock_reference(reference or "")  # a new payment of the same order waits, and then sees this one
        case = lock_by_public_id(payment_id, version)
        payment = case.payment
        assert payment is not None
        refusal = why_not_again(case, now)
        if refusal:
            raise NotAllowedNow(refusal)
        payment.expires_at = max(payment.expires_at, now + timedelta(seconds=case.account.expiry_seconds))
        retry = waiting_retry(payment)
        step = begin_retry(case, retry, now) if retry else start_attempt(case, now)
        if step is None:
            raise NotAllowedNow("Nothing can be begun now: sending is stopped or no gateway is healthy.")
        enqueue(ADVANCE_PAYMENT, payment.pk)
        return payment


def preview_retry(payment_id: str, now: datetime) -> tuple[str, tuple[str, ...]]:
    """Why it can not be tried again now (empty: it can), and what trying would do. Writes nothing. Raises: NotFound."""
    pk = Payment.objects.filter(public_id=payment_id).values_list("pk", flat=True).first()
    if pk is None:
        raise NotFound(f"There is no payment {payment_id}.")
    with transaction.atomic():
        case = lock_payment(pk)
    refusal = why_not_again(case, now)
    if refusal:
        return refusal, ()
    assert case.payment is not None
    amount = rest_money(case)
    choice = choose_route(case.payment, now=now, peek=True, amount=amount)
    assert choice.account is not None
    told = [f"{choice.account.name} is asked for {amount}: {route_words({'why': choice.why})}"]
    retry = waiting_retry(case.payment)
    if retry is not None:
        told.append(f"The retry planned for {retry.due_at:%d %b %H:%M} UTC is made now instead.")
    told.append("If it is refused again, what follows is decided as after any refusal.")
    return "", tuple(told)


def preview_cancel_retry(payment_id: str) -> tuple[str, Retry | None]:
    """Why no retry can be cancelled (empty: one can), and which. Writes nothing."""
    retry = Retry.objects.filter(payment__public_id=payment_id, state=RetryState.WAITING).first()
    return ("" if retry is not None else "No retry is planned."), retry


def refusal_of(rows: PaymentRows, now: datetime) -> str:
    """Why it can not be tried again, from rows a page has read without a lock; empty: it can. Writes nothing."""
    case = Case(
        account=rows.account or GatewayAccount(),
        payment=rows.payment,
        attempt=rows.attempt,
        attempts=rows.attempts,
        operations=rows.operations,
        movements=rows.movements,
        refunds=rows.refunds,
        reviews=rows.open_reviews,
    )
    return why_not_again(case, now)


def why_not_again(case: Case, now: datetime) -> str:
    """Why this payment can not be tried again; empty: it can. Unknown outcomes are never tried again. Writes nothing."""
    payment = case.payment
    assert payment is not None
    if payment.state not in {PaymentState.FAILED, *AWAITING_STATES}:
        return f"The payment is {_plain(payment.state)}: only one that was declined can be tried again."
    if payment.state == PaymentState.PARTIALLY_PAID and payment.cancel_requested_at is not None:
        return "Cancelling has been asked: the rest is not collected any more."
    if not nothing_open(case):
        return "An attempt is still open: its end is awaited first."
    if case.reviews:
        return "A case is open about it: decide that first."
    refusal = _paid_elsewhere(payment) or _forbidden(case, now) or methods.why_blocked(payment.method)
    refusal = refusal or switches.stopped_charges()
    if refusal:
        return refusal
    choice = choose_route(payment, now=now, peek=True, amount=rest_money(case))
    return "" if choice.account is not None else " ".join(choice.why)


def _paid_elsewhere(payment: Payment) -> str:
    """An order that another payment has taken over must not be paid twice."""
    if payment.state != PaymentState.FAILED:
        return ""
    states = [state.value for state in OPEN_OR_PAID_STATES]
    others = Payment.objects.filter(reference=payment.reference, state__in=states).exclude(pk=payment.pk)
    other = others.order_by("-id").first()
    return f"Payment {other.public_id} of the same order is {_plain(other.state)}." if other is not None else ""


def _forbidden(case: Case, now: datetime) -> str:
    """What the last refusals, and the networks, say against another try."""
    payment = case.payment
    assert payment is not None
    asked: set[tuple[str, ...]] = set()
    for attempt in case.attempts:
        operation = collecting_operation(case, attempt)
        if operation is None or attempt.state != AttemptState.DECLINED:
            continue
        provider = attempt.gateway_account.provider
        said = (provider, operation.failure_class, operation.certainty, operation.code, operation.network_code,
                operation.network_advice, operation.gateway_advice)  # fmt: skip
        if said not in asked:  # the same words again mean the same
            asked.add(said)
            operation.payment = payment
            if declining.advice_for(operation, provider).steps[0] in _NO_MORE:
                return f"{attempt.gateway_account.name} answered {_answer(operation)}. It is not tried again."
        if operation.retry_not_before is not None and now < operation.retry_not_before:
            return f"The issuer allows another try from {operation.retry_not_before:%d %b %H:%M} UTC on."
    return declining.ceiling_reached(payment.method, rest_money(case), now, initiated_by="merchant")


def _plain(state: str) -> str:
    return state.replace("_", " ")


def _answer(operation: Operation) -> str:
    return ": ".join(part.rstrip(".") for part in (operation.code, operation.message) if part) or "no, without a reason"


def collecting_operation(case: Case, attempt: Attempt) -> Operation | None:
    """The call by which an attempt tried to collect."""
    return next((o for o in case.operations if o.attempt_id == attempt.pk and o.kind in COLLECTING), None)


def _tell(case: Case, kind: FactKind, message: str, actor: Actor | None, now: datetime) -> None:
    source = Source.SERVICE if actor is None else Source.OPERATOR
    cause = Cause() if actor is None else Cause(actor=actor.label, user_id=actor.user_id)
    fact = Fact(kind, source, now, message=message[:400])
    apply_fact(case, snapshot_of(case, fact), fact, cause, now)
