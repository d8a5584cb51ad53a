"""Why is the gateway's balance not ours? Books, what is on its way, open differences, the gateway's balance; what is left.

Every number comes with its rows. What is left over must be nothing: it is the one thing nobody can explain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models.functions import Coalesce

from ledger import chart
from ledger import queries as ledger
from ledger.chart import AccountRef
from ledger.queries.receivable import Change, changes
from payments.queries import reconciling as ours
from payments.queries.reconciling import MOVED, MOVEMENTS, PAYMENTS, PAYOUTS, REPORTED, SIGNED
from reconciliation.models import Booking, Break, OpeningPosition, Statement, StatementAccount
from reconciliation.queries.scope import LINE_IN_WINDOW, LINE_OPEN, MOVEMENT_IN_WINDOW, MOVEMENT_OPEN, Scope, scope_of
from reconciliation.states import OPEN_BREAK_STATES, BreakType, StatementState

SHOWN: Final = 200
"""Rows that come with a number; its count says how many there are."""
_OPEN: Final = sorted(state.value for state in OPEN_BREAK_STATES)
_OF_THEIR_DAY: Final = ("resolution:", "undo:", "payout:")
"""Source keys of entries whose own time is that of the day they belong to; movements and lines are asked for theirs."""
_APART: Final = [BreakType.BALANCE_DRIFT]
_NET: Final = "coalesce(l.net_minor, l.gross_minor - coalesce(l.fee_minor, 0) - coalesce(l.tax_minor, 0))"
_MOVED_LINE: Final = "l.kind <> 'decline' AND lower(l.status) <> ALL(%(not_moved)s)"
_IN_BREAK: Final = """EXISTS (SELECT FROM reconciliation_break AS b
    WHERE b.account_id = %(account)s AND b.{column} = {row}.id AND b.state = ANY(%(open)s) AND {more})"""
_EXPECTED: Final = f"""
SELECT m.id, {SIGNED}, m.gateway_id, (m.occurred_at AT TIME ZONE %(zone)s)::date, coalesce(p.public_id, ''), m.kind
  FROM {MOVEMENTS} AS m LEFT JOIN {PAYMENTS} AS p ON p.id = m.payment_id
 WHERE {MOVEMENT_IN_WINDOW} AND m.currency = %(currency)s AND {MOVED} AND {REPORTED} AND {MOVEMENT_OPEN}
   AND NOT {_IN_BREAK.format(column="movement_id", row="m", more="b.difference_minor <> 0 AND b.kind <> 'missing_in_ledger'")}
"""  # noqa: S608 - made of our own constants
_EARLY: Final = f"""
SELECT l.id, {_NET}, l.line_key, l.day, l.reference, l.kind
  FROM reconciliation_line AS l
 WHERE {LINE_IN_WINDOW} AND l.currency = %(currency)s AND {_MOVED_LINE} AND l.kind = ANY(%(movements)s) AND {LINE_OPEN}
   AND NOT {_IN_BREAK.format(column="line_id", row="l", more="true")}
"""  # noqa: S608 - made of our own constants
_ALL_LINES: Final = f"""
SELECT coalesce(sum({_NET}), 0)::bigint, count(*) FROM reconciliation_line AS l
 WHERE l.account_id = %(account)s AND l.currency = %(currency)s AND NOT l.removed AND l.day > %(after)s AND l.day <= %(day)s
   AND {_MOVED_LINE}
"""  # noqa: S608 - made of our own constants
_OTHER_CURRENCY: Final = f"""
SELECT b.id, b.public_id, -({SIGNED}), b.kind, b.because FROM reconciliation_break AS b
  JOIN {MOVEMENTS} AS m ON m.id = b.movement_id AND m.currency = %(currency)s
 WHERE b.account_id = %(account)s AND b.state = ANY(%(open)s) AND b.day <= %(day)s AND b.currency <> %(currency)s
   AND b.line_id IS NOT NULL AND b.kind IN ('currency_mismatch', 'amount_mismatch', 'status_mismatch', 'refund_failed')
 ORDER BY b.id
"""  # noqa: S608 - made of our own constants
_PAYOUTS_UNTOLD: Final = f"""
SELECT p.id, p.amount_minor, p.gateway_id, (p.made_at AT TIME ZONE %(zone)s)::date, p.public_id, p.state
  FROM {PAYOUTS} AS p
 WHERE p.gateway_account_id = %(gateway)s AND p.currency = %(currency)s AND p.entry_source_key <> ''
   AND p.state NOT IN ('failed', 'returned') AND p.made_at < %(end)s AND p.made_at >= %(start)s AND p.amount_minor <> 0
   AND NOT EXISTS (SELECT FROM reconciliation_line AS l WHERE l.account_id = %(account)s AND l.kind = 'payout'
                     AND NOT l.removed AND (l.payout_id = p.gateway_id OR l.gateway_id = p.gateway_id OR l.line_key = p.gateway_id))
 ORDER BY p.id
"""  # noqa: S608 - made of our own constants


@dataclass(frozen=True, slots=True)
class Item:
    """One row behind a number. `row` is a movement, line, break or payout, by `of`; positive is in our favour."""

    of: str
    row: int
    name: str
    amount_minor: int
    day: date | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One number of the proof, how many rows make it, and the first of them."""

    title: str
    amount_minor: int
    count: int
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """books + Σ timing + Σ breaks = gateway, but for the residual. Minor units of `currency`, debit positive."""

    slug: str
    currency: str
    day: date
    books: Part
    timing: tuple[Part, ...]
    breaks: tuple[Part, ...]
    gateway: Part
    stated: bool
    """The gateway told its balance; otherwise it is the opening positions and every line since."""

    @property
    def explained_minor(self) -> int:
        return self.books.amount_minor + sum(part.amount_minor for part in (*self.timing, *self.breaks))

    @property
    def residual_minor(self) -> int:
        return self.gateway.amount_minor - self.explained_minor


@dataclass
class _Sum:
    """Adds rows up, keeping the first of them."""

    title: str
    amount: int = 0
    count: int = 0
    items: list[Item] = field(default_factory=list)

    def add(self, item: Item) -> None:
        self.amount += item.amount_minor
        self.count += 1
        if len(self.items) < SHOWN:
            self.items.append(item)

    @property
    def part(self) -> Part:
        return Part(self.title, self.amount, self.count, tuple(self.items))


def proof(account_id: int, currency: str, day: date) -> Proof:
    """The proof of one account, currency and day, as things stand now. Raises: StatementAccount.DoesNotExist."""
    account = StatementAccount.objects.get(pk=account_id)
    scope = scope_of(account, day)
    named = {**scope.parameters, "currency": currency, "open": _OPEN}
    gateway, stated = _gateway(account, scope, named)
    timing = (_cut_off(scope, currency),) if scope.bank else _timing(scope, named)
    return Proof(
        slug=account.slug,
        currency=currency,
        day=day,
        books=_books(scope, currency),
        timing=tuple(part for part in timing if part.count),
        breaks=tuple(_breaks(scope, named)),
        gateway=gateway,
        stated=stated,
    )


def currencies_of(account: StatementAccount, scope: Scope) -> list[str]:
    """In which currencies there is something to prove: those of lines, of the books, and those settled in."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT l.currency FROM reconciliation_line AS l WHERE l.account_id = %s AND l.day <= %s",
            [account.pk, scope.day],
        )
        told = {row[0] for row in cursor.fetchall()}
    if scope.bank:
        return sorted(told)
    booked = ledger.balances(codes=[chart.GATEWAY_RECEIVABLE.code], gateway=scope.slug, booked_to=scope.day)
    return sorted(told | {row.ref.currency for row in booked})


def _books(scope: Scope, currency: str) -> Part:
    code = chart.BANK.code if scope.bank else chart.GATEWAY_RECEIVABLE.code
    ref = AccountRef(code, currency, gateway="" if scope.bank else scope.slug)
    balance = ledger.balance(ref, booked_to=scope.day)
    title = f"Account {code}, booked up to {scope.day}"
    return Part(
        title, balance.amount_minor, 1, (Item("account", balance.account_id or 0, str(ref), balance.amount_minor),)
    )


def _gateway(account: StatementAccount, scope: Scope, named: dict[str, Any]) -> tuple[Part, bool]:
    """What the source states for the day, else its last word before it and every line since."""
    currency = named["currency"]
    rows = Statement.objects.filter(account=account, state=StatementState.READ, complete=True, ends_on__lte=scope.day)
    for statement in rows.exclude(balances=[]).order_by("-ends_on", "-id")[:50]:
        amount = _stated(statement, currency)
        if amount is not None and statement.ends_on is not None:
            lines, count = _lines_after(named, statement.ends_on)
            items = (Item("statement", statement.pk, statement.name, amount, statement.ends_on, "states its balance"),)
            return Part("The balance it states", amount + lines, count + 1, items), not count
    opened = _opening(account, scope, currency)
    start = (account.books_start_on or date(1970, 1, 2)) - timedelta(days=1)
    lines, count = _lines_after(named, start)
    rows_: tuple[Item, ...] = (
        Item("opening", 0, "opening positions", opened),
        Item("lines", 0, f"{count} lines since", lines),
    )
    return Part("Opening positions and every line since", opened + lines, count, rows_), False


def _stated(statement: Statement, currency: str) -> int | None:
    for balance in statement.balances:
        if not balance.get("opening") and balance.get("currency") == currency:
            return int(balance["amount_minor"])
    return None


def _lines_after(named: dict[str, Any], after: date) -> tuple[int, int]:
    rows = _rows(_ALL_LINES, {**named, "after": after})
    return int(rows[0][0]), int(rows[0][1])


def _opening(account: StatementAccount, scope: Scope, currency: str) -> int:
    code = chart.BANK.code if scope.bank else chart.GATEWAY_RECEIVABLE.code
    rows = OpeningPosition.objects.filter(code=code, currency=currency, file__booked_at__isnull=False)
    rows = rows.filter(gateway="" if scope.bank else account.slug)
    return sum(rows.values_list("amount_minor", flat=True))


def _timing(scope: Scope, named: dict[str, Any]) -> Iterator[Part]:
    expected = _Sum("Ours, not reported yet")
    for pk, minor, name, day, payment, kind in _rows(_EXPECTED, named):
        expected.add(Item("movement", pk, payment or name, -minor, day, kind))
    yield expected.part
    early = _Sum("Reported, not known to us yet")
    for pk, net, key, day, reference, kind in _rows(_EARLY, named):
        early.add(Item("line", pk, key, net, day, f"{kind} {reference}".strip()))
    yield early.part
    payouts = _Sum("Payouts that left, not reported yet")
    for pk, minor, name, day, public_id, state in _rows(_PAYOUTS_UNTOLD, named):
        payouts.add(Item("payout", pk, public_id, minor, day, f"{name} {state}"))
    yield payouts.part
    yield _cut_off(scope, named["currency"])


def _cut_off(scope: Scope, currency: str) -> Part:
    """Entries whose day in the books is not the gateway's day of the same money: other zones, and days that were closed."""
    total = _Sum("Booked on another day than it happened at the gateway")
    zone = ZoneInfo(scope.zone)
    code, gateway = (chart.BANK.code, "") if scope.bank else (chart.GATEWAY_RECEIVABLE.code, scope.slug)
    later = list(changes(code, gateway, first=scope.day + timedelta(days=1), currency=currency))
    near = list(changes(code, gateway, first=scope.day - timedelta(days=1), last=scope.day, currency=currency))
    days = _days_of([*later, *near], zone)
    for change in later:
        day = days.get(change.source_key)
        if day is not None and day <= scope.day:
            total.add(Item("entry", 0, change.entry, change.amount_minor, day, f"booked on {change.booked_on}"))
    for change in near:
        day = days.get(change.source_key)
        if day is not None and day > scope.day:
            total.add(Item("entry", 0, change.entry, -change.amount_minor, day, f"booked on {change.booked_on}"))
    return total.part


def _days_of(entries: list[Change], zone: ZoneInfo) -> dict[str, date]:
    """The gateway's day of what an entry records: of a movement, of lines, or of a payout's leaving and return.

    What a fix has booked, or its undoing, is of the day of its break; what the bank showed, of that day.
    """
    own = ZoneInfo(settings.BUSINESS_TIME_ZONE)
    days = {
        entry.source_key: entry.occurred_at.astimezone(own).date()
        for entry in entries
        if entry.source_key.startswith(_OF_THEIR_DAY)
    }
    for at in range(0, len(entries), 5_000):
        keys = [entry.source_key for entry in entries[at : at + 5_000]]
        days |= {key: moment.astimezone(zone).date() for key, moment in ours.times_of_entries(keys).items()}
        dated = Booking.objects.filter(entry_source_key__in=keys).annotate(dated=Coalesce("day", "line__day"))
        rows = dated.filter(dated__isnull=False).values_list("entry_source_key", "dated")
        days |= dict(rows)
    return days


def _breaks(scope: Scope, named: dict[str, Any]) -> Iterator[Part]:
    """Open differences by kind, each with what it is between the balances."""
    sums: dict[str, _Sum] = {}
    rows = Break.objects.filter(
        account_id=scope.account_id, state__in=_OPEN, currency=named["currency"], day__lte=scope.day
    )
    for broken in rows.exclude(kind__in=_APART).exclude(difference_minor=0).order_by("kind", "day", "id").iterator():
        title = broken.kind.replace("_", " ")
        sums.setdefault(title, _Sum(title)).add(
            Item("break", broken.pk, broken.public_id, broken.difference_minor, broken.day, broken.because)
        )
    for pk, public_id, minor, kind, because in _rows(_OTHER_CURRENCY, named):
        title = f"{kind.replace('_', ' ')}, our side"
        sums.setdefault(title, _Sum(title)).add(Item("break", pk, public_id, minor, None, because))
    for title in sorted(sums):
        yield sums[title].part


def _rows(sql: str, named: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
