"""What does a gateway report, what does the merchant know of it, and what was planted? Plain values.

Money is in minor units, positive in the merchant's favour. A key names one thing in one word whoever speaks of it:
`line:<key>`, `movement:<id>:<kind>`, `payout:<id>`, `order:<reference>`, `fee:<day>:<currency>:<kind>:<method>`,
`tax:…` likewise, `day:<day>`, `balance:<currency>`, `report:<day>[:<currency>]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

NOT_MOVED = frozenset({"failed", "voided", "declined"})
"""Statuses of a row that say that no money moved."""


@dataclass(slots=True)
class Row:
    """One line of a gateway's report. `gross` is in `currency`, of settlement; what the payer saw stands beside it."""

    gateway: str
    key: str
    kind: str
    at: datetime  # UTC
    currency: str
    gross: int
    fee: int = 0
    tax: int = 0
    presented: int = 0
    presented_in: str = ""  # empty: the payer saw the money of settlement
    rate: Decimal | None = None
    gateway_id: str = ""
    parent_id: str = ""
    reference: str = ""
    payout_id: str = ""
    status: str = "settled"
    method: str = ""
    text: str = ""
    arrives: date | None = None
    bank_ref: str = ""

    @property
    def net(self) -> int:
        return self.gross - self.fee - self.tax

    @property
    def worth(self) -> int:
        """What it changes the balance by."""
        return 0 if self.status in NOT_MOVED else self.net


@dataclass(slots=True)
class Told:
    """One movement as a merchant knows it who heard every message. `heard` False: that one never came."""

    gateway: str
    kind: str  # capture, void, refund, refund_return, chargeback, chargeback_return, fee
    gateway_id: str
    amount_minor: int  # positive, in the money the payer saw
    currency: str
    at: datetime
    order: str
    reference: str
    occurrence: int = 0
    settlement_id: str = ""
    settlement_minor: int | None = None
    settlement_currency: str = ""
    rate: Decimal | None = None
    heard: bool = True


@dataclass(slots=True)
class Call:
    """A call of the merchant's without movement, and what it believes of it: declined or unknown."""

    gateway: str
    reference: str
    state: str
    amount_minor: int
    currency: str
    at: datetime
    order: str


@dataclass(frozen=True, slots=True)
class Label:
    """One difference that was planted.

    `amount_minor` is the money in question, never negative; `between_minor` what the balance at the gateway or bank is
    above the merchant's books because of it, in `currency`. `passing`: a later report takes it away.
    """

    type: str
    gateway: str
    key: str
    amount_minor: int = 0
    between_minor: int = 0
    currency: str = ""
    passing: bool = False
    order: str = ""  # of the merchant's, where it is about one


@dataclass(slots=True)
class Story:
    """One order from beginning to end, in the words of both sides."""

    gateway: str
    order: str
    rows: list[Row] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    clean: bool = True


@dataclass(slots=True)
class Payout:
    """Money sent to the bank, and the rows it is said to be made of."""

    gateway: str
    row: Row
    items: list[Row]
    arrives: date
    bank_ref: str

    @property
    def amount(self) -> int:
        return -self.row.gross


@dataclass(slots=True)
class BankLine:
    """One entry of a bank's statement, positive for money coming in. `ref` is the bank's own and unique."""

    account: str
    on: date
    currency: str
    amount: int
    ref: str
    reference: str = ""
    text: str = ""
    of_payout: str = ""
