"""Which values may each machine be in? Plain StrEnums, so that pure code can import them; this file decides nothing."""

from __future__ import annotations

from enum import StrEnum


class PaymentState(StrEnum):
    """The life of what is owed. Promises are one-way; amounts are never stored here, they are sums of movements."""

    INITIATED = "initiated"  # intent stored, nothing checked
    VALIDATED = "validated"  # checks passed, no attempt open
    PENDING = "pending"  # an attempt is open; waits_for says on whom
    PARTIALLY_PAID = "partially_paid"  # some money in, less than due
    AUTHORISED = "authorised"  # hold at the gateway, hold_until known
    CAPTURED = "captured"  # "Paid": final at the gateway
    SETTLED = "settled"  # every capture in a closed batch or payout
    RECONCILED = "reconciled"  # every movement matched; set by reconciliation only
    FAILED = "failed"  # every attempt finally failed
    EXPIRED = "expired"  # window closed, or the hold lapsed by the gateway's word
    CANCELLED = "cancelled"  # nothing taken, proven
    REFUNDED = "refunded"  # all captured money returned, by refund or void
    CHARGED_BACK = "charged_back"  # dispute finally lost


PAID_STATES = frozenset({PaymentState.CAPTURED, PaymentState.SETTLED, PaymentState.RECONCILED})
FINAL_STATES = PAID_STATES | {
    PaymentState.FAILED,
    PaymentState.EXPIRED,
    PaymentState.CANCELLED,
    PaymentState.REFUNDED,
    PaymentState.CHARGED_BACK,
}
# Money is still to come: an attempt may be open, and the payer may have to confirm it.
AWAITING_STATES = frozenset({PaymentState.PENDING, PaymentState.PARTIALLY_PAID})
# A new payment of the same reference is refused while one of these exists.
OPEN_OR_PAID_STATES = PAID_STATES | {
    PaymentState.INITIATED,
    PaymentState.VALIDATED,
    PaymentState.PENDING,
    PaymentState.PARTIALLY_PAID,
    PaymentState.AUTHORISED,
}


class AttemptState(StrEnum):
    """One try to collect through one gateway."""

    OPEN = "open"  # may have taken or can still take money
    AUTHORISED = "authorised"  # a hold lives at the gateway
    CAPTURED = "captured"  # has taken money
    DECLINED = "declined"  # the gateway or issuer said no
    FAILED = "failed"  # never reached the gateway, or proven absent
    VOIDED = "voided"  # closed at the gateway, confirmed
    LAPSED = "lapsed"  # the hold ended by itself


OPEN_ATTEMPT_STATES = frozenset({AttemptState.OPEN, AttemptState.AUTHORISED})


class OperationKind(StrEnum):
    """One call across the boundary."""

    SALE = "sale"
    AUTHORISE = "authorise"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    CLOSE = "close"  # what the payer could still finish at the gateway is taken away from them


COLLECTING = frozenset({OperationKind.SALE, OperationKind.AUTHORISE})


class OperationState(StrEnum):
    """planned -> sent -> succeeded | declined | failed | unknown; unknown -> one of the other three, by evidence only."""

    PLANNED = "planned"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    FAILED = "failed"
    UNKNOWN = "unknown"


OPEN_OPERATION_STATES = frozenset({OperationState.PLANNED, OperationState.SENT, OperationState.UNKNOWN})


class Certainty(StrEnum):
    """How sure are we that money did or did not move? Kept apart from the class of an answer."""

    NOT_SENT = "not_sent"  # the gateway provably never processed it
    REFUSED = "refused"  # the gateway processed it and took nothing
    TAKEN = "taken"  # the gateway did what we asked
    UNKNOWN = "unknown"  # only a look-up can tell


class FailureClass(StrEnum):
    """What a refusal means to the business; each gateway's codes map onto these."""

    HARD_DECLINE = "hard_decline"
    SOFT_DECLINE = "soft_decline"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    EXPIRED_CARD = "expired_card"
    INVALID_CARD_DATA = "invalid_card_data"
    FRAUD = "fraud"
    AUTHENTICATION_REQUIRED = "authentication_required"
    LIMIT_EXCEEDED = "limit_exceeded"
    DUPLICATE = "duplicate"
    INVALID_REQUEST = "invalid_request"
    CONFIGURATION_ERROR = "configuration_error"
    GATEWAY_ERROR = "gateway_error"
    GATEWAY_UNAVAILABLE = "gateway_unavailable"
    UNKNOWN = "unknown"


class MovementKind(StrEnum):
    """Money moving at the gateway. Later issues add receipt, reserve and payout kinds."""

    AUTHORISATION = "authorisation"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    REFUND_RETURN = "refund_return"  # a refund that had succeeded came back
    CHARGEBACK = "chargeback"  # a dispute took it
    CHARGEBACK_RETURN = "chargeback_return"  # a dispute won gave it back
    FEE = "fee"  # what a dispute costs, in settlement money


class DisputeState(StrEnum):
    """inquiry -> chargeback -> won | lost -> pre_arbitration -> won | lost; an inquiry may end without a chargeback."""

    INQUIRY = "inquiry"  # the issuer asks, no money has moved
    CHARGEBACK = "chargeback"  # the money is taken, evidence is asked for
    UNDER_REVIEW = "under_review"  # the evidence is with the issuer
    PRE_ARBITRATION = "pre_arbitration"  # it is argued about again
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"  # an inquiry that came to nothing, or a dispute that was prevented


OPEN_DISPUTE_STATES = frozenset(
    {DisputeState.INQUIRY, DisputeState.CHARGEBACK, DisputeState.UNDER_REVIEW, DisputeState.PRE_ARBITRATION}
)


class RefundState(StrEnum):
    """requested -> approved -> waiting(reason, until) -> sent -> succeeded | failed | unknown; succeeded -> returned."""

    REQUESTED = "requested"
    APPROVED = "approved"
    WAITING = "waiting"  # for the next settlement batch, with a reason and a date
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RETURNED = "returned"
    CANCELLED = "cancelled"


DEAD_REFUND_STATES = frozenset({RefundState.FAILED, RefundState.CANCELLED})
ENDED_REFUND_STATES = DEAD_REFUND_STATES | {RefundState.SUCCEEDED, RefundState.RETURNED}  # nothing is reserved any more


class ReviewState(StrEnum):
    OPEN = "open"
    DECIDED = "decided"
    SETTLED = "settled"  # a later fact of the gateway took the question away


class ReviewKind(StrEnum):
    """Why a person is asked. Money kinds hold an amount on 2050 or 2040 until they are decided."""

    CAPTURED_AFTER_CANCEL = "captured_after_cancel"
    CAPTURED_AFTER_REFUND = "captured_after_refund"
    CAPTURED_AFTER_EXPIRY = "captured_after_expiry"
    LATE_SUCCESS_SIBLING_PAID = "late_success_sibling_paid"
    SECOND_CAPTURE = "second_capture"
    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    ORPHAN = "orphan"
    REFUND_BEYOND_CAP = "refund_beyond_cap"
    LATE_AUTHORISATION = "late_authorisation"
    LOOKUP_EXHAUSTED = "lookup_exhausted"
    DUPLICATE_OF_OTHER_PAYMENT = "duplicate_of_other_payment"
    CAPTURE_FAILED = "capture_failed"
    VOID_FAILED = "void_failed"
    REFUND_FAILED = "refund_failed"
    REFUND_OVERDUE = "refund_overdue"
    HOLD_ENDING = "hold_ending"
    TEST_MODE_MONEY = "test_mode_money"
    DISPUTE = "dispute"  # a chargeback or inquiry waits for evidence
    DISPUTE_LOST = "dispute_lost"
    REFUND_RETURNED = "refund_returned"  # a refund that had succeeded came back: the payer is still owed
    PAYMENT_STOPPED = "payment_stopped"  # a refusal that no payer can mend: our set-up, or a code nobody knows
    CLOSE_FAILED = "close_failed"  # what the payer could still finish could not be taken away
    PART_TO_RETURN = "part_to_return"  # ended with a part paid: that part is owed back, and its refund is prepared


class ApprovalState(StrEnum):
    """pending -> executed | rejected | expired | outdated."""

    PENDING = "pending"
    EXECUTED = "executed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    OUTDATED = "outdated"  # what was shown is no longer so


class RetryState(StrEnum):
    """A retry that is due later: waiting -> done | cancelled."""

    WAITING = "waiting"
    DONE = "done"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    """An uploaded spreadsheet: checking -> checked -> running <-> paused -> finished; or discarded, or refused as unreadable."""

    CHECKING = "checking"
    CHECKED = "checked"  # the dry run is there to be read
    REFUSED = "refused"  # not readable as a spreadsheet of payments
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    DISCARDED = "discarded"


class RowState(StrEnum):
    """One row of an upload. Once a payment exists, the payment tells how it went."""

    BAD = "bad"  # has problems; never started
    READY = "ready"
    CLAIMED = "claimed"  # a worker is making its payment
    MADE = "made"  # its payment exists
    FAILED = "failed"  # its payment was refused when it was made; the problem says why
    CANCELLED = "cancelled"  # the rest was cancelled before it began


class ScheduleState(StrEnum):
    """A recurring charge."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"  # revoked, or stopped by a person; final
    ENDED = "ended"  # its last date has passed; final


class BreakerState(StrEnum):
    """May an account be asked? closed: yes; open: no; half_open: one payment is let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class EventState(StrEnum):
    """An inbound event's way through the inbox."""

    STORED = "stored"  # received and verified, not worked on yet
    APPLIED = "applied"  # at least one of its facts changed something
    IGNORED = "ignored"  # understood, nothing to do, with the reason
    PARKED = "parked"  # waits: payment not known yet, unreadable, or unknown kind
    FOREIGN = "foreign"  # on a shared account, not ours
    POISONED = "poisoned"  # kept failing; an operator replays it


class Waits(StrEnum):
    """On whom or what a non-final row waits. Every such row has next_check_at beside it."""

    WORKER = "worker"  # our own next step is due
    GATEWAY = "gateway"  # a call is in flight
    LOOK_UP = "look_up"  # the gateway is asked what happened
    MERCHANT = "merchant"  # an authorised payment waits for capture or cancel
    OPERATOR = "operator"  # a review is open
    SETTLEMENT = "settlement"  # the gateway's next batch
    PAYER = "payer"  # a confirmation at the payer's bank
    RETRY = "retry"  # a retry that is due later
    SWITCH = "switch"  # sending is stopped, the gateway is paused, or its limits are used up
    NOTHING = ""


class Source(StrEnum):
    """Who says so. Rank when sources disagree: look-up > webhook > synchronous answer > browser (never)."""

    ANSWER = "answer"
    WEBHOOK = "webhook"
    LOOK_UP = "look_up"
    CLOCK = "clock"
    SERVICE = "service"
    OPERATOR = "operator"
    API = "api"


class PayoutState(StrEnum):
    """expected -> in_transit -> paid -> in_bank; any of them -> failed -> returned."""

    EXPECTED = "expected"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    IN_BANK = "in_bank"
    FAILED = "failed"
    RETURNED = "returned"
