"""Which command stands behind each way out? One line each; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from payments.errors import NotFound
from reconciliation.fixes import Fix
from reconciliation.services.resolutions.adopt_amount import ADOPT_AMOUNT
from reconciliation.services.resolutions.base import Command
from reconciliation.services.resolutions.close_explained import CLOSE_EXPLAINED
from reconciliation.services.resolutions.dismiss_duplicate import DISMISS_DUPLICATE
from reconciliation.services.resolutions.gateway_word import RECORD_REFUND, REPLAY_FACT
from reconciliation.services.resolutions.link_by_hand import LINK_BY_HAND
from reconciliation.services.resolutions.mark_timing import MARK_TIMING
from reconciliation.services.resolutions.mend_row import MEND_ROW
from reconciliation.services.resolutions.post_exchange import POST_EXCHANGE
from reconciliation.services.resolutions.post_fee import POST_FEE
from reconciliation.services.resolutions.post_journal import POST_JOURNAL
from reconciliation.services.resolutions.post_reserve import POST_RESERVE
from reconciliation.services.resolutions.refund_payer import REFUND_PAYER
from reconciliation.services.resolutions.restated import ACCEPT_RESTATED
from reconciliation.services.resolutions.rounding import ROUNDING
from reconciliation.services.resolutions.write_off import WRITE_OFF

COMMANDS: Final[Mapping[Fix, Command]] = MappingProxyType(
    {
        command.fix: command
        for command in (
            REPLAY_FACT,
            RECORD_REFUND,
            ADOPT_AMOUNT,
            POST_FEE,
            POST_EXCHANGE,
            POST_RESERVE,
            LINK_BY_HAND,
            MARK_TIMING,
            REFUND_PAYER,
            ROUNDING,
            ACCEPT_RESTATED,
            DISMISS_DUPLICATE,
            MEND_ROW,
            CLOSE_EXPLAINED,
            WRITE_OFF,
            POST_JOURNAL,
        )
    }
)


def command_of(name: str) -> Command:
    """The command of this name. Raises: NotFound."""
    try:
        return COMMANDS[Fix(name)]
    except (KeyError, ValueError):
        raise NotFound(f"No fix is called {name!r}.") from None
