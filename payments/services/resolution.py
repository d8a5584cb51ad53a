"""What happened to a call whose end nobody saw? Asks the gateway, keeps every answer as evidence, and records what it says.

It never re-sends anything. Absence counts only by the adapter's proof; a look-up without an answer proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction

from payments.decisions import DUPLICATE_OF_OTHER, Verdict
from payments.errors import NotFound
from payments.facts import Fact, FactKind
from payments.gateways.base import Issued, LookUpAnswer, LookUpQuestion
from payments.gateways.errors import GatewayError
from payments.models import Attempt, GatewayAccount, LookUp, Movement, Operation, Payment, Review, Transition
from payments.services import incidents, methods
from payments.services.actors import Actor
from payments.services.calls import Clock, adapter_for, ask, is_in_flight
from payments.services.case import lock_payment
from payments.services.clocks import next_look_up, set_payment_clock
from payments.services.questions import open_question
from payments.services.recording import Cause, Recorded, record_fact
from payments.services.switches import stopped_everything
from payments.states import (
    COLLECTING,
    OPEN_OPERATION_STATES,
    Certainty,
    FailureClass,
    OperationKind,
    OperationState,
    ReviewKind,
    ReviewState,
    Source,
    Waits,
)

_WINDOW = timedelta(minutes=10)  # around the call, for the proof of absence by listing
_LAST_PAGE = 20
_FROZEN = timedelta(hours=1)  # a sender past its call's end by this much is reported to a person


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking changed: `changes` are the sentences of the facts that did something."""

    answered: bool
    changes: tuple[str, ...]


def ask_gateway(payment_id: str, *, actor: Actor, clock: Clock) -> Asked:
    """This function will ask every gateway of the payment what it knows, and record it.

    Raises: NotFound, Forbidden. Writes: look-ups and whatever their facts lead to. Idempotent: known movements are no-ops.
    """
    actor.require("payments.ask_gateway")
    payment = Payment.objects.filter(public_id=payment_id).first()
    if payment is None:
        raise NotFound(f"There is no payment {payment_id}.")
    return ask_about(payment.pk, clock, asked_by=actor.label, user_id=actor.user_id)


def ask_about(payment_id: int, clock: Clock, *, asked_by: str = "", user_id: int | None = None) -> Asked:
    """Look up every call of the payment that reached its gateway, then set its clock anew."""
    answered = True
    changes: list[str] = []
    before = _last_contradiction(payment_id)
    for operation_id in _worth_asking(payment_id):
        outcome = look_up(operation_id, clock, asked_by=asked_by, user_id=user_id)
        answered = answered and outcome.answered
        changes += outcome.changes
    _set_clock(payment_id, clock(), again=_last_contradiction(payment_id) != before or not answered)
    return Asked(answered, tuple(changes))


def _last_contradiction(payment_id: int) -> int | None:
    """The newest fact that made us ask. One that came while we were asking is not answered by what we heard."""
    asked = Transition.objects.filter(payment_id=payment_id, verdict=Verdict.ASK).order_by("-id")
    return asked.values_list("pk", flat=True).first()


def _worth_asking(payment_id: int) -> list[int]:
    """The collecting call of each attempt tells of its captures, voids and settlement; open calls are asked on their own."""
    operations = Operation.objects.filter(payment_id=payment_id).exclude(sent_at=None).order_by("id")
    return [
        o.pk
        for o in operations
        if o.kind in COLLECTING or o.state in OPEN_OPERATION_STATES or o.kind == OperationKind.REFUND
    ]


def _set_clock(payment_id: int, now: datetime, *, again: bool) -> None:
    with transaction.atomic():
        case = lock_payment(payment_id)
        assert case.payment is not None
        set_payment_clock(case, now, ask=again and case.payment.waits_for == Waits.LOOK_UP)
        if case.payment.next_check_at is not None:  # asked just now: no sooner than in a minute
            case.payment.next_check_at = max(case.payment.next_check_at, now + timedelta(seconds=60))
        case.payment.save()


def resolve_operation(operation_id: int, clock: Clock) -> None:
    """The janitor's step for one call that is past its time: sent becomes unknown, unknown is looked up."""
    operation = Operation.objects.get(pk=operation_id)
    if operation.state not in {OperationState.SENT, OperationState.UNKNOWN}:
        return
    in_flight = is_in_flight(operation_id)
    if operation.state == OperationState.SENT and not in_flight:
        fact = Fact(
            kind=FactKind.UNKNOWN,
            source=Source.CLOCK,
            occurred_at=clock(),
            message="the sender did not report back in time",
        )
        cause = Cause(operation_id=operation_id)
        record_fact(fact, account_id=operation.gateway_account_id, cause=cause, now=clock())
    look_up(operation_id, clock, may_conclude=not in_flight)
    if in_flight and operation.done_before is not None and clock() > operation.done_before + _FROZEN:
        _report_frozen(operation_id, clock())


def _report_frozen(operation_id: int, now: datetime) -> None:
    """The last resort of a call whose sender neither ends nor answers: nothing can be concluded while it holds its lock."""
    with transaction.atomic():
        payment_id = Operation.objects.values_list("payment_id", flat=True).get(pk=operation_id)
        case = lock_payment(payment_id)
        operation = next(o for o in case.operations if o.pk == operation_id)
        if operation.state != OperationState.SENT:
            return
        case.turn_to(next(a for a in case.attempts if a.pk == operation.attempt_id))
        because = (
            f"The worker that sends the {operation.kind} has been silent since {operation.sent_at:%d %b %H:%M} UTC and still"
            " holds it. End that worker: then the look-ups decide by themselves."
        )
        open_question(case, ReviewKind.LOOKUP_EXHAUSTED, because, now, operation=operation)


def look_up(
    operation_id: int, clock: Clock, *, asked_by: str = "", user_id: int | None = None, may_conclude: bool = True
) -> Asked:
    """One question about one call: evidence first, then its facts, then what follows if it is still open.

    `may_conclude` False (its sender still lives): presence is believed, absence is not.
    """
    if stopped_everything():  # nobody's silence: no incident, and nothing to keep as evidence
        _count(operation_id, clock(), answered=False)
        return Asked(answered=False, changes=())
    operation = Operation.objects.select_related("gateway_account", "attempt").get(pk=operation_id)
    answer, evidence = _ask_and_keep(operation, clock, asked_by, by_id=_asked_by_id(operation))
    if answer.answered and not answer.found and not _asked_by_id(operation) and _may_ask_by_id(operation):
        answer, evidence = _ask_and_keep(operation, clock, asked_by, by_id=True)
    if not answer.answered:
        incidents.look_ups_unanswered(operation.gateway_account_id, clock())
        _count(operation_id, clock(), answered=False)
        return Asked(answered=False, changes=())
    incidents.look_ups_answered(operation.gateway_account_id, clock())
    cause = Cause(actor=asked_by, user_id=user_id, look_up_id=evidence.pk)
    recorded = [
        record_fact(fact, account_id=operation.gateway_account_id, cause=_cause_of(fact, operation, cause), now=clock())
        for fact in answer.facts
    ]
    if answer.issued is not None and operation.kind in COLLECTING:
        _keep_issued(operation, answer.issued, clock())
    _conclude(operation_id, answer, evidence, clock, may_conclude=may_conclude)
    return Asked(answered=True, changes=_changes(recorded))


def _keep_issued(operation: Operation, issued: Issued, now: datetime) -> None:
    """What no answer to the call has brought: the payer confirmed it later, or the answer was lost. A credential only
    where this call was to store one."""
    if not operation.request.get("store"):
        issued = replace(issued, credential="", customer="", network_transaction_id="")
    with transaction.atomic():
        lock_payment(operation.payment_id)
        methods.keep_issued(operation.pk, issued, now)


def _cause_of(fact: Fact, operation: Operation, cause: Cause) -> Cause:
    """A refund's own look-up speaks of that refund; the attempt's speaks of whatever its facts name."""
    if operation.kind == OperationKind.REFUND and fact.kind in {FactKind.REFUND, FactKind.DECLINED}:
        return Cause(cause.actor, cause.user_id, look_up_id=cause.look_up_id, operation_id=operation.pk)
    return cause


def _changes(recorded: list[Recorded]) -> tuple[str, ...]:
    return tuple(r.because for r in recorded if r.changed)


def _may_ask_by_id(operation: Operation) -> bool:
    return operation.kind != OperationKind.REFUND and bool(_transaction_of(operation))


def _asked_by_id(operation: Operation) -> bool:
    """A capture or void is asked by the transaction it acts on. What collected is asked by our reference first: only that
    shows what bears the same reference in transactions of its own, such as a refund made in the gateway's dashboard."""
    return operation.kind not in COLLECTING and _may_ask_by_id(operation)


def _transaction_of(operation: Operation) -> str:
    """The transaction to ask by: a refund makes its own, so it is asked by our reference until that is known."""
    if operation.kind in COLLECTING:
        return operation.attempt.gateway_id
    if operation.kind == OperationKind.REFUND:
        return operation.gateway_id if operation.state == OperationState.SUCCEEDED else ""
    return operation.gateway_id or operation.attempt.gateway_id


def _question(operation: Operation, *, by_id: bool) -> LookUpQuestion:
    refund = operation.kind == OperationKind.REFUND
    return LookUpQuestion(
        kind=OperationKind(operation.kind),
        reference=operation.reference if refund else operation.attempt.reference,
        money=operation.money,
        gateway_id=_transaction_of(operation) if by_id or refund else "",
        handle=operation.attempt.handle,
        sent_at=operation.sent_at,
    )


def _ask_and_keep(operation: Operation, clock: Clock, asked_by: str, *, by_id: bool) -> tuple[LookUpAnswer, LookUp]:
    answer = _ask(operation, clock, by_id=by_id)
    method = "by transaction id" if by_id else "by our reference"
    return answer, _keep(operation, answer, clock(), method=method, asked_by=asked_by)


def _ask(operation: Operation, clock: Clock, *, by_id: bool) -> LookUpAnswer:
    adapter = adapter_for(operation.gateway_account)
    question = _question(operation, by_id=by_id)
    for _ in range(_LAST_PAGE):
        try:
            wire = ask(operation.gateway_account, adapter.look_up_request(question), clock)
        except GatewayError as error:
            return LookUpAnswer(answered=False, evidence=_evidence_of(error))
        answer = adapter.look_up_answer(question, wire, at=clock())
        if answer.found or not answer.next_cursor:
            return answer
        question = replace(question, cursor=answer.next_cursor)
    return LookUpAnswer(answered=False, evidence={"error": f"the list has more than {_LAST_PAGE} pages"})


def _evidence_of(error: GatewayError) -> dict[str, object]:
    return {"error": str(error)[:200], **({"raw": error.raw} if error.raw else {})}


def _keep(operation: Operation, answer: LookUpAnswer, now: datetime, *, method: str, asked_by: str) -> LookUp:
    if not answer.answered:
        result = LookUp.Result.UNANSWERED
    elif answer.in_progress:
        result = LookUp.Result.IN_PROGRESS
    else:
        result = LookUp.Result.FOUND if answer.found else LookUp.Result.ABSENT
    return LookUp.objects.create(
        operation=operation, asked_at=now, asked_by=asked_by, method=method, result=result, evidence=answer.evidence
    )


def _count(operation_id: int, now: datetime, *, answered: bool) -> Operation:
    """One rung further on the ladder, if the call is still open."""
    with transaction.atomic():
        payment_id = Operation.objects.values_list("payment_id", flat=True).get(pk=operation_id)
        case = lock_payment(payment_id)
        operation = next(o for o in case.operations if o.pk == operation_id)
        if operation.state not in {OperationState.SENT, OperationState.UNKNOWN}:
            return operation
        past_end = operation.done_before is not None and now >= operation.done_before
        if answered and past_end:
            operation.look_ups_answered += 1
        elif not answered:
            operation.look_ups_unanswered += 1
        operation.next_check_at = next_look_up(operation, now)
        operation.save()
        set_payment_clock(case, now)
        assert case.payment is not None
        case.payment.save()
        return operation


def _conclude(operation_id: int, answer: LookUpAnswer, evidence: LookUp, clock: Clock, *, may_conclude: bool) -> None:
    """The call is still open after everything the gateway said: count, prove, or hand it to a person."""
    operation = Operation.objects.select_related("gateway_account").get(pk=operation_id)
    if operation.state != OperationState.UNKNOWN:
        if operation.state == OperationState.SENT:
            _count(operation_id, clock(), answered=False)
        return
    operation = _count(operation_id, clock(), answered=True)
    account = GatewayAccount.objects.get(pk=operation.gateway_account_id)
    if operation.failure_class == FailureClass.DUPLICATE and not answer.found and _names_another(operation):
        _record(operation, _duplicate_of_other(clock()), evidence, clock)
    elif not answer.in_progress and may_conclude and _is_absent(operation, account, clock()):
        _conclude_absence(operation, account, evidence, clock)
    elif operation.look_ups_answered >= account.look_up_limit:
        _record(operation, Fact(FactKind.EXHAUSTED, Source.LOOK_UP, clock()), evidence, clock)


def _is_absent(operation: Operation, account: GatewayAccount, now: datetime) -> bool:
    """The adapter's rule, stricter where the account says so; NMI: 5 answered look-ups, 15 minutes after done_before."""
    rule = adapter_for(account).capabilities.absence
    if not rule.lookups or operation.done_before is None:
        return False
    earliest = operation.done_before + timedelta(seconds=max(rule.earliest_seconds, account.absence_seconds))
    return operation.look_ups_answered >= max(rule.lookups, account.absence_look_ups) and now >= earliest


def _conclude_absence(operation: Operation, account: GatewayAccount, evidence: LookUp, clock: Clock) -> None:
    """Last: the gateway's own list around the call. Money of this amount under no known reference stops the proof."""
    listed = _window(operation, account, clock) if operation.kind in COLLECTING else ()
    if listed is None:
        return  # no answer: the proof waits for the next look-up
    if any(_could_be_ours(fact, operation) for fact in listed):
        _record(operation, Fact(FactKind.EXHAUSTED, Source.LOOK_UP, clock()), evidence, clock)
        return
    operation.look_ups.filter(result__in=[LookUp.Result.ABSENT, LookUp.Result.FOUND]).update(counts=True)
    absent = Fact(
        FactKind.ABSENT,
        Source.LOOK_UP,
        clock(),
        certainty=Certainty.NOT_SENT,
        failure_class=FailureClass.GATEWAY_UNAVAILABLE,
        message=f"{operation.look_ups_answered} answered look-ups and the gateway's list show no trace of it",
    )
    _record(operation, absent, evidence, clock)


def _window(operation: Operation, account: GatewayAccount, clock: Clock) -> tuple[Fact, ...] | None:
    """Everything the gateway lists around the call; None if it did not answer."""
    assert operation.sent_at is not None and operation.done_before is not None
    adapter = adapter_for(account)
    if not adapter.capabilities.lists_window:
        return None  # without a list nothing is proven
    facts: list[Fact] = []
    start, end, cursor = operation.sent_at - _WINDOW, operation.done_before + _WINDOW, ""
    for page in range(_LAST_PAGE):
        request = adapter.window_request(start, end, page=page, cursor=cursor)
        try:
            answer = adapter.window_answer(ask(account, request, clock), at=clock())
        except GatewayError as error:
            answer = LookUpAnswer(answered=False, evidence=_evidence_of(error))
        if not answer.answered or not answer.found:
            _keep(operation, answer, clock(), method=f"by window, page {page + 1}", asked_by="")
        if not answer.answered or answer.evidence.get("unreadable"):
            return None  # a line that nobody can read might be ours: nothing is proven
        if not answer.found:
            return tuple(facts)
        facts += answer.facts
        if answer.last:
            return tuple(facts)
        cursor = answer.next_cursor
    return None


def _could_be_ours(fact: Fact, operation: Operation) -> bool:
    """Money of exactly this amount whose reference is nobody's we know."""
    if fact.money != operation.money or fact.kind not in {FactKind.CAPTURE, FactKind.AUTHORISATION}:
        return False
    if fact.reference == operation.reference:
        return True
    known = Attempt.objects.filter(gateway_account_id=operation.gateway_account_id, reference=fact.reference)
    return not fact.reference and not known.exists()


def _names_another(operation: Operation) -> bool:
    """Does the transaction that the gateway named as the original belong to another payment of ours?"""
    row = Transition.objects.filter(operation=operation, fact=FactKind.DUPLICATE).order_by("-id").first()
    named = str(row.inputs["fact"].get("evidence", {}).get("refid", "")) if row else ""
    others = Movement.objects.filter(gateway_account_id=operation.gateway_account_id, gateway_id=named)
    return bool(named) and others.exclude(payment_id=operation.payment_id).exists()


def _duplicate_of_other(now: datetime) -> Fact:
    return Fact(
        FactKind.DECLINED,
        Source.LOOK_UP,
        now,
        certainty=Certainty.REFUSED,
        failure_class=FailureClass.DUPLICATE,
        code=DUPLICATE_OF_OTHER,
        message="the gateway took it for a duplicate of another payment",
    )


def _record(operation: Operation, fact: Fact, evidence: LookUp, clock: Clock) -> Verdict:
    cause = Cause(look_up_id=evidence.pk, operation_id=operation.pk)
    asked = Review.objects.filter(operation=operation, kind=ReviewKind.LOOKUP_EXHAUSTED, state=ReviewState.OPEN)
    if fact.kind == FactKind.EXHAUSTED and asked.exists():
        return Verdict.NO_OP  # a person has been asked; the ladder goes on, an answer would close the case
    return record_fact(fact, account_id=operation.gateway_account_id, cause=cause, now=clock()).verdict
