"""Why is this payment in this state, and what happens next by itself? Sentences out of rows and a given moment. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.moments import distance_in_words
from payments.models import Operation, Review, Transition
from payments.queries.explanation_tries import closing_words, earlier_tries, retry_reasons, unpaid_words, words_between
from payments.queries.explanation_waiting import CALL_WORDS, Waiting, waitings
from payments.queries.page_rows import PaymentRows
from payments.states import (
    AWAITING_STATES,
    PAID_STATES,
    DisputeState,
    FailureClass,
    OperationKind,
    OperationState,
    PaymentState,
    Source,
    Waits,
)

_MOST_REASONS = 3
_PAID = PAID_STATES | {PaymentState.PARTIALLY_PAID, PaymentState.REFUNDED}


@dataclass(frozen=True, slots=True)
class Reason:
    """One deciding fact, and the place on the page (`#anchor`) where its evidence stands."""

    text: str
    anchor: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The first three of the five lines: Now, Because, Waiting for. What one can do is in `page_steps`.

    `afterwards` says what a payment that waits for nothing would still react to.
    """

    now: str
    because: tuple[Reason, ...]
    waiting: tuple[Waiting, ...]
    afterwards: str


def explain(rows: PaymentRows, now: datetime) -> Explanation:
    """Say where the payment stands, which facts decided that, and whom it waits for."""
    return Explanation(
        " ".join(_now(rows, now)), _because(rows)[:_MOST_REASONS], waitings(rows, now), _afterwards(rows, now)
    )


# --- Now --------------------------------------------------------------------------------------------------------------


def gateway_name(rows: PaymentRows) -> str:
    """Where its money is, else where it was tried last."""
    account = rows.paying_account or rows.account
    return account.name if account else "the gateway"


def _now(rows: PaymentRows, now: datetime) -> list[str]:
    sentences = [_STATE_SENTENCES[PaymentState(rows.payment.state)](rows, now)]
    if rows.payment.state not in AWAITING_STATES and rows.at_payers_bank is not None:
        sentences.append(closing_words(rows.at_payers_bank))
    if rows.payment.cancel_requested_at is not None and rows.payment.state in {
        *AWAITING_STATES,
        PaymentState.AUTHORISED,
    }:
        sentences.append("Cancelling has been asked; it happens as soon as the gateway has provably let go.")
    sentences += [
        f"{'More' if rows.payment.state in _PAID else 'Yet'} money came: {money} is booked, and a review says what it is for."
        for money in rows.under_review
        if money.is_positive
    ]
    sentences += [_DISPUTED[DisputeState(d.state)].format(money=d.money) for d in rows.disputes if d.state in _DISPUTED]
    if not rows.on_its_way_back.is_zero:
        sentences.append(f"{rows.on_its_way_back} is on its way back to the payer.")
    return sentences


_DISPUTED = {
    DisputeState.INQUIRY: "The payer's bank asks about {money}; no money has moved.",
    DisputeState.CHARGEBACK: "The payer disputes {money}: it is taken back until that is decided.",
    DisputeState.UNDER_REVIEW: "A dispute over {money} is with the issuer; until that is decided the money is a claim.",
    DisputeState.PRE_ARBITRATION: "A dispute over {money} is argued about again.",
    DisputeState.LOST: "A dispute over {money} was lost.",
}


def _late(rows: PaymentRows) -> str:
    return " late, after it had been given up" if rows.payment.late_success else ""


def _back(rows: PaymentRows) -> str:
    return "" if rows.refunded.is_zero else f" {rows.refunded} of it has gone back."


def _pending(rows: PaymentRows, now: datetime) -> str:
    operation = rows.open_operation
    if operation is None:
        return words_between(rows, now)
    gateway = operation.gateway_account.name
    if operation.kind == OperationKind.CLOSE:
        return _closing(operation, gateway)
    match OperationState(operation.state):
        case OperationState.PLANNED if operation.waits_for == Waits.SWITCH:
            return f"{gateway} is to be asked for {operation.money}, and nothing may be sent there now."
        case OperationState.PLANNED:
            return f"{gateway} is about to be asked for {operation.money}. Nothing has been sent yet."
        case OperationState.SENT:
            return f"{gateway} has been asked for {operation.money}. Its answer is not here yet."
        case _:
            return f"It is not known whether {gateway} took {operation.money}. Nobody charges again until it is."


def _partly(rows: PaymentRows, now: datetime) -> str:
    """What is here and what is not; and how the rest is being collected, if it is."""
    sentence = f"{rows.standing_part} of {rows.payment.money} has come in; {rows.missing} is missing."
    if rows.open_operation is None and rows.waiting_retry is None and rows.at_payers_bank is None:
        return f"{sentence} Nothing collects it by itself." if not rows.open_reviews else sentence
    return f"{sentence} {_pending(rows, now)}"


def _closing(operation: Operation, gateway: str) -> str:
    if operation.state == OperationState.UNKNOWN:
        return f"It is not known whether {gateway} has closed it: the payer may still finish it. Nobody charges until it is."
    return f"{gateway} is asked to close what the payer could still finish there. Nothing else is tried before."


def _authorised(rows: PaymentRows, now: datetime) -> str:
    until = rows.payment.hold_until
    ends = f" until {until:%d %b %Y %H:%M} UTC ({distance_in_words(until, now)})" if until else ""
    sentence = f"{gateway_name(rows)} holds {rows.held} for us{ends}; nothing has been taken."
    operation = rows.open_operation
    if operation is None:
        return sentence
    word = CALL_WORDS[OperationKind(operation.kind)]
    if operation.state == OperationState.UNKNOWN:
        return f"{sentence} Whether the {word} of {operation.money} happened is not known."
    return f"{sentence} A {word} of {operation.money} is {operation.state}."


def _part_back(rows: PaymentRows) -> str:
    """Ended with a part paid: how much came in, and how much of it has gone back."""
    if rows.captured.is_zero:
        return ""
    return f" with {rows.captured} of {rows.payment.money} paid: {rows.refunded} of that has gone back to the payer."


def _expired(rows: PaymentRows) -> str:
    part = _part_back(rows)
    if part:
        return f"Not paid: its window closed{part}"
    lapsed = rows.payment.hold_until is not None
    return "Not paid: " + ("the hold lapsed at the gateway." if lapsed else "its window closed with nothing open.")


_STATE_SENTENCES: dict[PaymentState, Callable[[PaymentRows, datetime], str]] = {
    PaymentState.INITIATED: lambda r, _: "Stored. Nothing has been checked or sent yet.",
    PaymentState.VALIDATED: lambda r, _: "Checked and in order. No gateway has been asked yet.",
    PaymentState.PENDING: lambda r, now: _pending(r, now),
    PaymentState.PARTIALLY_PAID: lambda r, now: _partly(r, now),
    PaymentState.AUTHORISED: lambda r, now: _authorised(r, now),
    PaymentState.CAPTURED: lambda r, _: f"Paid{_late(r)}: {gateway_name(r)} took {r.captured}.{_back(r)}",
    PaymentState.SETTLED: lambda r, _: (
        f"Paid{_late(r)} and settled: {r.captured} stands in a closed batch of {gateway_name(r)}.{_back(r)}"
    ),
    PaymentState.RECONCILED: lambda r, _: f"Paid, settled and reconciled: every movement is matched.{_back(r)}",
    PaymentState.FAILED: lambda r, _: unpaid_words(r),
    PaymentState.EXPIRED: lambda r, _: _expired(r),
    PaymentState.CANCELLED: lambda r, _: (
        "Cancelled" + (_part_back(r) or ("." if r.under_review else ": nothing was taken, and that is proven."))
    ),
    PaymentState.REFUNDED: lambda r, _: f"Refunded: all of the {r.captured} that was captured has gone back.",
    PaymentState.CHARGED_BACK: lambda r, _: "Lost: the payer's bank took the money back after a dispute.",
}


def _afterwards(rows: PaymentRows, now: datetime) -> str:
    """Nothing is due; this is what the gateway's word would still change."""
    gateway = gateway_name(rows)
    match rows.payment.state:
        case PaymentState.CAPTURED:
            return f"Nothing is due. It becomes settled by itself when {gateway} closes the batch it stands in."
        case PaymentState.SETTLED:
            return "Nothing is due."
        case PaymentState.FAILED:
            return f"Nothing is due. A success that {gateway} reported late would still be applied, and marked."
        case PaymentState.EXPIRED:
            return _after_expiry(rows, now)
        case PaymentState.CANCELLED | PaymentState.REFUNDED:
            return "Nothing is due. Money that still came would be booked on suspense, and a review opened."
        case _:
            return "Nothing is due."


def _after_expiry(rows: PaymentRows, now: datetime) -> str:
    seconds = rows.account.grace_seconds if rows.account else 0
    ends = rows.payment.expires_at + timedelta(seconds=seconds)
    if ends > now:
        return (
            f"Nothing is due. Money that comes by {ends:%d %b %H:%M} UTC still pays it; later money goes to a review."
        )
    return "Nothing is due. Money that still came would be booked on suspense, and a review opened."


# --- Because ----------------------------------------------------------------------------------------------------------


def _because(rows: PaymentRows) -> tuple[Reason, ...]:
    """The open question first, then what waits for a person, then the fact that made the state."""
    reasons: list[Reason] = []
    operation = rows.open_operation
    if operation is not None and operation.state == OperationState.UNKNOWN:
        reasons.append(_unknown_reason(rows, operation))
    reasons += [_review_reason(review) for review in rows.open_reviews[:1]]
    reasons += [Reason(*told) for told in retry_reasons(rows)]
    made = _state_maker(rows.facts)
    if made is not None:
        reasons.append(Reason(_with_code(rows, made), fact_anchor(made), made.at))
    reasons += [Reason(*told) for told in earlier_tries(rows)]
    cancelled = _last(rows.facts, "retry_cancelled")
    if cancelled is not None and rows.payment.state == PaymentState.FAILED:
        who = f"{cancelled.actor}: " if cancelled.actor else ""
        reasons.append(Reason(f"{who}{cancelled.because}", fact_anchor(cancelled), cancelled.at))
    asked = _last(rows.facts, "cancel_asked")
    if asked is not None and asked is not made:
        reasons.append(Reason(f"{asked.actor or 'The merchant'} asked to cancel.", fact_anchor(asked), asked.at))
    last = _last_that_mattered(rows.facts)
    if len(reasons) == 1 and last is not None and last is not made:
        reasons.append(Reason(last.because, fact_anchor(last), last.at))
    return tuple(reasons)


def fact_anchor(fact: Transition) -> str:
    return f"fact-{fact.pk}"


def _unknown_reason(rows: PaymentRows, operation: Operation) -> Reason:
    word, gateway = CALL_WORDS[OperationKind(operation.kind)], operation.gateway_account.name
    became = next((f for f in reversed(rows.facts) if _made_unknown(f, operation)), None)
    anchor = fact_anchor(became) if became else operation.public_id
    at = became.at if became else operation.sent_at
    tail = "It may have been processed; only the gateway can tell."
    if operation.failure_class == FailureClass.DUPLICATE:
        return Reason(f"{gateway} called the {word} a duplicate, so our own reference is looked up first.", anchor, at)
    if became is not None and became.source == Source.CLOCK:
        text = f"The process that sent the {word} to {gateway} did not report back in time. {tail}"
    elif operation.message and not _is_silence(operation.message):
        text = f"{gateway} gave no usable answer to the {word}: {operation.message.rstrip('.')}. {tail}"
    else:
        text = f"{gateway} did not answer the {word}{_within(operation)}. {tail}"
    return Reason(text, anchor, at)


def _is_silence(message: str) -> bool:
    """Time ran out, rather than something unreadable coming back."""
    return any(word in message.lower() for word in ("in time", "timeout", "timed out"))


def _within(operation: Operation) -> str:
    if operation.sent_at is None or operation.done_before is None:
        return ""
    return f" within {int((operation.done_before - operation.sent_at).total_seconds())} s"


def _made_unknown(fact: Transition, operation: Operation) -> bool:
    return (
        fact.operation_id == operation.pk
        and fact.after.get("operation") == OperationState.UNKNOWN
        and fact.before.get("operation") != OperationState.UNKNOWN
    )


def _review_reason(review: Review) -> Reason:
    return Reason(f"{review.because} Review {review.public_id} is open.", review.public_id, review.opened_at)


def _state_maker(facts: list[Transition]) -> Transition | None:
    """The latest fact that moved the payment itself."""
    moved = (f for f in reversed(facts) if f.after.get("payment") != f.before.get("payment"))
    return next(moved, None)


def _with_code(rows: PaymentRows, fact: Transition) -> str:
    operation = next((o for o in rows.operations if o.pk == fact.operation_id), None)
    if operation is None or not operation.code or operation.state != OperationState.DECLINED:
        return fact.because
    return f"{fact.because} {operation.gateway_account.name} answered code {operation.code}."


def _last(facts: list[Transition], kind: str) -> Transition | None:
    return next((f for f in reversed(facts) if f.fact == kind and f.verdict != "no_op"), None)


def _last_that_mattered(facts: list[Transition]) -> Transition | None:
    return next((f for f in reversed(facts) if f.verdict != "no_op"), None)
