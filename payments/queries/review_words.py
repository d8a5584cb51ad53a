"""What is each kind of case called, and which question does it put to a person? Words only."""

from __future__ import annotations

from payments.states import ReviewKind

K = ReviewKind
QUESTIONS: dict[ReviewKind, tuple[str, str]] = {
    K.CAPTURED_AFTER_CANCEL: (
        "Money after cancelling",
        "The payment was cancelled, then money came in. What is it for?",
    ),
    K.CAPTURED_AFTER_REFUND: (
        "Money after refund",
        "All of it had gone back, then money came in again. What is it for?",
    ),
    K.CAPTURED_AFTER_EXPIRY: ("Money after expiry", "The payment had lapsed when money came in. Does it still pay it?"),
    K.LATE_SUCCESS_SIBLING_PAID: (
        "Paid twice by two payments",
        "Another payment of the same order is open or paid, and this one succeeded late. Which one stands?",
    ),
    K.SECOND_CAPTURE: ("Double capture", "More money was captured than the payment asks. What is the rest for?"),
    K.AMOUNT_MISMATCH: ("Other amount", "The gateway moved another amount than was asked. Is that right?"),
    K.CURRENCY_MISMATCH: ("Other currency", "The gateway moved another currency than was asked. What becomes of it?"),
    K.ORPHAN: ("Money of no payment", "Money moved on our account and no payment of ours asked for it. Whose is it?"),
    K.REFUND_BEYOND_CAP: (
        "Refunded more than captured",
        "More money went back than had come in. Was that meant?",
    ),
    K.LATE_AUTHORISATION: (
        "Hold nobody needs",
        "The gateway holds money for a payment that is over. May it be released?",
    ),
    K.LOOKUP_EXHAUSTED: (
        "The gateway cannot tell",
        "The gateway was asked again and again and gives no conclusion. Did it happen or not?",
    ),
    K.DUPLICATE_OF_OTHER_PAYMENT: (
        "Taken for a duplicate",
        "The gateway refused it as a duplicate of another payment. Is it meant, and shall it be sent again?",
    ),
    K.CAPTURE_FAILED: ("Capture failed", "The held money could not be captured. Does the merchant know?"),
    K.VOID_FAILED: ("Release failed", "The hold could not be released. Does it end by itself?"),
    K.REFUND_FAILED: ("Refund failed", "The refund was refused for good. How does the money go back?"),
    K.REFUND_OVERDUE: ("Refund overdue", "The refund waits for longer than it should. What holds it up?"),
    K.HOLD_ENDING: ("Hold ends soon", "The hold ends soon and nothing was captured. Shall the merchant capture now?"),
    K.TEST_MODE_MONEY: (
        "Test money on a live account",
        "The gateway says this was a test. Why is it on a live account?",
    ),
    K.DISPUTE: (
        "Disputed",
        "The payer's bank takes it back or asks about it. Is it contested with evidence, or accepted?",
    ),
    K.DISPUTE_LOST: ("Dispute lost", "The money is gone and booked as a loss. What is there to learn or to do?"),
    K.REFUND_RETURNED: (
        "Refund came back",
        "A refund that had gone out came back. The payer is still owed: how do they get it?",
    ),
    K.PAYMENT_STOPPED: (
        "Payment stopped",
        "The gateway refused for a reason that no payer can mend. What has to be put right?",
    ),
    K.PART_TO_RETURN: (
        "Part to give back",
        "The payment has ended with a part of it paid. That part is owed back and its refund is prepared: shall it go out?",
    ),
    K.CLOSE_FAILED: (
        "Could still be paid",
        "What the payer could still finish at the gateway could not be taken away. Is it closed there?",
    ),
}
REASON_WORDS = {
    "customer_request": "The payer asks for it",
    "duplicate": "Duplicate",
    "fraud": "Fraud",
    "late_money": "Money came late",
    "short_money": "Too little money",
    "excess": "Too much money",
    "gateway_error": "The gateway's error, corrected",
    "our_error": "Our error, corrected",
    "other": "Something else (say what in the note)",
}
