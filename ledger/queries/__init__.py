"""What do the books say? Balances now and as of a time, statements, entries, proofs. Reads only, returns frozen values."""

from ledger.queries.balances import AccountBalance, OpenItem, balance, balances, open_items
from ledger.queries.closed_days import DayDigest, closed_day, closed_through, day_digest
from ledger.queries.entries import (
    EntryLine,
    EntryView,
    draft_of,
    entries_by_ids,
    entries_for_subject,
    entries_made_here,
    entry_by_public_id,
    entry_by_source_key,
    last_entry_id,
    missing_source_keys,
    source_keys_starting_with,
)
from ledger.queries.proofs import Finding, verify_books
from ledger.queries.statement import AccountStatement, StatementCursor, StatementLine, account_statement
from ledger.queries.trial_balance import CurrencyTotal, TrialBalance, TrialBalanceRow, trial_balance

__all__ = [
    "AccountBalance",
    "AccountStatement",
    "CurrencyTotal",
    "DayDigest",
    "EntryLine",
    "EntryView",
    "Finding",
    "OpenItem",
    "StatementCursor",
    "StatementLine",
    "TrialBalance",
    "TrialBalanceRow",
    "account_statement",
    "balance",
    "balances",
    "closed_day",
    "closed_through",
    "day_digest",
    "draft_of",
    "entries_by_ids",
    "entries_for_subject",
    "entries_made_here",
    "entry_by_public_id",
    "entry_by_source_key",
    "last_entry_id",
    "missing_source_keys",
    "open_items",
    "source_keys_starting_with",
    "trial_balance",
    "verify_books",
]
