"""By which word, icon and tone is each state shown? Tables; colour never speaks alone. Decides nothing."""

from __future__ import annotations

from console.values import Chip, Tone
from payments.models import Attempt, Operation, Payer, Payment, Refund, Retry, Review
from payments.states import (
    AttemptState,
    Certainty,
    MovementKind,
    OperationState,
    PaymentState,
    RefundState,
    RetryState,
    ReviewState,
    Waits,
)

P, O, R = PaymentState, OperationState, RefundState  # noqa: E741 - the tables below read better with one letter

_PAYMENT: dict[PaymentState, tuple[Tone, str, str]] = {
    P.INITIATED: (Tone.INFO, "hourglass_empty", "Stored, nothing checked yet"),
    P.VALIDATED: (Tone.INFO, "fact_check", "Checked, no gateway asked yet"),
    P.PENDING: (Tone.INFO, "sync", "An attempt is open"),
    P.PARTIALLY_PAID: (Tone.WARN, "incomplete_circle", "Some money in, less than due"),
    P.AUTHORISED: (Tone.INFO, "lock_clock", "The gateway holds the money; nothing is taken"),
    P.CAPTURED: (Tone.GOOD, "check_circle", "Paid: final at the gateway"),
    P.SETTLED: (Tone.GOOD, "verified", "Paid, and in a closed batch"),
    P.RECONCILED: (Tone.GOOD, "done_all", "Paid, settled and matched"),
    P.FAILED: (Tone.QUIET, "close", "Every attempt failed; nothing was taken"),
    P.EXPIRED: (Tone.QUIET, "timer_off", "Its window closed unpaid"),
    P.CANCELLED: (Tone.QUIET, "block", "Nothing taken, proven"),
    P.REFUNDED: (Tone.QUIET, "undo", "Everything captured has gone back"),
    P.CHARGED_BACK: (Tone.BAD, "gavel", "Taken back by the payer's bank"),
}
_OPERATION: dict[OperationState, tuple[Tone, str]] = {
    O.PLANNED: (Tone.INFO, "pending"),
    O.SENT: (Tone.INFO, "send"),
    O.SUCCEEDED: (Tone.GOOD, "check_circle"),
    O.DECLINED: (Tone.WARN, "do_not_disturb_on"),
    O.FAILED: (Tone.QUIET, "close"),
    O.UNKNOWN: (Tone.WARN, "help"),
}
_ATTEMPT: dict[AttemptState, tuple[Tone, str]] = {
    AttemptState.OPEN: (Tone.INFO, "sync"),
    AttemptState.AUTHORISED: (Tone.INFO, "lock_clock"),
    AttemptState.CAPTURED: (Tone.GOOD, "check_circle"),
    AttemptState.DECLINED: (Tone.WARN, "do_not_disturb_on"),
    AttemptState.FAILED: (Tone.QUIET, "close"),
    AttemptState.VOIDED: (Tone.QUIET, "undo"),
    AttemptState.LAPSED: (Tone.QUIET, "timer_off"),
}
_REFUND: dict[RefundState, tuple[Tone, str]] = {
    R.REQUESTED: (Tone.INFO, "hourglass_empty"),
    R.APPROVED: (Tone.INFO, "fact_check"),
    R.WAITING: (Tone.INFO, "schedule"),
    R.SENT: (Tone.INFO, "send"),
    R.SUCCEEDED: (Tone.GOOD, "check_circle"),
    R.FAILED: (Tone.BAD, "error"),
    R.UNKNOWN: (Tone.WARN, "help"),
    R.RETURNED: (Tone.BAD, "keyboard_return"),
    R.CANCELLED: (Tone.QUIET, "block"),
}
_CERTAINTY = {
    Certainty.NOT_SENT: Chip("not sent", Tone.QUIET, "unpublished", "The gateway provably never processed it"),
    Certainty.REFUSED: Chip("nothing taken", Tone.QUIET, "verified_user", "Processed, and nothing was taken"),
    Certainty.TAKEN: Chip("done", Tone.GOOD, "task_alt", "The gateway did what we asked"),
    Certainty.UNKNOWN: Chip("may have happened", Tone.WARN, "help", "Only a look-up can tell"),
}
_WAITS = {
    Waits.WORKER: "our worker",
    Waits.GATEWAY: "the gateway's answer",
    Waits.LOOK_UP: "a look-up",
    Waits.MERCHANT: "capture or cancel",
    Waits.OPERATOR: "an operator",
    Waits.SETTLEMENT: "the next batch",
    Waits.PAYER: "the payer",
    Waits.RETRY: "the next try",
    Waits.SWITCH: "sending to resume",
}
MOVEMENT_WORDS = {
    MovementKind.AUTHORISATION: "Hold",
    MovementKind.CAPTURE: "Capture",
    MovementKind.VOID: "Void",
    MovementKind.REFUND: "Refund",
    MovementKind.REFUND_RETURN: "Refund came back",
    MovementKind.CHARGEBACK: "Chargeback",
    MovementKind.CHARGEBACK_RETURN: "Chargeback given back",
    MovementKind.FEE: "Dispute fee",
}
NEEDS_A_PERSON = Chip("needs a person", Tone.BAD, "person_alert", "An open review waits for a decision")
POSSIBLE_DUPLICATE = Chip(
    "possible duplicate", Tone.WARN, "content_copy", "Same payer, amount and currency a short while before"
)
LATE_SUCCESS = Chip("late success", Tone.WARN, "update", "Paid after it had been given up")
DISPUTED = Chip("disputed", Tone.BAD, "gavel", "A dispute over its money is open")
CANCEL_ASKED = Chip("cancel asked", Tone.INFO, "pending_actions", "It happens as soon as the gateway has let go")


_PENDING = {
    Waits.PAYER: Chip("pending, payer's turn", Tone.INFO, "person", "The payer has to confirm it at their bank"),
    Waits.RETRY: Chip("pending, retry planned", Tone.INFO, "schedule", "It was refused, and is tried again by itself"),
    Waits.SWITCH: Chip("pending, held back", Tone.WARN, "front_hand", "Sending is stopped, or no gateway may be asked"),
}


def plain(state: str) -> str:
    """A state as people read it."""
    return state.replace("_", " ").replace("lookup", "look-up")


def payment_chip(payment: Payment) -> Chip:
    tone, icon, hint = _PAYMENT[PaymentState(payment.state)]
    if payment.waits_for == Waits.LOOK_UP and payment.state == P.PENDING:
        return Chip("pending, unknown", Tone.WARN, "help", "Nobody knows yet whether the gateway took the money")
    if payment.state == P.PENDING and payment.waits_for in _PENDING:
        return _PENDING[Waits(payment.waits_for)]
    return Chip(plain(payment.state), tone, icon, hint)


def flags(payment: Payment, *, needs_a_person: bool) -> list[Chip]:
    """What stands beside the state, most urgent first."""
    found = [NEEDS_A_PERSON] if needs_a_person else []
    if payment.money_in_doubt:
        found.append(DISPUTED)
    if payment.possible_duplicate_of_id is not None:
        found.append(POSSIBLE_DUPLICATE)
    if payment.late_success:
        found.append(LATE_SUCCESS)
    if payment.cancel_requested_at is not None and payment.state in {P.PENDING, P.AUTHORISED}:
        found.append(CANCEL_ASKED)
    return found


def operation_chip(operation: Operation) -> Chip:
    tone, icon = _OPERATION[OperationState(operation.state)]
    return Chip(operation.state, tone, icon)


def certainty_chip(operation: Operation) -> Chip | None:
    return _CERTAINTY[Certainty(operation.certainty)] if operation.certainty else None


def attempt_chip(attempt: Attempt) -> Chip:
    tone, icon = _ATTEMPT[AttemptState(attempt.state)]
    return Chip(attempt.state, tone, icon)


def refund_chip(refund: Refund) -> Chip:
    tone, icon = _REFUND[RefundState(refund.state)]
    return Chip(refund.state, tone, icon)


_RETRY = {
    RetryState.WAITING: Chip("planned", Tone.INFO, "schedule"),
    RetryState.DONE: Chip("made", Tone.QUIET, "task_alt"),
    RetryState.CANCELLED: Chip("cancelled", Tone.QUIET, "block"),
}


def retry_chip(retry: Retry) -> Chip:
    return _RETRY[RetryState(retry.state)]


def review_chip(review: Review) -> Chip:
    if review.state == ReviewState.OPEN:
        return Chip("open", Tone.BAD, "person_alert")
    settled = review.state == ReviewState.SETTLED
    return Chip("answered by the gateway" if settled else "decided", Tone.QUIET, "task_alt" if settled else "gavel")


def waits_words(waits_for: str) -> str:
    """Whom a row waits for, in a few words; empty if for nothing."""
    return _WAITS.get(Waits(waits_for), "")


def masked_email(address: str) -> str:
    """Enough to recognise, too little to write to: "o•••@example.com"."""
    name, at, host = address.partition("@")
    return f"{name[:1]}•••{at}{host}"


def masked_payer(payer: Payer | None) -> str:
    """Who paid, masked: name as first name and initial, else the address; None stays empty."""
    if payer is None:
        return ""
    names = payer.name.split()
    if names:
        return names[0] + (f" {names[-1][:1]}." if len(names) > 1 else "")
    return masked_email(payer.email) if payer.email else payer.external_id
