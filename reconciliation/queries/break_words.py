"""How are breaks said to people: kind, state, age, urgency? Words and chips; reads no database."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from console.values import Chip, Tone
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.states import OPEN_BREAK_STATES, BreakState, BreakType

B, S = BreakType, BreakState
KINDS: Final[dict[BreakType, tuple[str, str]]] = {
    B.MISSING_AT_GATEWAY: ("Missing at the gateway", "We booked it, and no report of the gateway has it."),
    B.MISSING_IN_PAYMENTS: ("Unknown to us", "The gateway reports money that no movement of ours explains."),
    B.MISSING_IN_LEDGER: ("Not in the books", "A movement of ours has no entry."),
    B.AMOUNT_MISMATCH: ("Other amount", "The gateway reports another sum than we booked."),
    B.CURRENCY_MISMATCH: ("Other currency", "The gateway reports another currency than we booked."),
    B.STATUS_MISMATCH: ("Other outcome", "The gateway says that something else became of it."),
    B.DUPLICATE_AT_GATEWAY: ("Twice at the gateway", "The gateway reports the same money twice."),
    B.DUPLICATE_INTERNAL: ("Twice with us", "We booked the same money twice."),
    B.FEE_MISMATCH: ("Other fee", "The gateway charged another fee than the contract says."),
    B.FEE_TAX_MISMATCH: ("Other tax on the fee", "The tax on a fee is not what the contract says."),
    B.FX_DIFFERENCE: ("Other exchange rate", "The report's rate is not the one we were told."),
    B.FX_VARIANCE: ("Exchange does not add up", "Settlement money is not what the report's own rate makes of it."),
    B.REFUND_UNMATCHED: ("Refund unknown to us", "The gateway refunded, and no refund of ours says so."),
    B.REFUND_EXCEEDS: ("Refunded beyond the charge", "More went back than had come in."),
    B.REFUND_FAILED: ("Refund failed", "A refund we believe in did not reach the payer."),
    B.CHARGEBACK_UNRECORDED: ("Dispute unknown to us", "A dispute moved money, and no case of ours knows it."),
    B.DUAL_REFUND: ("Refunded and charged back", "The payer got the same money by two ways."),
    B.PAYOUT_SUM_MISMATCH: ("Payout is not its items", "A payout is another sum than what it is made of."),
    B.PAYOUT_NOT_IN_BANK: ("Payout not in the bank", "A payout should have arrived, and the bank does not show it."),
    B.BANK_UNMATCHED: ("Bank line unexplained", "The bank shows money that no payout explains."),
    B.RESERVE_HOLD: ("Reserve withheld", "The gateway withholds money beyond what the terms say."),
    B.RESERVE_RELEASE: ("Reserve released", "The gateway releases money beyond what the terms say."),
    B.GATEWAY_ADJUSTMENT: ("Adjustment", "The gateway adjusted the balance, and nothing of ours explains it."),
    B.BALANCE_DRIFT: ("Balance drifts", "The gateway's balance is not what its own lines come to."),
    B.REPORT_MISSING: ("Report missing", "The report of a day has not come."),
    B.REPORT_GAP: ("Report incomplete", "A report does not hold all it should."),
    B.REPORT_RESTATED: ("Report restated", "The gateway changed a report it had closed."),
    B.ROW_REJECTED: ("Row unreadable", "A row of a report could not be read."),
}
FIX_WORDS: Final[dict[Fix, str]] = {
    Fix.REPLAY_FACT: "Record what the gateway says",
    Fix.RECORD_REFUND: "Record the refund made elsewhere",
    Fix.ADOPT_AMOUNT: "Adopt the gateway's amount",
    Fix.POST_FEE: "Book it as a fee",
    Fix.POST_EXCHANGE: "Book the exchange difference",
    Fix.POST_RESERVE: "Book it as reserve",
    Fix.LINK_BY_HAND: "Link by hand",
    Fix.MARK_TIMING: "Mark as timing",
    Fix.REFUND_PAYER: "Refund the payer",
    Fix.ROUNDING: "Accept as rounding",
    Fix.ACCEPT_RESTATED: "Accept the restated report",
    Fix.DISMISS_DUPLICATE: "Dismiss the duplicate row",
    Fix.MEND_ROW: "The row was read again",
    Fix.CLOSE_EXPLAINED: "Close as explained",
    Fix.WRITE_OFF: "Write it off",
    Fix.POST_JOURNAL: "Journal by hand",
}
"""What the buttons say; pages of what was done say the same."""
BUCKETS: Final = ((0, 1), (2, 3), (4, 7), (8, 30), (31, None))
"""Ages in days, both ends included; the last has no end."""
_STATES: Final = {
    S.OPEN: Chip("open", Tone.WARN, "radio_button_unchecked"),
    S.INVESTIGATING: Chip("investigating", Tone.INFO, "person_search"),
    S.RESOLVED: Chip("resolved", Tone.GOOD, "check_circle"),
    S.WRITTEN_OFF: Chip("written off", Tone.QUIET, "money_off"),
    S.AUTO_RESOLVED: Chip("resolved by a rule", Tone.GOOD, "auto_awesome"),
}


def kind_words(kind: str) -> str:
    """The name of a kind of break."""
    return KINDS[BreakType(kind)][0]


def kind_meaning(kind: str) -> str:
    """The sentence behind the name."""
    return KINDS[BreakType(kind)][1]


def kind_chip(kind: str) -> Chip:
    """The name with its sentence on hover."""
    return Chip(kind_words(kind), Tone.QUIET, "difference", kind_meaning(kind))


def fix_words(command: str) -> str:
    """What ended a break, as its button says it: "Book it as a fee", and "…, for all of one cause"."""
    bulk, _, name = command.rpartition(" ")
    words = FIX_WORDS[Fix(name)] if name in set(Fix) else name.replace("_", " ").capitalize()
    return f"{words}, for all of one cause" if bulk else words


def state_chip(broken: Break, now: datetime) -> Chip:
    """Overdue and snoozed stand before the bare state."""
    if BreakState(broken.state) in OPEN_BREAK_STATES:
        if broken.snoozed_until is not None and broken.snoozed_until > now:
            return Chip("snoozed", Tone.QUIET, "snooze", broken.snoozed_because)
        if broken.due_at <= now:
            return Chip("overdue", Tone.BAD, "timer_off", f"To be resolved by {broken.due_at:%d %b %H:%M} UTC")
    elif broken.expected_until is not None:
        return Chip("timing", Tone.INFO, "schedule", f"Expected until {broken.expected_until:%d %b %Y}")
    return _STATES[BreakState(broken.state)]


def age_of(day: date, today: date) -> int:
    """Full days since the day it is of; never negative."""
    return max((today - day).days, 0)


def bucket_of(age: int) -> str:
    """The ageing bucket of an age in days."""
    return next(bucket_name(low, high) for low, high in BUCKETS if age >= low and (high is None or age <= high))


def bucket_name(low: int, high: int | None) -> str:
    """As finance writes it."""
    return f"{low}\u2013{high} days" if high is not None else f"over {low - 1} days"
