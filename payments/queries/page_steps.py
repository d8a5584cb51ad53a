"""What may this person do with a payment now, and what not, why not, and who could? Pure.

The service is the guard: it judges again under the lock. This page says the same beforehand (a test compares the two), so
that nobody presses a button to learn that it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from payments.queries.disputes import refund_barred_by
from payments.queries.page_rows import PaymentRows
from payments.states import AWAITING_STATES, PAID_STATES, PaymentState

S = PaymentState
_CANCELLABLE = AWAITING_STATES | {S.INITIATED, S.VALIDATED, S.AUTHORISED}


@dataclass(frozen=True, slots=True)
class PageStep:
    """One command. `blocked_by` empty: it can be done now, by this person. `means` says what it does."""

    name: str
    label: str
    right: str
    means: str
    blocked_by: str = ""


def steps_of(rows: PaymentRows, rights: Collection[str], not_again: str = "") -> tuple[PageStep, ...]:
    """Capture, cancel, refund, ask the gateway: each with the failed condition, and the roles that could.

    `not_again`: why it may not be tried again, which takes more than these rows to know; empty: it may.
    """
    told = [
        PageStep(name, label, right, means, _blocked(refusal(rows), right, rights, rows))
        for name, label, right, means, refusal in _STEPS
    ]
    short = "accept_short"
    means = "What has come in counts as all of it; the missing rest is given up."
    partly = [PageStep(short, "Accept short…", short, means, _blocked(short_refusal(rows), short, rights, rows))]
    return (*told, *(partly if rows.payment.state == S.PARTIALLY_PAID else []), *_tries(rows, rights, not_again))


def _tries(rows: PaymentRows, rights: Collection[str], not_again: str) -> list[PageStep]:
    """Another try, and taking a planned one back; only where a payment is, or may come to be, between two tries."""
    if rows.payment.state not in {S.FAILED, *AWAITING_STATES}:
        return []
    right, planned = "retry_payment", rows.waiting_retry is not None
    partly = rows.payment.state == S.PARTIALLY_PAID
    label = "Try now…" if planned else "Collect the rest…" if partly else "Try again…"
    means = f"A gateway is asked for {rows.missing if partly else 'the money once more'}, by a new attempt."
    steps = [PageStep("retry", label, right, means, _blocked(not_again, right, rights, rows))]
    if planned:
        means = "It is not tried again by itself: " + (
            "the rest is left open." if partly else "the payment has then failed."
        )
        steps.append(PageStep("cancel_retry", "Cancel the retry…", right, means, _blocked("", right, rights, rows)))
    return steps


def _blocked(refusal: str, right: str, rights: Collection[str], rows: PaymentRows) -> str:
    """The state's no first: it holds for everybody. Then the person's."""
    if refusal:
        return refusal
    if f"payments.{right}" in rights:
        return ""
    could = rows.roles.get(right, ())
    return f"Your roles do not allow it. {_listed(could)} could." if could else "No role allows it."


def _listed(names: tuple[str, ...]) -> str:
    words = " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
    return words[:1].upper() + words[1:]


def capture_refusal(rows: PaymentRows) -> str:
    """Why nothing can be captured now; empty: it can."""
    if rows.payment.state != S.AUTHORISED:
        return f"The payment is {_plain(rows.payment.state)}: only an authorised one can be captured."
    if rows.payment.cancel_requested_at is not None:
        return "Cancelling has been asked: the hold is being released."
    if rows.open_operation is not None:
        return "Another call about this payment is open; its end is awaited first."
    return ""


def cancel_refusal(rows: PaymentRows) -> str:
    """Why it can not be cancelled now."""
    state = S(rows.payment.state)
    if state in PAID_STATES:
        return f"The payment is {_plain(state)}: its money can be refunded, not cancelled."
    if state not in _CANCELLABLE:
        return f"The payment is {_plain(state)}: there is nothing to cancel."
    if rows.payment.cancel_requested_at is not None:
        return "Cancelling has been asked already; it happens as soon as the gateway has let go."
    return ""


def refund_refusal(rows: PaymentRows) -> str:
    """Why nothing can be refunded now."""
    if rows.payment.state not in PAID_STATES:
        return f"The payment is {_plain(rows.payment.state)}: only captured money can be refunded."
    barred = refund_barred_by(rows.disputes)
    if barred:
        return barred
    if not rows.refundable.is_positive:
        return "Everything captured has been refunded, is on its way back, or was charged back."
    return ""


def short_refusal(rows: PaymentRows) -> str:
    """Why less can not be accepted as all of it."""
    if rows.payment.cancel_requested_at is not None:
        return "Cancelling has been asked: what had come in goes back."
    if rows.open_reviews:
        return "A case is open about it: decide that first."
    if rows.open_operation is not None or rows.at_payers_bank is not None:
        return "The rest is being collected: its end is awaited first."
    return "A dispute over what came in is open: it decides first." if rows.payment.money_in_doubt else ""


def ask_refusal(rows: PaymentRows) -> str:
    """Why there is nothing to ask."""
    if not any(operation.sent_at is not None for operation in rows.operations):
        return "No gateway has been asked for anything yet: it knows nothing of this payment."
    return ""


def _plain(state: str) -> str:
    return state.replace("_", " ")


_Refusal = Callable[[PaymentRows], str]
_STEPS: tuple[tuple[str, str, str, str, _Refusal], ...] = (
    ("ask", "Ask the gateway now", "ask_gateway", "Looks it up and records what it says. Moves no money.", ask_refusal),
    ("capture", "Capture…", "capture_payment", "Takes the held money, or a part of it.", capture_refusal),
    ("refund", "Refund…", "refund_payment", "Gives captured money back, or a part of it.", refund_refusal),
    ("cancel", "Cancel…", "cancel_payment", "Ends it once nothing is held or taken, provably.", cancel_refusal),
)
