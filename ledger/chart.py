"""Which accounts exist, and what does each of them mean? One constant an account; the table is data. Pure.

An account is a code, its dimensions (gateway, customer) and exactly one currency. Nothing here posts or reads.
Treatment: gross. A capture is booked in full; gateway fees are expenses of their own, never netted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ledger.errors import DraftRefused, UnknownAccount, WrongDimensions
from ledger.money import minor_digits

KEY_MAX_LENGTH: Final = 200
"""Longest dimension, source key, subject, actor and match key, in characters."""


class Side(StrEnum):
    """The side on which an account grows."""

    DEBIT = "debit"
    """Assets, expenses, contra revenue: grow by debit (positive amounts)."""
    CREDIT = "credit"
    """Liabilities, equity, revenue: grow by credit (negative amounts)."""


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One line of the chart."""

    code: str
    name: str
    normal_side: Side
    memo: bool = False
    """Outside the trial balance: commitments such as holds. Memo lines balance among themselves."""
    open_item: bool = False
    """Every posting carries a match key; the account is the sum of its unsettled keys."""
    min_balance: int | None = None
    """Floor in minor units, seen from the normal side; None means no floor. Postings that lower it take a lock."""
    dimensions: tuple[str, ...] = ()
    """What the account is kept per, beside its currency: "gateway", "customer"."""
    manual: bool = False
    """A journal by hand may name it. Not flagged: what a bank, gateway, wallet, review or refund proves by other means."""


@dataclass(frozen=True, slots=True, order=True)
class AccountRef:
    """Names one account: code, currency and exactly the dimensions its line of the chart asks for."""

    code: str
    currency: str
    gateway: str = ""
    customer: str = ""

    def __post_init__(self) -> None:
        minor_digits(self.currency)
        given = [name for name in ("gateway", "customer") if getattr(self, name)]
        if given != list(self.spec.dimensions):
            raise WrongDimensions(self.code, needs=self.spec.dimensions, got=given)
        for name in given:
            check_text(name, getattr(self, name), required=True, where=lambda: f"account {self.code}")

    @property
    def spec(self) -> AccountSpec:
        return account_spec(self.code)

    def __str__(self) -> str:
        parts = (self.code, self.gateway, self.customer, self.currency)
        return " ".join(part for part in parts if part)


_GATEWAY: Final = ("gateway",)
_CUSTOMER: Final = ("customer",)

BANK: Final = AccountSpec("1010", "Bank", Side.DEBIT)
"""Our bank account; equals the bank's statement."""

PAYOUTS_IN_TRANSIT: Final = AccountSpec("1020", "Payouts in transit", Side.DEBIT, open_item=True, dimensions=_GATEWAY)
"""Sent by the gateway, not yet seen at the bank. Open item by settlement."""

GATEWAY_RECEIVABLE: Final = AccountSpec("1110", "Gateway receivable", Side.DEBIT, open_item=True, dimensions=_GATEWAY)
"""Captured at the gateway and not paid out: its unsettled balance. Open item by payment;
may go credit (then the gateway has the claim)."""

GATEWAY_RESERVE: Final = AccountSpec("1120", "Gateway reserve held", Side.DEBIT, dimensions=_GATEWAY, manual=True)
"""Rolling reserve the gateway keeps back."""

DISPUTED_FUNDS: Final = AccountSpec(
    "1130", "Disputed funds receivable", Side.DEBIT, open_item=True, dimensions=_GATEWAY
)
"""Taken by a chargeback that is still argued about. Open item by dispute."""

RECOVERABLE_TAX: Final = AccountSpec("1140", "Recoverable tax on fees", Side.DEBIT, manual=True)
"""Tax inside gateway fees that we get back."""

CUSTOMER_RECEIVABLE: Final = AccountSpec("1150", "Customer receivable", Side.DEBIT, dimensions=_CUSTOMER)
"""What a customer owes us: the part of a clawback that the wallet no longer covered."""

GATEWAY_CLAIMS: Final = AccountSpec("1160", "Claims on gateway", Side.DEBIT, dimensions=_GATEWAY, manual=True)
"""Fees we dispute with the gateway."""

FX_POSITION: Final = AccountSpec("1190", "FX position", Side.DEBIT)
"""The bridge between currencies, one per currency; each entry balances in each currency through it."""

WALLET: Final = AccountSpec("2010", "Customer wallet", Side.CREDIT, min_balance=0, dimensions=_CUSTOMER)
"""What we owe a customer as spendable balance. Never below zero: spends are checked under lock."""

SALES_CLEARING: Final = AccountSpec("2020", "Sales clearing", Side.CREDIT, manual=True)
"""Money collected for orders, handed over to sales or the merchant."""

PARTIAL_PAYMENTS: Final = AccountSpec("2025", "Partial payments held", Side.CREDIT, open_item=True)
"""Less than due came in; held until the rest comes or it goes back. Open item by order."""

REFUNDS_PAYABLE: Final = AccountSpec("2030", "Refunds payable", Side.CREDIT, open_item=True, dimensions=_GATEWAY)
"""Refunds approved and not yet confirmed by the gateway. Open item by refund."""

OVERPAYMENTS: Final = AccountSpec("2040", "Overpayments owed to customers", Side.CREDIT, open_item=True)
"""More than due came in. Open item by payment."""

SUSPENSE: Final = AccountSpec("2050", "Suspense", Side.CREDIT, open_item=True, dimensions=_GATEWAY)
"""Money whose purpose a person must decide. Target zero; equals the sum of open money reviews."""

ACCRUED_FEES: Final = AccountSpec("2060", "Accrued gateway fees", Side.CREDIT, dimensions=_GATEWAY)
"""Fees we expect until the gateway reports them."""

OPENING_BALANCES: Final = AccountSpec("3010", "Opening balances", Side.CREDIT)
"""The other side of positions brought over at go-live. Once."""

REVENUE: Final = AccountSpec("4010", "Revenue", Side.CREDIT)
"""Only where revenue is kept here and not in the ERP."""

REFUNDS_AND_RETURNS: Final = AccountSpec("4015", "Refunds and returns", Side.DEBIT)
"""Contra revenue: refunds given after the sale was handed over."""

SMALL_BALANCE_INCOME: Final = AccountSpec("4030", "Small-balance income", Side.CREDIT, manual=True)
"""Tiny overpayments nobody asks back; check the law before using it."""

FX_GAIN: Final = AccountSpec("4040", "FX gain", Side.CREDIT, manual=True)
"""Gain from revaluing FX positions."""

GATEWAY_FEES: Final = AccountSpec("5010", "Gateway fees", Side.DEBIT, dimensions=_GATEWAY, manual=True)
"""What gateways charge us, gross of the money they collect."""

FEE_VARIANCE: Final = AccountSpec("5015", "Fee variance", Side.DEBIT, dimensions=_GATEWAY, manual=True)
"""Reported fee less expected fee."""

CHARGEBACK_LOSSES: Final = AccountSpec("5020", "Chargeback losses", Side.DEBIT, dimensions=_GATEWAY, manual=True)
"""Disputes finally lost."""

DISPUTE_FEES: Final = AccountSpec("5025", "Dispute fees", Side.DEBIT, dimensions=_GATEWAY, manual=True)
"""The gateway's fee for a dispute, won or lost."""

FX_LOSS: Final = AccountSpec("5030", "FX loss", Side.DEBIT, manual=True)
"""Loss from revaluing FX positions."""

ROUNDING: Final = AccountSpec("5035", "Rounding and tolerance", Side.DEBIT, manual=True)
"""Differences accepted inside tolerance; capped per day by policy."""

WRITE_OFF: Final = AccountSpec("5040", "Write-off", Side.DEBIT, manual=True)
"""Money given up, by decision of a person with a reason."""

GOODWILL: Final = AccountSpec("5050", "Promotions and goodwill", Side.DEBIT, manual=True)
"""Wallet credits given away."""

HOLDS: Final = AccountSpec("9010", "Authorised holds", Side.DEBIT, memo=True, open_item=True, dimensions=_GATEWAY)
"""Memo: authorised and neither captured nor released. Open item by payment."""

HOLDS_CONTRA: Final = AccountSpec("9020", "Authorised holds, contra", Side.CREDIT, memo=True, dimensions=_GATEWAY)
"""Memo: the other side of every hold."""

CHART: Final[Mapping[str, AccountSpec]] = MappingProxyType(
    {spec.code: spec for spec in list(globals().values()) if isinstance(spec, AccountSpec)}
)
"""Every account by its code."""


def account_spec(code: str) -> AccountSpec:
    """The chart's line for a code. Raises: UnknownAccount."""
    try:
        return CHART[code]
    except KeyError:
        raise UnknownAccount(code) from None


def check_text(what: str, text: str, *, required: bool, where: Callable[[], str]) -> None:
    """Refuse a name nobody could find again. Raises: DraftRefused for empty, too long, blank-padded, unprintable.

    `where` is asked only for a refusal: this runs for every line of every entry.
    """
    if required and not text:
        raise DraftRefused(f"The {what} of {where()} is empty.")
    if len(text) > KEY_MAX_LENGTH:
        raise DraftRefused(f"The {what} of {where()} has {len(text)} characters; at most {KEY_MAX_LENGTH} fit.")
    if text != text.strip() or not text.isprintable():
        raise DraftRefused(f"The {what} of {where()} has blanks around it or control characters: {text!r}.")
