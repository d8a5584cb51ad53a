"""What does one line of a statement say, whatever its format? Frozen values that sources yield and rules read. Pure.

Signs are ours: positive is money in our favour. Money is in minor units; `net = gross - fee - tax` holds on every line
that names them. A value that could not be read makes the line a `RejectedLine`: it never becomes zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from reconciliation.states import LineKind


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line, normalised. `line_key` is its identity at the source: the same key is the same line, in any statement."""

    number: int  # its place in the file or list, from 1; the heading is not counted
    line_key: str
    kind: LineKind
    currency: str  # of settlement
    gross_minor: int  # signed, in settlement money
    occurred_at: datetime
    raw: dict[str, str] = field(default_factory=dict)  # as it stood there, without secrets or card numbers
    fee_minor: int | None = None  # positive takes away; None: this source does not tell it
    tax_minor: int | None = None
    net_minor: int | None = None
    presentment_minor: int | None = None  # signed; None: the same money as gross
    presentment_currency: str = ""
    rate: Decimal | None = None
    gateway_id: str = ""  # canonical id of the movement, as adapters name it
    parent_id: str = ""  # of the charge, for refunds and disputes
    reference: str = ""  # ours, as echoed
    payout_id: str = ""
    bank_ref: str = ""
    status: str = ""  # settled, failed, voided…, in the words of LineKind's source; empty: it says none
    method: str = ""  # card brand or the like, for contract rates
    text: str = ""
    available_on: date | None = None


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line nobody can use as it is: where it stands and why, for a person to mend the mapping or ask the gateway."""

    number: int
    reason: str
    raw: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance the source states, in minor units; `opening` or `closing` of the statement."""

    opening: bool
    currency: str
    amount_minor: int
    on: date | None = None


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """What the source says it holds: a count, or a sum in minor units of one currency (empty: the count).

    `found` is what the reader counted, where it counts itself; else it is compared with what was read by that name:
    lines, gross, fee, tax, net.
    """

    name: str
    value: int
    currency: str = ""
    found: int | None = None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The source says itself that it is not whole, or the reader has seen that it is not."""

    because: str


@dataclass(frozen=True, slots=True)
class AccountNamed:
    """Whose statement it is, as the source names the account: an IBAN or the bank's own number."""

    name: str


Item = StatementLine | RejectedLine | Balance | ControlTotal | Shortfall | AccountNamed
"""What a source yields, in the order of the file."""
