"""Which formats can be read? One line each; a new format appears in the admin and the command by itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from reconciliation.errors import UnreadableStatement
from reconciliation.sources.base import Source
from reconciliation.sources.camt053 import CAMT053
from reconciliation.sources.csv_mapped import CSV_MAPPED
from reconciliation.sources.mt940 import MT940
from reconciliation.sources.nmi_window import NMI_WINDOW
from reconciliation.sources.stripe_balance import STRIPE_BALANCE

_ALL: Final[tuple[Source, ...]] = (STRIPE_BALANCE, NMI_WINDOW, CSV_MAPPED, CAMT053, MT940)
SOURCES: Final = MappingProxyType({source.name: source for source in _ALL})
"""Name, as accounts and statements keep it, to reader."""


def source_of(name: str) -> Source:
    """The reader of this name. Raises: UnreadableStatement naming those there are."""
    if name not in SOURCES:
        raise UnreadableStatement(f"No format is called {name!r}: there are {', '.join(SOURCES)}.", field="source")
    return SOURCES[name]
