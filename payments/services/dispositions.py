"""Which decisions does each kind of review offer, which is recommended, and which is not possible here and why? A table; it
writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from payments.models import Review
from payments.states import AWAITING_STATES, OPEN_DISPUTE_STATES, PAID_STATES, PaymentState, RefundState, ReviewKind

K = ReviewKind
_MONEY_IN = frozenset(
    {
        K.CAPTURED_AFTER_CANCEL,
        K.CAPTURED_AFTER_REFUND,
        K.CAPTURED_AFTER_EXPIRY,
        K.LATE_SUCCESS_SIBLING_PAID,
        K.SECOND_CAPTURE,
        K.AMOUNT_MISMATCH,
        K.CURRENCY_MISMATCH,
        K.ORPHAN,
        K.REFUND_FAILED,
        K.REFUND_RETURNED,
        K.REFUND_BEYOND_CAP,
    }
)
# Money in that may have no other way out: no payment of ours made it, or giving it back was refused.
_MAY_STAY = frozenset({K.ORPHAN, K.REFUND_FAILED, K.REFUND_RETURNED})


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to decide. `lines` say what it writes; `kinds` which cases offer it; `best_for` where it is recommended."""

    code: str
    label: str
    explanation: str
    lines: tuple[str, ...]
    kinds: frozenset[ReviewKind]
    best_for: frozenset[ReviewKind] = field(default_factory=frozenset)
    needs_money: bool | None = None

    def fits(self, review: Review) -> bool:
        if self.needs_money is not None and self.needs_money != bool(review.held_on):
            return False
        return review.kind in self.kinds

    def recommended_for(self, review: Review) -> bool:
        return review.kind in self.best_for


CHOICES: tuple[Choice, ...] = (
    Choice(
        "refund",
        "Give it back",
        "The payer gets the money back by void or refund, whichever the gateway allows now.",
        (
            "Debit {account} {money}, credit refunds payable {money}.",
            "The gateway is asked to give {money} back; when it confirms: debit refunds payable, credit receivable.",
        ),
        _MONEY_IN,
        frozenset(
            {
                K.CAPTURED_AFTER_CANCEL,
                K.CAPTURED_AFTER_REFUND,
                K.LATE_SUCCESS_SIBLING_PAID,
                K.SECOND_CAPTURE,
                K.CURRENCY_MISMATCH,
                K.REFUND_FAILED,
                K.REFUND_RETURNED,
            }
        ),
        needs_money=True,
    ),
    Choice(
        "apply_here",
        "Let it pay this payment",
        "The money pays this payment after all; the payment becomes captured.",
        ("Debit {account} {money}, credit sales {money}.", "The payment becomes captured."),
        _MONEY_IN - {K.ORPHAN, K.REFUND_FAILED, K.REFUND_RETURNED},
        frozenset({K.CAPTURED_AFTER_EXPIRY, K.AMOUNT_MISMATCH}),
        needs_money=True,
    ),
    Choice(
        "apply_to_other",
        "Let it pay another payment",
        "The money belongs to another payment that failed or expired over the same amount.",
        ("Debit {account} {money}, credit sales {money}.", "{target} becomes captured."),
        _MONEY_IN - {K.REFUND_BEYOND_CAP, K.REFUND_RETURNED},
        frozenset({K.ORPHAN}),
        needs_money=True,
    ),
    Choice(
        "wallet",
        "Keep it as the payer's balance",
        "The money becomes the payer's wallet balance with us.",
        ("Debit {account} {money}, credit customer wallet {money}.",),
        _MONEY_IN - {K.ORPHAN},
        needs_money=True,
    ),
    Choice(
        "adopt",
        "Accept the gateway's amount",
        "What the gateway moved beyond our books stands: it is taken out of sales, or into them.",
        ("What went out: debit sales, credit {account}. What came in: debit {account}, credit sales.",),
        frozenset(
            {
                K.AMOUNT_MISMATCH,
                K.CURRENCY_MISMATCH,
                K.REFUND_BEYOND_CAP,
                K.ORPHAN,
                K.REFUND_FAILED,
                K.REFUND_RETURNED,
            }
        ),
        frozenset({K.REFUND_BEYOND_CAP}),
        needs_money=True,
    ),
    Choice(
        "hold_until",
        "Wait until a date",
        "The money stays where it is; the case comes back on the date.",
        ("Nothing is posted; the case is due again on the date.",),
        frozenset(K),
    ),
    Choice(
        "void_hold",
        "Release the hold",
        "The gateway is asked to void the authorisation that nobody needs.",
        ("The gateway is asked to void the hold.",),
        frozenset({K.LATE_AUTHORISATION}),
        frozenset({K.LATE_AUTHORISATION}),
        needs_money=False,
    ),
    Choice(
        "send_again",
        "Send it again",
        "A new attempt is made, marked as no duplicate.",
        ("A new attempt is opened and sent to the gateway with its duplicate check off.",),
        frozenset({K.DUPLICATE_OF_OTHER_PAYMENT}),
        frozenset({K.DUPLICATE_OF_OTHER_PAYMENT}),
        needs_money=False,
    ),
    Choice(
        "give_up",
        "Give the payment up",
        "Nothing was taken; the payment fails.",
        ("The payment becomes failed; nothing is posted.",),
        frozenset({K.DUPLICATE_OF_OTHER_PAYMENT}),
        needs_money=False,
    ),
    Choice(
        "give_back",
        "Give the part back",
        "The rest of the payment never came. What had come in goes back to the payer by the refunds that are prepared.",
        (
            "Each prepared refund is sent, by void or refund, whichever the gateway allows now.",
            "When it confirms: debit refunds payable, credit receivable.",
        ),
        frozenset({K.PART_TO_RETURN}),
        frozenset({K.PART_TO_RETURN}),
        needs_money=False,
    ),
    Choice(
        "never_happened",
        "It never happened",
        "You have seen in the gateway's own dashboard that this call left no trace.",
        ("The operation fails as proven absent on your word; later money still counts if it comes.",),
        frozenset({K.LOOKUP_EXHAUSTED}),
        frozenset({K.LOOKUP_EXHAUSTED}),
        needs_money=False,
    ),
    Choice(
        "contest",
        "Contest it",
        "The evidence goes to the issuer through the gateway's own dashboard: nothing is sent from here. The case comes back"
        " three days before the evidence is due, unless the gateway has it by then.",
        ("Nothing is posted. Upload the evidence in the gateway's dashboard before its date.",),
        frozenset({K.DISPUTE}),
        frozenset({K.DISPUTE}),
        needs_money=False,
    ),
    Choice(
        "accept_dispute",
        "Accept it",
        "The payer is right, or it is not worth the work. Accept it in the gateway's own dashboard as well: nothing is sent"
        " from here. A mere inquiry can then be answered by a refund.",
        (
            "Nothing is posted now: what was taken stays a claim until the gateway says that the dispute is lost; then debit"
            " chargeback losses, credit disputed funds.",
        ),
        frozenset({K.DISPUTE}),
        needs_money=False,
    ),
    Choice(
        "noted",
        "Noted",
        "Seen and dealt with; nothing is posted.",
        ("Nothing is posted.",),
        frozenset(
            {
                K.PAYMENT_STOPPED,
                K.CAPTURE_FAILED,
                K.VOID_FAILED,
                K.REFUND_FAILED,
                K.REFUND_OVERDUE,
                K.HOLD_ENDING,
                K.TEST_MODE_MONEY,
                K.AMOUNT_MISMATCH,
                K.ORPHAN,
                K.LATE_AUTHORISATION,
                K.CURRENCY_MISMATCH,
                K.REFUND_BEYOND_CAP,
                K.DISPUTE_LOST,
            }
        ),
        frozenset(
            {K.DISPUTE_LOST, K.CAPTURE_FAILED, K.VOID_FAILED, K.REFUND_OVERDUE, K.HOLD_ENDING, K.TEST_MODE_MONEY}
        ),
        needs_money=False,
    ),
)


def refusal_of(choice: Choice, review: Review) -> str:
    """Why this decision is not possible in this case; empty if it is."""
    if not choice.fits(review):
        return "This kind of case is not decided that way."
    if choice.code in {"refund", "wallet", "apply_to_other", "apply_here"} and review.held_minor <= 0:
        return "The case holds no money to give: it stands for money that went out."
    if choice.code == "adopt" and review.held_minor > 0 and review.kind not in _MAY_STAY:
        return "The case holds money that came in: say what it is for."
    check = _CHECKS.get(choice.code)
    return check(review) if check else ""


def _may_refund(review: Review) -> str:
    if review.payment_id is None or review.attempt is None:
        return (
            "No payment of ours made it: give it back in the gateway's own dashboard, the case then closes by itself."
        )
    disputed = review.payment.disputes.filter(  # type: ignore[union-attr]  # asked for just above
        gateway_account=review.gateway_account_id,
        charge_id=review.gateway_id,
        state__in=[state.value for state in OPEN_DISPUTE_STATES],
    )
    if disputed.exists():
        return "A dispute over this transaction is open: it decides what goes back."
    return ""


def _may_apply(review: Review) -> str:
    payment = review.payment
    if payment is None:
        return "There is no payment to apply it to."
    if payment.currency != review.currency:
        return f"The payment is in {payment.currency}, the money in {review.currency}."
    paid = PaymentState(payment.state) in PAID_STATES
    if paid and review.kind != ReviewKind.AMOUNT_MISMATCH:
        return "The payment is paid already."
    if payment.state in {PaymentState.REFUNDED, PaymentState.CHARGED_BACK}:
        return f"The payment is {payment.state}: it owes nothing."
    return ""


def _may_be_wallet(review: Review) -> str:
    payer = review.payment.payer if review.payment else None
    return "" if payer is not None and payer.fingerprint else "The payer is not known by id or e-mail."


def _still_waits(review: Review) -> str:
    payment = review.payment
    if payment is None or payment.state not in AWAITING_STATES:
        return f"The payment is {payment.state if payment else 'unknown'}: it waits for nothing any more."
    return ""


def _took_nothing(review: Review) -> str:
    if review.payment is not None and review.payment.state == PaymentState.PARTIALLY_PAID:
        return "A part of it has come in: cancel the payment, and that part goes back."
    return _still_waits(review)


def _is_of_dispute(review: Review) -> str:
    """Accepting is said of a dispute that still asks."""
    dispute = review.dispute
    return "" if dispute is not None and dispute.state in OPEN_DISPUTE_STATES else "The dispute is over."


def _is_prepared(review: Review) -> str:
    payment = review.payment
    prepared = payment is not None and payment.refunds.filter(state=RefundState.REQUESTED).exists()
    return "" if prepared else "No refund waits to be sent any more."


_CHECKS = {
    "give_back": _is_prepared,
    "contest": _is_of_dispute,
    "accept_dispute": _is_of_dispute,
    "refund": _may_refund,
    "apply_here": _may_apply,
    "wallet": _may_be_wallet,
    "send_again": _still_waits,
    "give_up": _took_nothing,
}
