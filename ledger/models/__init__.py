"""Which tables are the books? Re-exported here; private to this app, written only by `ledger.services`."""

from ledger.models.account import Account
from ledger.models.closed_day import ClosedDay
from ledger.models.journal import JournalEntry, Posting

__all__ = ["Account", "ClosedDay", "JournalEntry", "Posting"]
