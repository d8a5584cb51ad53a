"""What is paid out when, and what does the bank show of it? Three payouts a day and currency, with planted differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from random import Random

from simulator.reports.contract import PROFILES
from simulator.reports.days import Days, work_days_after
from simulator.reports.maker import Maker
from simulator.reports.values import BankLine, Label, Payout, Row

_A_DAY = 3
BANKS = {"USD": "bank-usd", "EUR": "bank-eur", "JPY": "bank-jpy"}


def payouts_of(maker: Maker, rows: Iterable[Row]) -> list[Payout]:
    """Every row of a day is paid out the day after, if together they come to anything."""
    batches: defaultdict[tuple[date, str, int], list[Row]] = defaultdict(list)
    parts: dict[str, int] = {}
    for row in rows:  # the fee of a dispute goes where its money goes
        part = parts.setdefault(row.key.removesuffix(":fee"), maker.draw.randrange(_A_DAY))
        batches[maker.days.day_of(row.at), row.currency, part].append(row)
    made = []
    for (day, currency, part), items in sorted(batches.items(), key=lambda batch: batch[0]):
        amount = sum(row.worth for row in items)
        if amount > 0 and day < maker.days.last:
            made.append(_payout(maker, items, day + timedelta(days=1), currency, amount, part))
    return made


def _payout(maker: Maker, items: list[Row], day: date, currency: str, amount: int, part: int) -> Payout:
    payout_id, bank_ref = f"po_{maker.token(16)}", f"TR{maker.token(10).upper()}"
    arrives = work_days_after(day, 1)
    key = maker.key("payout", "") if maker.profile.name != "nmi" else f"{payout_id}:payout"
    row = Row(
        maker.profile.name, key, "payout", maker.days.at(day, 9, 10 * part), currency, -amount, gateway_id=payout_id,
        payout_id=payout_id, arrives=arrives, bank_ref=bank_ref, text="payout",
    )  # fmt: skip
    for item in items:
        item.payout_id = payout_id
    return Payout(maker.profile.name, row, items, arrives, bank_ref)


def sums_off(draw: Random, payouts: list[Payout], count: int) -> list[Label]:
    """Payouts that are less, or more, than what they are said to be made of."""
    labels = []
    for payout in draw.sample(payouts, k=min(count, len(payouts))):
        off = draw.randint(2, min(5_000, payout.amount - 1)) if payout.amount > 3 else 1
        payout.row.gross += off * draw.choice([-1, 1])
        key = f"payout:{payout.row.payout_id}"
        labels.append(Label("payout_sum_mismatch", payout.gateway, key, off, 0, payout.row.currency))
    return labels


class Bank:
    """Three accounts, one a currency. It shows payouts on the day they arrive, and money of its own."""

    def __init__(self, days: Days, draw: Random) -> None:
        self.days, self.draw = days, draw
        self.lines: list[BankLine] = []
        self._number = 0

    def show(self, payout: Payout, *, less: int = 0) -> BankLine:
        """By the payout's reference, its id, or the gateway's name alone."""
        name, chance = PROFILES[payout.gateway].bank_name, self.draw.random()
        reference = payout.row.payout_id if chance < 0.2 else ""
        named = payout.bank_ref if chance >= 0.3 or less else ""
        text = f"{name} {named}".strip() if not reference else name
        line = self._line(payout.arrives, payout.row.currency, payout.amount - less, reference, text)
        line.of_payout = payout.row.payout_id
        return line

    def keep_back(self, payout: Payout) -> Label:
        """It never arrives."""
        return _not_there(payout)

    def shorten(self, payout: Payout) -> list[Label]:
        """It arrives with something taken off: neither the payout nor the bank's line finds the other."""
        line = self.show(payout, less=min(1_500, payout.amount // 2))
        return [_not_there(payout), unmatched(line)]

    def own(self, currency: str) -> Label:
        """Interest, or the bank's fee."""
        amount = self.draw.choice([-1, 1]) * self.draw.randint(50, 90_000)
        text = "INTEREST" if amount > 0 else "ACCOUNT FEE"
        return unmatched(self._line(work_days_after(self.days.day, 1), currency, amount, "", text))

    def _line(self, on: date, currency: str, amount: int, reference: str, text: str) -> BankLine:
        self._number += 1
        ref = f"B{self._number:05}{currency}"
        line = BankLine(BANKS[currency], on, currency, amount, ref, reference, text)
        self.lines.append(line)
        return line


def _not_there(payout: Payout) -> Label:
    key = f"payout:{payout.row.payout_id}"
    return Label("payout_not_in_bank", payout.gateway, key, abs(payout.amount), 0, payout.row.currency)


def unmatched(line: BankLine, *, passing: bool = False) -> Label:
    """Money at the bank that no payout explains."""
    key = f"line:{line.ref}"
    return Label("bank_unmatched", line.account, key, abs(line.amount), line.amount, line.currency, passing)


def due_in_time(days: Days, payouts: Iterable[Payout]) -> list[Payout]:
    """Those of which it shows before the world ends that they did not arrive."""
    return [one for one in payouts if work_days_after(one.arrives, 2) < days.last]
