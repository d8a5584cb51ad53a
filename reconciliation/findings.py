"""What has a comparison found that does not line up? One frozen value a difference, before it becomes a row. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from reconciliation.states import BreakType


@dataclass(frozen=True, slots=True)
class FoundBreak:
    """One difference. The same difference found again has the same (kind, key), whatever the day it is looked for.

    `difference_minor` is what the gateway's balance is above ours because of it, signed, in minor units of `currency`
    (a line without movement: its net; a movement without line: minus its worth; both there: line minus movement).
    `value_minor` is the money at risk, never negative. `cause` is shared by differences that one fix would end.
    """

    kind: BreakType
    key: str
    currency: str
    difference_minor: int
    value_minor: int
    day: date
    cause: str
    because: str
    ours: dict[str, str] = field(default_factory=dict)
    theirs: dict[str, str] = field(default_factory=dict)
    line_id: int | None = None
    statement_id: int | None = None
    movement_id: int | None = None
    payout_id: int | None = None
    payment_id: int | None = None
    payment_public_id: str = ""
