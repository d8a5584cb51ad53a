"""Which gateways were tried, what did they say, and what is between two tries? Sentences about money not yet taken. Pure."""

from __future__ import annotations

from datetime import datetime

from console.moments import distance_in_words
from ledger.money import Money
from payments.models import Attempt, Operation
from payments.queries.page_rows import PaymentRows
from payments.states import AWAITING_STATES, AttemptState, Certainty, OperationState, Waits

Told = tuple[str, str, datetime | None]
"""A sentence, the place on the page where its evidence stands, and when it happened."""
_ENDED = frozenset({OperationState.DECLINED, OperationState.FAILED})
_LEFT = frozenset({AttemptState.DECLINED, AttemptState.FAILED, AttemptState.VOIDED, AttemptState.LAPSED})


def words_between(rows: PaymentRows, now: datetime) -> str:
    """Pending with no call open: the payer's turn, a case, a planned retry, a stop, or our own next step."""
    attempt, retry = rows.at_payers_bank, rows.waiting_retry
    if attempt is not None and is_closing(rows, attempt, now):
        return closing_words(attempt)
    if attempt is not None:
        return (
            f"The payer has to confirm {_asked(rows, attempt)} at their bank; {_name(attempt)} takes it once they have."
        )
    if rows.open_reviews:
        return "Nothing is open at a gateway. A person has to decide how it goes on."
    if retry is not None:
        due = f"{retry.due_at:%d %b %H:%M} UTC ({distance_in_words(retry.due_at, now)})"
        if not rows.missing.is_zero:
            return f"The rest is asked for on {due}."
        return f"Nothing was taken: {tried_words(rows)}. It is tried again on {due}."
    if rows.payment.waits_for == Waits.SWITCH:
        return "Nothing is open at a gateway, and nothing new may be begun now."
    return "Between two steps: the next one is due."


def _asked(rows: PaymentRows, attempt: Attempt) -> Money:
    """What one attempt asks for, which may be a part."""
    return rows.payment.money if attempt.amount_minor is None else Money(attempt.amount_minor, rows.payment.currency)


def is_closing(rows: PaymentRows, attempt: Attempt, now: datetime) -> bool:
    """It is over for us while the payer could still finish it."""
    payment = rows.payment
    over = payment.state not in AWAITING_STATES or payment.cancel_requested_at is not None
    return over or now >= payment.expires_at or bool(attempt.failure_class)


def closing_words(attempt: Attempt) -> str:
    """What is over for us and could still be finished by the payer."""
    return f"The payer could still finish it at {_name(attempt)}: it is closed there before anything else is tried."


def unpaid_words(rows: PaymentRows) -> str:
    """Of a failed payment: who was asked and how each of them answered."""
    if not rows.attempts:
        return "Not paid: no gateway could be asked."
    if len(rows.attempts) > 1:
        return f"Not paid: {tried_words(rows)}. Nothing was taken."
    attempt = rows.attempts[0]
    operation = rows.collecting(attempt)
    if operation is None or operation.state not in _ENDED:
        return f"Not paid: it was closed at {_name(attempt)}. Nothing was taken."
    if operation.state == OperationState.FAILED:
        return f"Not paid: the {operation.kind} never happened at {_name(attempt)}."
    return f"Not paid: {_name(attempt)} declined it ({_plain(operation.failure_class) or 'no class given'}). Nothing was taken."


def tried_words(rows: PaymentRows) -> str:
    """ "NMI could not be asked, then Stripe declined it (soft decline)"; of a long story the last three."""
    told = [_end_words(rows, attempt) for attempt in rows.attempts if attempt.state in _LEFT]
    earlier = f"after {len(told) - 3} earlier tries, " if len(told) > 3 else ""
    return (earlier + ", then ".join(told[-3:])) or "no gateway was asked"


def _end_words(rows: PaymentRows, attempt: Attempt) -> str:
    operation = rows.collecting(attempt)
    if operation is None or attempt.state in {AttemptState.VOIDED, AttemptState.LAPSED}:
        return f"it was closed at {_name(attempt)}"
    reason = _plain(operation.failure_class)
    if operation.certainty == Certainty.REFUSED:
        return f"{_name(attempt)} declined it" + (f" ({reason})" if reason else "")
    return f"the {operation.kind} never happened at {_name(attempt)}" + (f" ({reason})" if reason else "")


def retry_reasons(rows: PaymentRows) -> list[Told]:
    """Why a retry is planned, and what the last refusal said."""
    retry = rows.waiting_retry
    if retry is None:
        return []
    told: list[Told] = [(f"Retry {retry.number} is planned: {retry.because}", retry.public_id, retry.planned_at)]
    operation = rows.collecting(retry.after)
    if operation is not None:
        told.append((answer_words(operation), operation.public_id, operation.ended_at))
    return told


def earlier_tries(rows: PaymentRows) -> list[Told]:
    """Where another gateway went on: what the one before had said."""
    if len(rows.attempts) < 2 or rows.waiting_retry is not None:
        return []
    before, then = rows.attempts[-2:]
    operation = rows.collecting(before)
    if operation is None or operation.state not in _ENDED:
        return []
    again = "was asked again" if before.gateway_account_id == then.gateway_account_id else "was asked next"
    again += f" for {_asked(rows, then)}" if then.amount_minor is not None else ""
    return [(f"{answer_words(operation)} {_name(then)} {again}.", before.public_id, operation.ended_at)]


def answer_words(operation: Operation) -> str:
    """What a call that took nothing came to, in the gateway's own words and code."""
    said = (operation.message or "no reason was given").rstrip(".")
    code = f" (code {operation.code})" if operation.code else ""
    if operation.certainty == Certainty.NOT_SENT:
        return f"{operation.gateway_account.name} took nothing: {said}{code}."
    return f"{operation.gateway_account.name} refused: {said}{code}."


def _name(attempt: Attempt) -> str:
    return str(attempt.gateway_account.name)


def _plain(name: str) -> str:
    return name.replace("_", " ")
