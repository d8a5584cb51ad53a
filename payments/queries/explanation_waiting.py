"""Whom does a payment wait for, since when, until when, and what happens by itself then? Out of rows and a moment. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.moments import distance_in_words
from payments.models import GatewayAccount, LookUp, Operation, Refund, Review, Switch
from payments.queries.explanation_tries import is_closing
from payments.queries.page_rows import PaymentRows
from payments.states import (
    COLLECTING,
    DEAD_REFUND_STATES,
    FINAL_STATES,
    OperationKind,
    OperationState,
    PaymentState,
    RefundState,
    ReviewKind,
    Waits,
)

CALL_WORDS = {
    OperationKind.SALE: "sale",
    OperationKind.AUTHORISE: "authorisation",
    OperationKind.CAPTURE: "capture",
    OperationKind.VOID: "void",
    OperationKind.REFUND: "refund",
    OperationKind.CLOSE: "closing",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing waited for. `until` None: nothing happens by itself. `then` says what does; `progress` how far it is.

    `until_word` stands before the moment: the next step comes then ("next"), or it ends then ("until", "due").
    """

    whom: str
    since: datetime | None
    until: datetime | None
    then: str
    progress: str = ""
    anchor: str = ""
    overdue: bool = False
    until_word: str = "next"


def waitings(rows: PaymentRows, now: datetime) -> tuple[Waiting, ...]:
    """The payment's own wait first, then every refund and review that waits beside it."""
    own = _own(rows, now)
    refunds = [w for refund in rows.refunds if (w := _refund(rows, refund, now)) is not None]
    reviews = [_review(review, now) for review in rows.open_reviews]
    return tuple([w for w in (own,) if w is not None] + refunds + reviews)


def _own(rows: PaymentRows, now: datetime) -> Waiting | None:
    """None for a final state, and where the wait is one of the reviews or refunds listed on their own."""
    operation = rows.open_operation
    if operation is not None and operation.refund_id is None:
        return _operation(rows, operation, now)
    payment = rows.payment
    if payment.state in FINAL_STATES and not payment.waits_for:
        return None
    if payment.waits_for == Waits.LOOK_UP:
        then = "It is asked what truly happened, and its word is applied."
        return _due("a look-up at the gateway", payment.updated_at, payment.next_check_at, then, now)
    if payment.state == PaymentState.AUTHORISED and payment.cancel_requested_at is None:
        return _merchant(rows, now)
    if payment.waits_for == Waits.OPERATOR:
        return None
    if payment.state == PaymentState.PARTIALLY_PAID and payment.waits_for == Waits.MERCHANT:
        return _rest(rows, now)
    if payment.waits_for in _OWN_WAITS:
        return _OWN_WAITS[Waits(payment.waits_for)](rows, now)
    then = f"{_next_step(rows, now)} If no worker does it by then, the sweep does."
    return _due("our own worker", payment.updated_at, payment.next_check_at, then, now)


def _due(whom: str, since: datetime | None, until: datetime | None, then: str, now: datetime, **more: str) -> Waiting:
    return Waiting(whom, since, until, then, overdue=until is not None and until < now, **more)


def _payer(rows: PaymentRows, now: datetime) -> Waiting:
    """Until the window closes; we go on asking, so that a payer who never comes back has paid all the same."""
    attempt = rows.at_payers_bank
    gateway = attempt.gateway_account.name if attempt else "the gateway"
    asked = f" next {clock_time(rows.payment.next_check_at, now)}" if rows.payment.next_check_at else ""
    then = f"If they have not, it is closed at {gateway}, and then the payment has expired."
    return _due(
        "the payer to confirm at their bank", attempt.created_at if attempt else None, rows.payment.expires_at, then,
        now, until_word="until", progress=f"{gateway} is asked again and again meanwhile,{asked}.",
        anchor=attempt.public_id if attempt else "",
    )  # fmt: skip


def _retry(rows: PaymentRows, now: datetime) -> Waiting:
    retry = rows.waiting_retry
    then = "Every gateway may be asked anew, by priority. The card networks' ceilings and each gateway's health count then."
    expires = f"If it is not paid by {clock_time(rows.payment.expires_at, now)}, it expires."
    return _due(
        "the next try", retry.planned_at if retry else None, rows.payment.next_check_at, then, now, progress=expires,
        anchor=retry.public_id if retry else "",
    )  # fmt: skip


def _switch(rows: PaymentRows, now: datetime) -> Waiting:
    """A person's stop is named; a pause, a breaker or a cap of the gateway is told by the account's page."""
    stop, payment = rows.stopped, rows.payment
    whom = "a gateway that may be asked" if stop is None else "sending to be resumed"
    progress = "Its gateways are paused, not healthy, or busy: see Gateway accounts."
    if stop is not None:
        what = "All sending is" if stop.kind == Switch.Kind.EVERYTHING else "New charges are"
        progress = f"{what} stopped since {clock_time(stop.thrown_at, now)} by {stop.thrown_by}: {stop.because}"
    then = f"It is looked at again by itself. Unpaid by {clock_time(payment.expires_at, now)}, it expires."
    return _due(whom, payment.updated_at, payment.next_check_at, then, now, progress=progress)


_OWN_WAITS: dict[Waits, Callable[[PaymentRows, datetime], Waiting]] = {
    Waits.PAYER: _payer,
    Waits.RETRY: _retry,
    Waits.SWITCH: _switch,
}


def _next_step(rows: PaymentRows, now: datetime) -> str:
    attempt = rows.at_payers_bank
    if attempt is not None and is_closing(rows, attempt, now):
        return f"{attempt.gateway_account.name} is asked to close it."
    match rows.payment.state:
        case PaymentState.INITIATED:
            return "It is checked."
        case PaymentState.VALIDATED:
            return "A gateway is chosen and asked."
        case PaymentState.AUTHORISED:
            return "The gateway is asked to release the hold."
        case _:
            return "The next step is run."


def _merchant(rows: PaymentRows, now: datetime) -> Waiting:
    until, gateway = rows.payment.hold_until, rows.account.name if rows.account else "the gateway"
    seconds = rows.account.hold_warning_seconds if rows.account else 86400
    then = f"{gateway} is asked whether the hold still lives."
    warned = any(review.kind == "hold_ending" for review in rows.open_reviews)
    if until is not None and not warned:
        warning = until - timedelta(seconds=seconds)
        then = f"{_sentence(warning, now)} a review opens for an operator. When the hold ends, {then}"
    since = next((m.occurred_at for m in reversed(rows.movements) if m.released_at is None), None)
    return _due("the merchant to capture or cancel", since, until, then, now, until_word="until")


def _rest(rows: PaymentRows, now: datetime) -> Waiting:
    """Nothing collects the rest by itself: a person does, takes the part as all, or lets the window close."""
    payment = rows.payment
    then = f"The payment expires: the {rows.standing_part} that came in are owed back, and a case opens."
    return _due(
        "somebody to collect the rest, accept it short or cancel", payment.updated_at, payment.expires_at, then, now,
        until_word="until",
    )  # fmt: skip


def _sentence(at: datetime, now: datetime) -> str:
    """ "At 14:47 (in 9 min)"."""
    return f"At {clock_time(at, now)} ({distance_in_words(at, now)})"


def clock_time(at: datetime, now: datetime) -> str:
    """The hour of the same day, else day and hour; UTC."""
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%d %b %H:%M}"


def _operation(rows: PaymentRows, operation: Operation, now: datetime) -> Waiting:
    gateway, word = operation.gateway_account.name, CALL_WORDS[OperationKind(operation.kind)]
    if operation.state == OperationState.PLANNED and operation.waits_for == Waits.SWITCH:
        return _switch(rows, now)
    if operation.state == OperationState.PLANNED:
        then = f"The {word} is sent to {gateway}. If no worker does it by then, the sweep does."
        return _due(
            "our own worker", operation.planned_at, operation.next_check_at, then, now, anchor=operation.public_id
        )
    if operation.state == OperationState.SENT:
        then = f"Without an answer the outcome counts as unknown, and {gateway} is looked up. Nothing is sent again."
        return _due(
            f"{gateway} to answer the {word}", operation.sent_at, operation.done_before, then, now,
            anchor=operation.public_id, until_word="until",
        )  # fmt: skip
    then = (
        f"{gateway} is asked again what became of the {word}. Found: its outcome is recorded. {_if_absent(operation)}"
    )
    return _due(
        f"a look-up at {gateway}", operation.sent_at, operation.next_check_at, then, now,
        progress=look_up_progress(rows, operation, now), anchor=operation.public_id,
    )  # fmt: skip


def _if_absent(operation: Operation) -> str:
    if operation.kind in COLLECTING:
        return "Proven absent: nothing was taken, and the payment fails."
    if operation.kind == OperationKind.CAPTURE:
        return "Proven absent: a review opens, the hold lives on."
    return "Proven absent: it is asked for again."


def look_up_progress(rows: PaymentRows, operation: Operation, now: datetime) -> str:
    """How far the proof of absence is: "3 of at least 5 answered look-ups…, at the earliest 14:32 (in 9 min)"."""
    account = operation.gateway_account
    answered, wanted = operation.look_ups_answered, account.absence_look_ups
    parts = [f"{answered} of at least {wanted} answered look-ups without a trace."]
    earliest = absence_earliest(operation, account)
    if earliest is not None and earliest > now:
        parts.append(
            f"Absence is proven at the earliest {clock_time(earliest, now)} ({distance_in_words(earliest, now)})."
        )
    elif answered >= wanted:
        parts.append("The waiting time is over: the next answered look-up can prove absence.")
    if operation.look_ups_unanswered:
        count = operation.look_ups_unanswered
        parts.append(
            f"{count} look-up{'s' if count > 1 else ''} got no answer and prove{'' if count > 1 else 's'} nothing."
        )
    if _still_working(rows.look_ups, operation):
        parts.append("The gateway itself says that it is still working on it.")
    if not any(review.kind == ReviewKind.LOOKUP_EXHAUSTED for review in rows.open_reviews):
        parts.append(f"After {account.look_up_limit} answered look-ups without a conclusion a review opens.")
    return " ".join(parts)


def absence_earliest(operation: Operation, account: GatewayAccount) -> datetime | None:
    """Before this nothing proves absence. The account's numbers are never below its adapter's own rule."""
    if operation.done_before is None:
        return None
    return operation.done_before + timedelta(seconds=account.absence_seconds)


def _still_working(look_ups: list[LookUp], operation: Operation) -> bool:
    mine = [look_up for look_up in look_ups if look_up.operation_id == operation.pk]
    return bool(mine) and mine[-1].result == LookUp.Result.IN_PROGRESS


def _refund(rows: PaymentRows, refund: Refund, now: datetime) -> Waiting | None:
    if refund.state in DEAD_REFUND_STATES | {RefundState.REQUESTED, RefundState.SUCCEEDED, RefundState.RETURNED}:
        return None  # one that is only prepared waits for its review, which is listed itself
    operation = rows.open_operation
    if operation is not None and operation.refund_id == refund.pk:
        return _operation(rows, operation, now)
    if refund.waits_for == Waits.SETTLEMENT:
        then = f"The refund of {refund.money} is tried again every hour; once its batch is settled it goes out."
        if refund.waits_until is not None:
            then += f" {_sentence(refund.waits_until, now)} a review opens if it has not."
        return _due(
            "the gateway's next settlement batch", refund.updated_at, refund.next_check_at, then, now,
            progress=refund.waits_because.capitalize(), anchor=refund.public_id,
        )  # fmt: skip
    then = f"The refund of {refund.money} takes its next step."
    return _due(
        "our own worker", refund.updated_at, refund.next_check_at, then, now,
        progress=refund.waits_because.capitalize(), anchor=refund.public_id,
    )  # fmt: skip


def _review(review: Review, now: datetime) -> Waiting:
    then = "Nothing happens by itself: past this time the case turns red and stays open."
    return _due(
        "an operator to decide the review",
        review.opened_at,
        review.due_at,
        then,
        now,
        anchor=review.public_id,
        until_word="due",
    )
