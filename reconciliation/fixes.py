"""Which ways out has each kind of break? One table, so that none is left that only the database could mend. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from reconciliation.states import BreakType


class Fix(StrEnum):
    """One command that ends a break. The value is its name in addresses, requests and resolutions."""

    REPLAY_FACT = "replay_fact"
    RECORD_REFUND = "record_refund"
    ADOPT_AMOUNT = "adopt_amount"
    POST_FEE = "post_fee"
    POST_EXCHANGE = "post_exchange"
    POST_RESERVE = "post_reserve"
    LINK_BY_HAND = "link_by_hand"
    MARK_TIMING = "mark_timing"
    REFUND_PAYER = "refund_payer"
    ROUNDING = "rounding"
    ACCEPT_RESTATED = "accept_restated"
    DISMISS_DUPLICATE = "dismiss_duplicate"
    MEND_ROW = "mend_row"
    CLOSE_EXPLAINED = "close_explained"
    WRITE_OFF = "write_off"
    POST_JOURNAL = "post_journal"


B = BreakType
_LAST = (Fix.WRITE_OFF, Fix.POST_JOURNAL)
_SMALL = (Fix.ROUNDING, *_LAST)

FIXES: Final[Mapping[BreakType, tuple[Fix, ...]]] = MappingProxyType(
    {
        B.MISSING_AT_GATEWAY: (Fix.LINK_BY_HAND, Fix.MARK_TIMING, *_LAST),
        B.MISSING_IN_PAYMENTS: (Fix.REPLAY_FACT, Fix.RECORD_REFUND, Fix.LINK_BY_HAND, Fix.MARK_TIMING, *_SMALL),
        B.MISSING_IN_LEDGER: (Fix.POST_JOURNAL,),
        B.AMOUNT_MISMATCH: (Fix.ADOPT_AMOUNT, Fix.POST_FEE, Fix.REFUND_PAYER, *_SMALL),
        B.CURRENCY_MISMATCH: (Fix.REPLAY_FACT, *_LAST),
        B.STATUS_MISMATCH: (Fix.REPLAY_FACT, Fix.MARK_TIMING, Fix.CLOSE_EXPLAINED, *_LAST),
        B.DUPLICATE_AT_GATEWAY: (Fix.REPLAY_FACT, Fix.REFUND_PAYER, Fix.DISMISS_DUPLICATE, *_LAST),
        B.DUPLICATE_INTERNAL: (Fix.LINK_BY_HAND, Fix.CLOSE_EXPLAINED, *_LAST),
        B.FEE_MISMATCH: (Fix.POST_FEE, *_SMALL),
        B.FEE_TAX_MISMATCH: (Fix.POST_FEE, *_SMALL),
        B.FX_DIFFERENCE: (Fix.POST_EXCHANGE, Fix.CLOSE_EXPLAINED, *_SMALL),
        B.FX_VARIANCE: (Fix.POST_EXCHANGE, Fix.CLOSE_EXPLAINED, *_SMALL),
        B.REFUND_UNMATCHED: (Fix.RECORD_REFUND, Fix.LINK_BY_HAND, Fix.MARK_TIMING, *_LAST),
        B.REFUND_EXCEEDS: (Fix.RECORD_REFUND, Fix.ADOPT_AMOUNT, Fix.CLOSE_EXPLAINED, *_LAST),
        B.REFUND_FAILED: (Fix.REPLAY_FACT, Fix.CLOSE_EXPLAINED, *_LAST),
        B.CHARGEBACK_UNRECORDED: (Fix.REPLAY_FACT, Fix.LINK_BY_HAND, Fix.MARK_TIMING, *_LAST),
        B.DUAL_REFUND: (Fix.REPLAY_FACT, Fix.CLOSE_EXPLAINED, *_LAST),
        B.PAYOUT_SUM_MISMATCH: (Fix.POST_FEE, Fix.POST_RESERVE, Fix.MARK_TIMING, Fix.CLOSE_EXPLAINED, *_SMALL),
        B.PAYOUT_NOT_IN_BANK: (Fix.LINK_BY_HAND, Fix.MARK_TIMING, Fix.CLOSE_EXPLAINED, Fix.WRITE_OFF),
        B.BANK_UNMATCHED: (Fix.LINK_BY_HAND, Fix.MARK_TIMING, *_LAST),
        B.RESERVE_HOLD: (Fix.POST_RESERVE, Fix.CLOSE_EXPLAINED, Fix.POST_JOURNAL),
        B.RESERVE_RELEASE: (Fix.POST_RESERVE, Fix.CLOSE_EXPLAINED, Fix.POST_JOURNAL),
        B.GATEWAY_ADJUSTMENT: (Fix.POST_FEE, Fix.CLOSE_EXPLAINED, *_SMALL),
        B.BALANCE_DRIFT: (Fix.MARK_TIMING, Fix.CLOSE_EXPLAINED, *_SMALL),
        B.REPORT_MISSING: (Fix.MARK_TIMING, Fix.CLOSE_EXPLAINED),
        B.REPORT_GAP: (Fix.MARK_TIMING, Fix.CLOSE_EXPLAINED),
        B.REPORT_RESTATED: (Fix.ACCEPT_RESTATED, Fix.CLOSE_EXPLAINED, *_SMALL),
        B.ROW_REJECTED: (Fix.MEND_ROW, Fix.CLOSE_EXPLAINED),
    }
)
"""The likeliest first. Whether one fits this very break is asked of the command; what fits none is asked of nobody."""

BULK_FIXES: Final = frozenset(
    {
        Fix.REPLAY_FACT,
        Fix.RECORD_REFUND,
        Fix.ADOPT_AMOUNT,
        Fix.POST_FEE,
        Fix.POST_EXCHANGE,
        Fix.POST_RESERVE,
        Fix.MARK_TIMING,
        Fix.ROUNDING,
        Fix.ACCEPT_RESTATED,
        Fix.CLOSE_EXPLAINED,
        Fix.WRITE_OFF,
    }
)
"""Those that need to know nothing of the single break beyond what it says itself."""


def fixes_for(kind: str) -> tuple[Fix, ...]:
    """The ways out of a break of this kind, the likeliest first."""
    return FIXES[BreakType(kind)]
