"""What may be written to the books? These calls are the only writers; everything else reads."""

from ledger.services.closing import Closed, close_book, reopen_book
from ledger.services.posting import PostedEntry, post_entries, post_entry
from ledger.services.reversing import reverse_entry

__all__ = ["Closed", "PostedEntry", "close_book", "post_entries", "post_entry", "reopen_book", "reverse_entry"]
