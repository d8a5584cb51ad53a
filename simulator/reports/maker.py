"""How is one order of one gateway told by both sides? Charges, refunds, disputes and rows of the gateway's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random

from simulator.reports.contract import Profile, converted, exchange_rate
from simulator.reports.days import Days
from simulator.reports.values import Row, Story, Told

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz"


class Maker:
    """Makes stories of one gateway; every draw comes from `draw`, so that a seed is a world."""

    def __init__(self, profile: Profile, days: Days, draw: Random) -> None:
        self.profile, self.days, self.draw = profile, days, draw
        self._number = 0

    # --- names ---

    def token(self, length: int = 14) -> str:
        """Letters alone: no reader takes them for a card number."""
        return "".join(self.draw.choices(_LETTERS, k=length))

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def transaction_id(self, kind: str) -> str:
        """As this gateway names a charge, refund or dispute."""
        prefix = {"charge": "ch", "refund": "re", "chargeback": "du"}[kind]
        if self.profile.name == "stripe":
            return f"{prefix}_3Rep{self.token()}"
        if self.profile.name == "nmi":
            return f"{8_000_000_000 + self.next_number() * 7}"
        return f"PSP{prefix.upper()}{self.token(12).upper()}{self.next_number()}"

    def key(self, kind: str, gateway_id: str) -> str:
        """Of the row: the gateway's own identity of it."""
        if self.profile.name == "nmi" and gateway_id:
            return f"{gateway_id}:{kind}"
        return (
            f"txn_3Rep{self.token()}" if self.profile.name == "stripe" else f"CP-{self.token(6)}-{self.next_number()}"
        )

    # --- stories ---

    def story(self, *, clean: bool = True) -> Story:
        name = self.profile.name
        return Story(name, f"order-{name}-{self.next_number()}-{self.token(5)}", clean=clean)

    def amount(self, currency: str) -> int:
        """Odd sums, so that no two meet by chance more often than in life."""
        minor = self.draw.randint(2_000, 60_000)
        return minor if currency != "JPY" else minor * 2

    def currency(self) -> str:
        choices = list(self.profile.settles)
        return self.draw.choices(choices, weights=[6, *[2] * (len(choices) - 1)])[0]

    def foreign(self) -> str:
        """A currency that is exchanged."""
        return self.draw.choice([paid for paid, settled in self.profile.settles.items() if paid != settled])

    def plain(self) -> str:
        """A currency that is settled as it is."""
        return self.draw.choice([paid for paid, settled in self.profile.settles.items() if paid == settled])

    def charge(self, story: Story, at: datetime, currency: str = "", amount: int = 0) -> tuple[Told, Row]:
        """A capture and its row, neither of them in the story yet."""
        currency = currency or self.currency()
        gateway_id, reference = self.transaction_id("charge"), f"att-{self.token()}"
        told = Told(
            self.profile.name,
            "capture",
            gateway_id,
            amount or self.amount(currency),
            currency,
            at,
            story.order,
            reference,
        )
        row = self.row_of(told, "charge", self._settles_at(at))
        row.fee, row.tax = self.profile.cost("charge", row.method, row.currency, row.gross)
        return self._knowing(told, row)

    def refund(self, of: Told, at: datetime, amount: int) -> tuple[Told, Row]:
        told = replace(
            of, kind="refund", gateway_id=self.transaction_id("refund"), amount_minor=amount, at=at,
            reference=f"ref-{self.token()}",
        )  # fmt: skip
        return self._knowing(told, self.row_of(told, "refund", at, parent=of.gateway_id))

    def comes_back(self, of: Told, at: datetime) -> tuple[Told, Row]:
        """A refund or a chargeback returns."""
        kind = f"{of.kind}_return"
        told = replace(of, kind=kind, at=at)
        return self._knowing(told, self.row_of(told, kind, at))

    def chargeback(self, of: Told, at: datetime, amount: int) -> tuple[tuple[Told, Row], tuple[Told, Row]]:
        """The money and its fee, which is in the money of settlement."""
        told = replace(of, kind="chargeback", gateway_id=self.transaction_id("chargeback"), amount_minor=amount, at=at)
        row = self.row_of(told, "chargeback", at, parent=of.gateway_id)
        row.reference = ""
        money = self._knowing(told, row)
        fee_told = replace(
            told, kind="fee", amount_minor=self._dispute_fee(row.currency), currency=row.currency, settlement_id="",
            settlement_minor=None, settlement_currency="", rate=None,
        )  # fmt: skip
        key = f"{row.key}:fee" if self.profile.name == "stripe" else self.key("dispute_fee", told.gateway_id)
        fee_row = Row(
            self.profile.name, key, "dispute_fee", at, row.currency, -fee_told.amount_minor, gateway_id=told.gateway_id,
            parent_id=of.gateway_id, method=row.method,
        )  # fmt: skip
        return money, (fee_told, fee_row)

    def own(self, kind: str, at: datetime, currency: str, gross: int, text: str) -> Row:
        """A row of the gateway's own: fee, reserve or adjustment."""
        return Row(self.profile.name, self.key(kind, f"own{self.next_number()}"), kind, at, currency, gross, text=text)

    # --- rows ---

    def row_of(self, told: Told, kind: str, at: datetime, *, parent: str = "") -> Row:
        """What the gateway reports of a movement."""
        sign = 1 if kind in ("charge", "refund_return", "chargeback_return") else -1
        currency = self.profile.settles[told.currency]
        row = Row(
            self.profile.name, self.key(kind, told.gateway_id), kind, at, currency, sign * told.amount_minor,
            gateway_id=told.gateway_id, parent_id=parent, reference=told.reference,
            method=self.draw.choice(self.profile.methods),
        )  # fmt: skip
        if currency != told.currency:
            self.present(row, sign * told.amount_minor, told.currency)
        return row

    def present(self, row: Row, minor: int, currency: str) -> None:
        """The payer saw this; the row's own money follows from it."""
        row.presented, row.presented_in = minor, currency
        row.rate = exchange_rate(currency, row.currency)
        row.gross = converted(minor, currency, row.currency, row.rate)

    def some_time(self, day: date, *, first: int = 0, last: int = 24) -> datetime:
        return self.days.some_time(self.draw, day, first=first, last=last)

    def _settles_at(self, at: datetime) -> datetime:
        local = at.astimezone(self.days.zone)
        if local.hour < self.profile.cut_off_hour:
            return at
        after = local.date() + timedelta(days=1)
        return self.days.at(after, 6) + timedelta(seconds=self.draw.randrange(3600))

    def _dispute_fee(self, currency: str) -> int:
        return self.profile.dispute_fee_minor if currency != "JPY" else 3000

    def _knowing(self, told: Told, row: Row) -> tuple[Told, Row]:
        """The merchant knows what it is worth where messages say so."""
        if self.profile.tells_settlement:
            told.settlement_id, told.settlement_minor = row.key, row.gross
            told.settlement_currency, told.rate = row.currency, row.rate
        return told, row
