"""Is the receivable what the gateway's balance is, after any days of captures, refunds, disputes, fees and payouts?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ledger.queries import balances
from payments.states import MovementKind
from reconciliation.models import Line, Match
from reconciliation.queries.charges import contract
from reconciliation.rates import expected, rate_for
from reconciliation.services.booking import book_days
from reconciliation.states import LineKind
from tests.exploring import examples
from tests.reconciliation.booking.world import DAY, INTO, LINE_OF, NOW, World

DAYS = [DAY + timedelta(days=number) for number in range(3)]
RATES = {"USD": 100, "EUR": 108, "JPY": 1}  # cents of settlement for a hundred minor units; a yen has none


@dataclass(frozen=True)
class Event:
    """One thing that happens at the gateway. `reported`: 0 not yet, 1 on its day, 2 on the next one."""

    kind: MovementKind | LineKind
    minor: int
    currency: str
    day: int
    fee: int
    tax: int
    reported: int
    undone: bool


def events() -> st.SearchStrategy[Event]:
    own = [LineKind.FEE, LineKind.PAYOUT, LineKind.RESERVE_HOLD, LineKind.RESERVE_RELEASE]
    kinds = st.sampled_from([*LINE_OF, MovementKind.CAPTURE, MovementKind.CAPTURE, *own])
    return st.builds(
        Event, kinds, st.integers(50, 99_999), st.sampled_from(list(RATES)), st.integers(0, 1), st.integers(-20, 400),
        st.integers(0, 50), st.sampled_from([0, 1, 1, 2]), st.booleans(),
    )  # fmt: skip


class Gateway:
    """What it reports, and what its balance is by that."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ours: dict[str, int] = {}
        self.lines: list[tuple[Line, Event, Match | None]] = []

    def does(self, event: Event) -> None:
        if isinstance(event.kind, LineKind):
            out = -1 if event.kind != LineKind.RESERVE_RELEASE else 1
            self.lines.append((self._line(event.kind, out * event.minor, event), event, None))
            return
        currency = "USD" if event.kind == MovementKind.FEE else event.currency
        movement = self.world.moved(event.kind, event.minor, currency, on=DAYS[event.day])
        sign = 1 if event.kind in INTO else -1
        if not event.reported:
            self.ours[currency] = self.ours.get(currency, 0) + sign * event.minor
            return
        line = self._line(LINE_OF[event.kind], sign * (event.minor * RATES[currency] // 100), event)
        (match,) = self.world.match(line, movement)
        self.lines.append((line, event, match))

    def _line(self, kind: LineKind, gross: int, event: Event) -> Line:
        late = 1 if event.reported == 2 else 0
        return self.world.line(kind, gross, on=DAYS[event.day + late], fee_minor=event.fee, tax_minor=event.tax)

    def undo(self) -> None:
        """Some matches turn out to be none: the movement is as if it had not been reported, the line as if unknown."""
        for line, event, match in list(self.lines):
            if match is None or not event.undone:
                continue
            match.undone_at = NOW
            match.save()
            self.lines.remove((line, event, match))
            currency = "USD" if event.kind == MovementKind.FEE else event.currency
            sign = 1 if event.kind in INTO else -1
            self.ours[currency] = self.ours.get(currency, 0) + sign * event.minor

    def should_be(self) -> dict[str, int]:
        """Its balance by the lines that are accounted for, and the movements it has not told yet."""
        found = dict(self.ours)
        for line, _event, _match in self.lines:
            found["USD"] = found.get("USD", 0) + (line.net_minor or 0)
        return {currency: minor for currency, minor in found.items() if minor}


def receivable() -> dict[str, int]:
    rows = balances(["1110"])
    return {row.ref.currency: row.amount_minor for row in rows if row.amount_minor}


class TestAnyDays(TestCase):
    @settings(max_examples=examples(24), suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.lists(events(), max_size=12), st.lists(events(), max_size=6))
    def test_the_receivable_is_the_gateways_balance(self, first: list[Event], then: list[Event]) -> None:
        world = World("stripe")
        for kind in ("charge", "refund", "reserve_hold", "reserve_release"):
            world.rate(kind)
        gateway = Gateway(world)
        for event in first:
            gateway.does(event)
        book_days(world.account, DAYS, now=NOW)
        assert receivable() == gateway.should_be()

        gateway.undo()
        for event in then:
            gateway.does(event)
        book_days(world.account, DAYS, now=NOW)
        assert receivable() == gateway.should_be()
        assert book_days(world.account, DAYS, now=NOW).entries == 0
        assert sum(row.amount_minor for row in balances(["5010", "5015"])) == self._fees(gateway)
        assert sum(row.amount_minor for row in balances(["5010"])) == self._by_contract(world, gateway)
        kept_back = sum(-line.gross_minor for line, *_ in gateway.lines if LineKind(line.kind) in RESERVES)
        assert sum(row.amount_minor for row in balances(["1120"])) == kept_back

    def _fees(self, gateway: Gateway) -> int:
        disputed = {LineKind.CHARGEBACK, LineKind.CHARGEBACK_RETURN, LineKind.DISPUTE_FEE}
        kept = [line for line, *_ in gateway.lines if LineKind(line.kind) not in disputed]
        return sum(_fee(line) for line in kept)

    def _by_contract(self, world: World, gateway: Gateway) -> int:
        """The same in Python as the statement has it: what the contract says, or what was charged where it says nothing."""
        disputed = {LineKind.CHARGEBACK, LineKind.CHARGEBACK_RETURN, LineKind.DISPUTE_FEE}
        rates, total = contract(world.account.pk), 0
        for line, *_ in gateway.lines:
            if LineKind(line.kind) in disputed:
                continue
            rate = rate_for(rates, kind=line.kind, method=line.method, currency=line.currency, day=line.day)
            asked = expected(rate, kind=line.kind, gross_minor=line.gross_minor).fee_minor if rate else _fee(line)
            asked = _fee(line) if LineKind(line.kind) in RESERVES else asked
            total += asked
        return total


RESERVES = {LineKind.RESERVE_HOLD, LineKind.RESERVE_RELEASE}


def _fee(line: Line) -> int:
    own = -line.gross_minor if line.kind == LineKind.FEE else 0
    return own + (line.fee_minor or 0)
