"""The pages of reconciliation and finance: doors, each making one service call. Importing a module registers its pages."""

from reconciliation.admin import (
    closing,
    opening,
)

__all__ = [
    "closing",
    "opening",
]
