"""What follows when an attempt has ended without money? Another gateway, less, a retry, or the end: the first step possible."""

from __future__ import annotations

from datetime import datetime

from ledger.money import Money
from payments import declines
from payments.declines import NextStep
from payments.facts import FactKind
from payments.models import Attempt, Operation
from payments.services import declining
from payments.services.attempts import Step, start_attempt, tell
from payments.services.case import Case, is_reduced, nothing_open, rest_money
from payments.services.clocks import set_payment_clock
from payments.services.questions import open_question
from payments.services.retries import collecting_operation, plan_retry, waiting_retry
from payments.services.routing import choose_route
from payments.states import COLLECTING, AttemptState, Certainty, FailureClass, ReviewKind

_WORDS = {
    NextStep.ASK_PAYER: "The payer has to do something: another card, other data, or a word with the bank.",
    NextStep.NEVER_AGAIN: "This card must not be tried again.",
    NextStep.STOP_AND_REVIEW: "No payer can mend this: a person has to look.",
}


_WITHOUT_REFUSAL = frozenset({AttemptState.VOIDED, AttemptState.LAPSED})


def follow_up(case: Case, now: datetime) -> Step | None:
    """Decide, under the lock, what follows from the end of the last attempt of a pending payment.

    Next steps are taken in the order of the refusal's advice; unknown outcomes never come here, for their attempt is
    still open. Writes: the next attempt, a retry, or the payment's end with what the payer may be told.
    """
    payment, attempt = case.payment, case.current_attempt
    assert payment is not None and attempt is not None and nothing_open(case)
    operation = collecting_operation(case, attempt)
    if operation is None or attempt.state in _WITHOUT_REFUSAL or not operation.failure_class:
        because = operation.message if operation is not None and operation.message else "It was closed."
        because = "What had come in has gone back." if attempt.state == AttemptState.CAPTURED else because
        tell(case, FactKind.EXPIRY_DUE if now >= payment.expires_at else FactKind.GIVEN_UP, now, because)
        return None
    begun, end = _take_steps(case, attempt, operation, now)
    if end is not None:
        _give_up(case, attempt, operation, end, now)
    return begun


def follow_up_part(case: Case, now: datetime) -> Step | None:
    """The same for the rest of a partially paid payment. Nothing ends by it: what is not taken by itself waits for a person.

    After the part has come in only the last refusal's word on a later try is left; its time is kept once.
    """
    payment, attempt = case.payment, case.current_attempt
    assert payment is not None and attempt is not None and nothing_open(case)
    if attempt.state == AttemptState.CAPTURED:
        refused = [o for o in case.operations if o.kind in COLLECTING and o.certainty == Certainty.REFUSED]
        if refused and not hasattr(attempt, "retry"):
            asked_of = next(a for a in case.attempts if a.pk == refused[-1].attempt_id)
            if NextStep.RETRY_LATER in declining.advice_for(refused[-1], asked_of.gateway_account.provider).steps:
                _retry_later(case, attempt, refused[-1], now)
        return None
    operation = collecting_operation(case, attempt)
    if operation is None or attempt.state in _WITHOUT_REFUSAL or not operation.failure_class:
        return None
    begun, end = _take_steps(case, attempt, operation, now)
    asked = payment.reviews.filter(kind=ReviewKind.PAYMENT_STOPPED, attempt=attempt)
    if end == NextStep.STOP_AND_REVIEW and not asked.exists():  # once an attempt: it is looked at again and again
        case.turn_to(attempt)
        open_question(case, ReviewKind.PAYMENT_STOPPED, _because(attempt, operation, end), now)
        set_payment_clock(case, now)
        payment.save()
    return begun


def _take_steps(
    case: Case, attempt: Attempt, operation: Operation, now: datetime
) -> tuple[Step | None, NextStep | None]:
    """The advice's steps in order, the first that is possible: what was begun; or the step that is left to people.

    Neither: a retry is planned.
    """
    for step in declining.advice_for(operation, attempt.gateway_account.provider).steps:
        if step == NextStep.OTHER_GATEWAY:
            begun = _other_gateway(case, attempt, now)
        elif step == NextStep.REDUCED_AMOUNT:
            begun = _reduced(case, attempt, operation, now)
        elif step == NextStep.RETRY_LATER:
            begun = None
            if _retry_later(case, attempt, operation, now):
                return None, None
        else:
            return None, step
        if begun is not None:
            return begun, None
    return None, NextStep.ASK_PAYER


def _other_gateway(case: Case, attempt: Attempt, now: datetime) -> Step | None:
    """Another account with a credential of the same method, not asked in this round, for the same sum. Waits count as none:
    a retry is better."""
    assert case.payment is not None
    return _ask_for(case, _asked(case, attempt), _tried(case), now)


def _reduced(case: Case, attempt: Attempt, operation: Operation, now: datetime) -> Step | None:
    """Less of it, from the same account, where the payment takes parts. One reduced try a refusal, and not for ever."""
    payment = case.payment
    assert payment is not None
    if not payment.accept_partial or operation.certainty != Certainty.REFUSED:
        return None
    account = attempt.gateway_account
    policy = declines.ReductionPolicy(account.reduced_percent, account.reduced_floor_percent, account.most_reductions)
    since = _last_taken(case)
    made = sum(1 for a in case.attempts if a.number > since and is_reduced(case, a))
    amount = declines.reduced_amount(operation.money, payment.money, made, policy)
    return _ask_for(case, amount, _tried(case) - {account.pk}, now) if amount is not None else None


def _ask_for(case: Case, amount: Money, tried: set[int], now: datetime) -> Step | None:
    assert case.payment is not None
    if choose_route(case.payment, tried=tried, now=now, peek=True, amount=amount).account is None:
        return None
    if declining.ceiling_reached(case.payment.method, amount, now, initiated_by="merchant"):
        return None
    return start_attempt(case, now, tried=tried, amount=amount)


def _asked(case: Case, attempt: Attempt) -> Money:
    assert case.payment is not None
    if attempt.amount_minor is None:
        return rest_money(case)
    return Money(attempt.amount_minor, case.payment.currency)


def _tried(case: Case) -> set[int]:
    """The accounts asked since the last retry began, or a part came in: each is a new round."""
    assert case.payment is not None
    last = case.payment.retries.filter(state="done").order_by("-id").first()
    since = max(last.after.number if last else 0, _last_taken(case))
    return {attempt.gateway_account_id for attempt in case.attempts if attempt.number > since}


def _last_taken(case: Case) -> int:
    """The number of the last attempt that has brought a part; 0: none has."""
    return max((a.number for a in case.attempts if a.state == AttemptState.CAPTURED), default=0)


def _retry_later(case: Case, attempt: Attempt, operation: Operation, now: datetime) -> bool:
    """Plan it, if the policy, the networks, the payment's window and its credentials allow one."""
    payment = case.payment
    assert payment is not None
    if waiting_retry(payment) is not None:
        return True
    reduced = {a.pk for a in case.attempts if is_reduced(case, a)}  # a reduced try belongs to the refusal before it
    refused = [o for o in case.operations if o.certainty == Certainty.REFUSED and o.attempt_id not in reduced]
    failure_class = FailureClass(attempt.failure_class or operation.failure_class or FailureClass.UNKNOWN)
    number = len(refused) if operation.certainty == Certainty.REFUSED else payment.retries.count() + 1
    first = min((o.ended_at for o in refused if o.ended_at is not None), default=None)
    due = declines.retry_due(number, failure_class, operation.retry_not_before, now, first_refused_at=first)
    if due is None or due >= payment.expires_at:
        return False
    if declining.ceiling_reached(payment.method, rest_money(case), due, initiated_by="merchant"):
        return False
    choice = choose_route(payment, now=now, peek=True, amount=rest_money(case))
    if choice.account is None and not choice.may_change:
        return False
    asked_of = next((a for a in case.attempts if a.pk == operation.attempt_id), attempt)
    plan_retry(case, attempt, due, f"{failure_class.replace('_', ' ')} at {asked_of.gateway_account.name}.", now)
    return True


def _give_up(case: Case, attempt: Attempt, operation: Operation, step: NextStep, now: datetime) -> None:
    because = _because(attempt, operation, step)
    tell(case, FactKind.GIVEN_UP, now, because[:400])
    if step == NextStep.STOP_AND_REVIEW:
        open_question(case, ReviewKind.PAYMENT_STOPPED, because, now)


def _because(attempt: Attempt, operation: Operation, step: NextStep) -> str:
    said = (operation.message or "no reason given").rstrip(".")
    code = f" (code {operation.code})" if operation.code else ""
    return f"{attempt.gateway_account.name}: {said}{code}. {_WORDS[step]}"
