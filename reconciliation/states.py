"""Which values may a line, a break, a run or a report be in? Plain StrEnums, so that pure code can import them."""

from __future__ import annotations

from enum import StrEnum


class LineKind(StrEnum):
    """What a line of a statement says happened. Money kinds have a movement of ours; the others are booked from the line."""

    CHARGE = "charge"
    REFUND = "refund"
    REFUND_RETURN = "refund_return"
    CHARGEBACK = "chargeback"
    CHARGEBACK_RETURN = "chargeback_return"
    DISPUTE_FEE = "dispute_fee"
    FEE = "fee"  # of the account, not of one charge
    PAYOUT = "payout"
    PAYOUT_RETURN = "payout_return"
    RESERVE_HOLD = "reserve_hold"
    RESERVE_RELEASE = "reserve_release"
    ADJUSTMENT = "adjustment"
    BANK_CREDIT = "bank_credit"
    BANK_DEBIT = "bank_debit"
    DECLINE = "decline"  # a record of something that moved no money: proves a status, never an amount


MOVEMENT_KINDS = frozenset(
    {
        LineKind.CHARGE,
        LineKind.REFUND,
        LineKind.REFUND_RETURN,
        LineKind.CHARGEBACK,
        LineKind.CHARGEBACK_RETURN,
        LineKind.DISPUTE_FEE,
    }
)
"""Kinds that must have a movement of ours."""
BOOKED_KINDS = frozenset(
    {
        LineKind.FEE,
        LineKind.PAYOUT,
        LineKind.PAYOUT_RETURN,
        LineKind.RESERVE_HOLD,
        LineKind.RESERVE_RELEASE,
        LineKind.ADJUSTMENT,
    }
)
"""Kinds that are booked from the line itself."""
BANK_KINDS = frozenset({LineKind.BANK_CREDIT, LineKind.BANK_DEBIT})


class StatementState(StrEnum):
    """reading -> read | refused; read -> superseded by a restated one."""

    READING = "reading"
    READ = "read"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


class RunState(StrEnum):
    """due -> waiting (report late or incomplete) -> running -> done | failed; each may be run again."""

    DUE = "due"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Bucket(StrEnum):
    """Where a line ends on a run. Lines read are the sum of these."""

    MATCHED = "matched"
    BOOKED = "booked"
    BROKEN = "broken"
    EARLY = "early"
    REJECTED = "rejected"
    FOREIGN = "foreign"


class BreakType(StrEnum):
    """An unexplained difference, by what is different."""

    MISSING_AT_GATEWAY = "missing_at_gateway"
    MISSING_IN_PAYMENTS = "missing_in_payments"
    MISSING_IN_LEDGER = "missing_in_ledger"
    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    STATUS_MISMATCH = "status_mismatch"
    DUPLICATE_AT_GATEWAY = "duplicate_at_gateway"
    DUPLICATE_INTERNAL = "duplicate_internal"
    FEE_MISMATCH = "fee_mismatch"
    FEE_TAX_MISMATCH = "fee_tax_mismatch"
    FX_DIFFERENCE = "fx_difference"  # the rate of the report is not the one told when it was captured
    FX_VARIANCE = "fx_variance"  # settlement money is not presentment money at the report's own rate
    REFUND_UNMATCHED = "refund_unmatched"
    REFUND_EXCEEDS = "refund_exceeds"
    REFUND_FAILED = "refund_failed"
    CHARGEBACK_UNRECORDED = "chargeback_unrecorded"
    DUAL_REFUND = "dual_refund"  # refund and chargeback for the same money
    PAYOUT_SUM_MISMATCH = "payout_sum_mismatch"
    PAYOUT_NOT_IN_BANK = "payout_not_in_bank"
    BANK_UNMATCHED = "bank_unmatched"  # the bank shows money that no payout explains
    RESERVE_HOLD = "reserve_hold"  # withheld or released without notice or beyond what is held
    RESERVE_RELEASE = "reserve_release"
    GATEWAY_ADJUSTMENT = "gateway_adjustment"
    BALANCE_DRIFT = "balance_drift"
    REPORT_MISSING = "report_missing"
    REPORT_GAP = "report_gap"
    REPORT_RESTATED = "report_restated"
    ROW_REJECTED = "row_rejected"


class BreakState(StrEnum):
    """open -> investigating -> resolved | written_off; auto_resolved by a rule. An ended one is opened again by undo alone."""

    OPEN = "open"
    INVESTIGATING = "investigating"
    RESOLVED = "resolved"
    WRITTEN_OFF = "written_off"
    AUTO_RESOLVED = "auto_resolved"


OPEN_BREAK_STATES = frozenset({BreakState.OPEN, BreakState.INVESTIGATING})


class Leg(StrEnum):
    """The four comparisons."""

    LEDGER = "ledger"  # payments and the books
    GATEWAY = "gateway"  # movements and the gateway's lines
    PAYOUT = "payout"  # payouts and their items
    BANK = "bank"  # the bank and payouts


class JobState(StrEnum):
    """A report on its way: queued -> running -> done | failed; done -> expired."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
