"""What follows when an attempt has ended without money? Another gateway, a retry, or the end: the first step that is possible."""

from __future__ import annotations

from datetime import datetime

from payments import declines
from payments.declines import NextStep
from payments.facts import FactKind
from payments.models import Attempt, Operation
from payments.services import declining
from payments.services.attempts import Step, start_attempt, tell
from payments.services.case import Case, nothing_open
from payments.services.questions import open_question
from payments.services.retries import collecting_operation, plan_retry, waiting_retry
from payments.services.routing import choose_route
from payments.states import AttemptState, Certainty, FailureClass, ReviewKind

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
        tell(case, FactKind.EXPIRY_DUE if now >= payment.expires_at else FactKind.GIVEN_UP, now, because)
        return None
    advice = declining.advice_for(operation, attempt.gateway_account.provider)
    for step in advice.steps:
        if step == NextStep.OTHER_GATEWAY:
            begun = _other_gateway(case, now)
            if begun is not None:
                return begun
        elif step == NextStep.RETRY_LATER:
            if _retry_later(case, attempt, operation, now):
                return None
        elif step in _WORDS:
            _give_up(case, attempt, operation, step, now)
            return None
    _give_up(case, attempt, operation, NextStep.ASK_PAYER, now)
    return None


def _other_gateway(case: Case, now: datetime) -> Step | None:
    """Another account with a credential of the same method, not asked in this round. Waits count as none: a retry is better."""
    assert case.payment is not None
    tried = _tried(case)
    if choose_route(case.payment, tried=tried, now=now, peek=True).account is None:
        return None
    if declining.ceiling_reached(case.payment.method, case.payment.money, now, initiated_by="merchant"):
        return None
    return start_attempt(case, now, tried=tried)


def _tried(case: Case) -> set[int]:
    """The accounts asked since the last retry began: a retry is a new round."""
    assert case.payment is not None
    last = case.payment.retries.filter(state="done").order_by("-id").first()
    since = last.after.number if last else 0
    return {attempt.gateway_account_id for attempt in case.attempts if attempt.number > since}


def _retry_later(case: Case, attempt: Attempt, operation: Operation, now: datetime) -> bool:
    """Plan it, if the policy, the networks, the payment's window and its credentials allow one."""
    payment = case.payment
    assert payment is not None
    if waiting_retry(payment) is not None:
        return True
    refused = [o for o in case.operations if o.certainty == Certainty.REFUSED]
    failure_class = FailureClass(attempt.failure_class or FailureClass.UNKNOWN)
    number = len(refused) if operation.certainty == Certainty.REFUSED else payment.retries.count() + 1
    first = min((o.ended_at for o in refused if o.ended_at is not None), default=None)
    due = declines.retry_due(number, failure_class, operation.retry_not_before, now, first_refused_at=first)
    if due is None or due >= payment.expires_at:
        return False
    if declining.ceiling_reached(payment.method, payment.money, due, initiated_by="merchant"):
        return False
    choice = choose_route(payment, now=now, peek=True)
    if choice.account is None and not choice.may_change:
        return False
    plan_retry(case, attempt, due, f"{failure_class.replace('_', ' ')} at {attempt.gateway_account.name}.", now)
    return True


def _give_up(case: Case, attempt: Attempt, operation: Operation, step: NextStep, now: datetime) -> None:
    said = (operation.message or "no reason given").rstrip(".")
    code = f" (code {operation.code})" if operation.code else ""
    because = f"{attempt.gateway_account.name}: {said}{code}. {_WORDS[step]}"
    tell(case, FactKind.GIVEN_UP, now, because[:400])
    if step == NextStep.STOP_AND_REVIEW:
        open_question(case, ReviewKind.PAYMENT_STOPPED, because, now)
