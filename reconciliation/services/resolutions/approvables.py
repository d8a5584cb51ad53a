"""Which of these commands can wait for a second person, and how is each shown to both?"""

from __future__ import annotations

from typing import Final

from payments.services.approvable import Approvable
from reconciliation.services.resolutions.base import POST_JOURNAL, RESOLVE
from reconciliation.services.resolutions.commanding import ask_before, execute_wish, show_wish

RESOLVE_BREAK: Final = Approvable(
    title="Resolve a break", right=RESOLVE, show=show_wish, execute=execute_wish, before=ask_before
)
POST_BREAK_JOURNAL: Final = Approvable(
    title="Book a journal by hand for a break",
    right=POST_JOURNAL,
    show=show_wish,
    execute=execute_wish,
    before=ask_before,
)
