"""What may be written to the books? These calls are the only writers; everything else reads."""

from ledger.services.posting import PostedEntry, post_entries, post_entry
from ledger.services.reversing import reverse_entry

__all__ = ["PostedEntry", "post_entries", "post_entry", "reverse_entry"]
