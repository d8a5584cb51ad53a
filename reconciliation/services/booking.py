"""What of a statement is booked beyond our movements? Fees, exchange, reserves, adjustments and payouts, from the lines.

For each day and currency the books should hold what the day's lines come to now; what is missing to that is booked, whatever
the reason: new lines, a completed or restated one, a match made or undone, a corrected rate. So a second run books nothing.
A line of a movement counts while it is matched: an unmatched one is a break, and its whole net stands there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from ledger.money import Money
from ledger.services import post_entries
from payments.facts import PayoutTold
from payments.queries.reconciling import payouts_named
from payments.services.payouts import STATEMENT, entry_key, restated_key, tell_payout, tell_return
from payments.states import PayoutState
from reconciliation.accounting import (
    ADJUSTMENT,
    DISPUTE_FEES,
    EXCHANGE,
    FEES,
    PAYOUT,
    RESERVE,
    LineBooking,
    Sums,
    entry_for,
)
from reconciliation.models import Booking, Break, Line, Run, StatementAccount
from reconciliation.queries.charges import booked, owed, payout_lines
from reconciliation.queries.scope import BEYOND_CAP
from reconciliation.states import OPEN_BREAK_STATES, LineKind

_WORDS: Final = {
    FEES: "fees",
    DISPUTE_FEES: "dispute fees",
    EXCHANGE: "exchange",
    RESERVE: "reserve",
    ADJUSTMENT: "adjustments",
}


@dataclass(frozen=True, slots=True)
class Booked:
    """What a booking did: entries made, and payouts the lines told of."""

    entries: int = 0
    payouts: int = 0


def book_lines(run: Run, now: datetime) -> Booked:
    """This function will book what the lines in a run's reach ask for; see `book_days`.

    Its reach: the account's lag cap and five days back from the run's day, and the days of lines that breaks name which
    are open or ended since then.
    """
    if run.account.kind != StatementAccount.Kind.GATEWAY:
        return Booked()
    return book_days(run.account, days_of(run), now=now, run=run)


@transaction.atomic
def book_days(account: StatementAccount, days: Collection[date], *, now: datetime, run: Run | None = None) -> Booked:
    """This function will bring the books to what the lines of these days say now: matched ones, and those without movement.

    To be called also by whoever makes or undoes a match, in the same transaction.
    Idempotent on: the lines as they are. Writes: entries, bookings, payouts. Locks: the account's row, then payouts.
    """
    StatementAccount.objects.select_for_update(of=("self",), no_key=True).get(pk=account.pk)
    told = [_tell(account, line, run, now) for line in payout_lines(account, days)]
    wanted = _missing(account, days)
    numbers = _numbers(account, days)
    drafts, rows = [], []
    for day, sums in wanted:
        group = (day, sums.kind, sums.currency, sums.against_currency)
        numbers[group] = numbers.get(group, 0) + 1
        booking = _booking(account, day, sums, numbers[group])
        drafts.append(entry_for(sums, booking))
        rows.append(_row(account, run, day, sums, booking.source_key, now))
    post_entries(drafts, now=now)
    Booking.objects.bulk_create(rows)
    return Booked(entries=len(rows), payouts=sum(told))


def days_of(run: Run) -> list[date]:
    """The days whose lines a night looks at."""
    account = run.account
    first = run.day - timedelta(days=account.lag_cap_days + BEYOND_CAP)
    days = {run.day - timedelta(days=back) for back in range((run.day - first).days + 1)}
    since = datetime.combine(first, time(), ZoneInfo(account.time_zone))
    named = Break.objects.filter(account=account, line__isnull=False)
    fresh = named.filter(Q(state__in=[state.value for state in OPEN_BREAK_STATES]) | Q(ended_at__gte=since))
    return sorted(days | set(fresh.values_list("line__day", flat=True).distinct()))


def _missing(account: StatementAccount, days: Collection[date]) -> list[tuple[date, Sums]]:
    """By day, kind and currency: what should stand there less what does."""
    stands = {_group(day, sums): sums for day, sums in booked(account, days)}
    found = []
    for day, sums in owed(account, days):
        before = stands.pop(_group(day, sums), Sums(sums.kind, sums.currency, against_currency=sums.against_currency))
        found.append((day, sums.less(before)))
    for (day, *_), before in stands.items():  # nothing asks for it any more
        found.append((day, Sums(before.kind, before.currency, against_currency=before.against_currency).less(before)))
    return sorted(
        ((day, sums) for day, sums in found if not sums.moves_nothing), key=lambda item: _group(item[0], item[1])
    )


def _group(day: date, sums: Sums) -> tuple[date, str, str, str]:
    return day, sums.kind, sums.currency, sums.against_currency


def _numbers(account: StatementAccount, days: Collection[date]) -> dict[tuple[date, str, str, str], int]:
    """How often each group was booked: its next entry has the next number."""
    rows = Booking.objects.filter(account=account, day__in=days)
    numbers: dict[tuple[date, str, str, str], int] = {}
    for day, kind, currency, against in rows.values_list("day", "kind", "currency", "against_currency"):
        assert day is not None  # asked for by day
        numbers[day, kind, currency, against] = numbers.get((day, kind, currency, against), 0) + 1
    return numbers


def _booking(account: StatementAccount, day: date, sums: Sums, number: int) -> LineBooking:
    pair = f"{sums.currency}-{sums.against_currency}" if sums.against_currency else sums.currency
    again = "" if number == 1 else f", correction {number - 1}"
    return LineBooking(
        source_key=f"lines:{account.slug}:{day}:{sums.kind}:{pair}:{number}",
        subject=f"{account.slug}:{day}",
        gateway=account.slug,
        match_key=f"{account.slug}:{day}",
        description=f"{_WORDS[sums.kind]} of {account.slug}, {day}, from its lines{again}",
        occurred_at=datetime.combine(day, time(12), ZoneInfo(settings.BUSINESS_TIME_ZONE)),
    )


def _row(
    account: StatementAccount, run: Run | None, day: date, sums: Sums, source_key: str, now: datetime
) -> Booking:  # fmt: skip
    return Booking(
        account=account,
        run=run,
        kind=sums.kind,
        currency=sums.currency,
        amount_minor=sums.amount_minor,
        expected_minor=sums.expected_minor,
        tax_minor=sums.tax_minor,
        against_currency=sums.against_currency,
        against_minor=sums.against_minor,
        day=day,
        lines_count=sums.lines,
        entry_source_key=source_key,
        booked_at=now,
    )


def _tell(account: StatementAccount, line: Line, run: Run | None, now: datetime) -> bool:
    """A line is proof that the payout left the balance, or is back in it. False if it said so before."""
    rows = list(line.bookings.filter(undone_at=None))
    if sum(row.amount_minor for row in rows) == line.gross_minor or any(row.kind != PAYOUT for row in rows):
        return False
    paid_out = line.kind == LineKind.PAYOUT
    gateway_id = rows[0].payout_id if rows else _payout_of(account, line)
    told = PayoutTold(
        gateway_id=gateway_id,
        state=PayoutState.IN_TRANSIT if paid_out else PayoutState.FAILED,
        money=Money(-line.gross_minor if paid_out else line.gross_minor, line.currency),
        made_at=line.occurred_at,
        occurred_at=line.occurred_at,
        arrives_on=line.available_on if paid_out else None,
        bank_ref=line.bank_ref,
    )
    tell = partial(tell_payout, said_by=STATEMENT) if paid_out else tell_return
    payout = tell(account.slug, told, now=now)
    leg = "left" if paid_out else "back"
    row = Booking(
        account=account,
        run=run,
        line=line,
        kind=PAYOUT,
        payout_id=gateway_id,
        currency=line.currency,
        amount_minor=line.gross_minor - sum(row.amount_minor for row in rows),
        entry_source_key=restated_key(payout) if rows else entry_key(account.slug, gateway_id, leg),
        booked_at=now,
    )
    Booking.objects.bulk_create([row], ignore_conflicts=True)
    return True


def _payout_of(account: StatementAccount, line: Line) -> str:
    """The id of the payout that a line tells of.

    A source may give one id to several, a day's deposits in two currencies say: the first has it, each other its line's key.
    What comes back is the one of its money, where several share the id.
    """
    named = (line.payout_id or line.gateway_id or line.line_key)[:100]
    told = Booking.objects.filter(account=account, kind=PAYOUT, undone_at=None, line__kind=LineKind.PAYOUT)
    if line.kind == LineKind.PAYOUT_RETURN:
        left = told.filter(line__payout_id=line.payout_id, currency=line.currency).exclude(line__payout_id="")
        same = left.filter(amount_minor=-line.gross_minor).order_by("id").first() or left.order_by("id").first()
        named = named if same is None else same.payout_id
        taken = False
    else:
        taken = told.filter(payout_id=named, line__removed=False).exclude(line=line).exists()
    known = payouts_named(account.gateway_account_id or 0, [named])
    taken = taken or any(payout.currency != line.currency for payout in known)
    return line.line_key[:100] if taken else named
