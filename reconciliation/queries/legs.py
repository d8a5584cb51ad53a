"""What else does not line up: books and movements, payouts with items and bank, money given back twice, reports?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import F, Sum

from ledger import chart
from ledger.queries.receivable import changes
from payments.queries import reconciling as ours
from payments.queries.reconciling import GivenTwice, PayoutKnown
from reconciliation.business_days import add_business_days, day_bounds, is_business_day
from reconciliation.findings import FoundBreak
from reconciliation.models import Break, Line, LineChange, RejectedRow, Statement, StatementAccount
from reconciliation.queries.coverage import compared_reports, whole_reports
from reconciliation.queries.scope import Scope
from reconciliation.rules.base import said
from reconciliation.states import OPEN_BREAK_STATES, BreakType, LineKind, StatementState

BACK: Final = timedelta(days=3)
"""How far back the books are compared with movements each night; `verify_ledger` re-adds everything."""
_OPEN: Final = sorted(state.value for state in OPEN_BREAK_STATES)
_PAYOUT_KINDS: Final = (LineKind.PAYOUT.value, LineKind.PAYOUT_RETURN.value)
_ITEMS: Final = """
SELECT l.payout_id, l.currency,
       sum(coalesce(l.net_minor, l.gross_minor - coalesce(l.fee_minor, 0) - coalesce(l.tax_minor, 0)))::bigint, count(*)
  FROM reconciliation_line AS l
 WHERE l.account_id = %(account)s AND l.payout_id = ANY(%(payouts)s) AND l.payout_id <> '' AND NOT l.removed
   AND l.kind NOT IN ('payout', 'payout_return', 'decline') AND lower(l.status) <> ALL(%(not_moved)s)
 GROUP BY l.payout_id, l.currency ORDER BY l.payout_id, l.currency
"""


def books_off(scope: Scope) -> Iterator[FoundBreak]:
    """Movements without entry, and entries of movements that there are not, of the last days."""
    assert scope.gateway_account_id is not None
    since = max(scope.start, day_bounds(scope.day - BACK, ZoneInfo(scope.zone))[0])
    named = Break.objects.filter(account_id=scope.account_id, kind=BreakType.MISSING_IN_LEDGER, state__in=_OPEN)
    ids = [pk for pk in named.values_list("movement_id", flat=True) if pk]
    rows = ours.unbooked(scope.gateway_account_id, start=since, end=scope.end, ids=ids, zone=scope.zone)
    for row in rows:
        yield FoundBreak(
            kind=BreakType.MISSING_IN_LEDGER,
            key=f"movement:{row.id}",
            currency=row.currency,
            difference_minor=row.minor,
            value_minor=abs(row.minor),
            day=row.day,
            cause="movements without entry",
            because=f"{said(row.minor, row.currency)} moved at the gateway, and the books have no entry {row.source_key}.",
            ours={"movement": row.gateway_id, "entry": row.source_key},
            movement_id=row.id,
            payment_id=row.payment_id,
            payment_public_id=row.payment_public_id,
        )
    yield from _entries_of_nothing(scope, since.date() - timedelta(days=1))


def _entries_of_nothing(scope: Scope, first: date) -> Iterator[FoundBreak]:
    """Of the days from `first` on, and those that open breaks name: time alone explains no entry."""
    named = Break.objects.filter(account_id=scope.account_id, kind=BreakType.DUPLICATE_INTERNAL, state__in=_OPEN)
    older = (
        named.filter(key__startswith="entry:", day__lt=first).order_by("day").values_list("day", flat=True).distinct()
    )
    spans = [(first, scope.day), *((day, day) for day in older)]
    booked = [
        change
        for begin, end in spans
        for change in changes(chart.GATEWAY_RECEIVABLE.code, scope.slug, first=begin, last=end)
        if change.source_key.startswith(f"movement:{scope.slug}:")
    ]
    for page in (booked[at : at + 5_000] for at in range(0, len(booked), 5_000)):
        known = ours.times_of_entries([change.source_key for change in page])
        for change in page:
            if change.source_key in known:
                continue
            money = said(change.amount_minor, change.currency)
            yield FoundBreak(
                kind=BreakType.DUPLICATE_INTERNAL,
                key=f"entry:{change.entry}",
                currency=change.currency,
                difference_minor=-change.amount_minor,
                value_minor=abs(change.amount_minor),
                day=change.booked_on,
                cause="entries without movement",
                because=f"Entry {change.entry} books {money}, and no movement names it.",
                ours={"entry": change.entry, "source": change.source_key},
            )


def given_back_twice(scope: Scope) -> Iterator[FoundBreak]:
    """Payments of which more went back than came in, all of it known to us: refunds beyond the charge, or both ways."""
    assert scope.gateway_account_id is not None
    kinds = [BreakType.DUAL_REFUND, BreakType.REFUND_EXCEEDS]
    named = Break.objects.filter(account_id=scope.account_id, kind__in=kinds, state__in=_OPEN)
    payments = [pk for pk in named.values_list("payment_id", flat=True) if pk]
    rows = ours.given_twice(
        scope.gateway_account_id, start=scope.start, end=scope.end, payments=payments, zone=scope.zone
    )
    return (_given_twice(row) for row in rows)


def _given_twice(row: GivenTwice) -> FoundBreak:
    both = row.refunded_minor > 0 and row.charged_back_minor > 0
    refunded, back = said(row.refunded_minor, row.currency), said(row.charged_back_minor, row.currency)
    ways = (
        f"{refunded} were refunded and {back} charged back"
        if both
        else f"{said(row.refunded_minor + row.charged_back_minor, row.currency)} went back"
    )
    return FoundBreak(
        kind=BreakType.DUAL_REFUND if both else BreakType.REFUND_EXCEEDS,
        key=f"payment:{row.payment_public_id}:{row.currency}",
        currency=row.currency,
        difference_minor=0,
        value_minor=row.refunded_minor + row.charged_back_minor - row.taken_minor,
        day=row.day,
        cause="refunded and charged back" if both else "refunds beyond the charge",
        because=f"{ways} of {said(row.taken_minor, row.currency)} taken.",
        ours={"payment": row.payment_public_id},
        movement_id=row.movement_id,
        payment_id=row.payment_id,
        payment_public_id=row.payment_public_id,
    )


def payouts_off(scope: Scope) -> Iterator[FoundBreak]:
    """Payouts that are not the sum of their items, where the items are known to be whole."""
    assert scope.gateway_account_id is not None
    lines = Line.objects.filter(account_id=scope.account_id, day__range=(scope.first, scope.day), removed=False)
    told = set(lines.exclude(payout_id="").values_list("payout_id", flat=True).distinct())
    named = Break.objects.filter(account_id=scope.account_id, kind=BreakType.PAYOUT_SUM_MISMATCH, state__in=_OPEN)
    told |= {key.removeprefix("payout:") for key in named.values_list("key", flat=True)}
    whole = _itemised(scope, sorted(told))
    payouts = {payout.gateway_id: payout for payout in ours.payouts_named(scope.gateway_account_id, sorted(whole))}
    with connection.cursor() as cursor:
        cursor.execute(_ITEMS, {**scope.parameters, "payouts": sorted(payouts)})
        sums: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        for payout_id, currency, net, count in cursor.fetchall():
            sums[payout_id][currency] = (net, count)
    for gateway_id, payout in sorted(payouts.items()):
        net, count = sums[gateway_id].get(payout.currency, (0, 0))
        if net != payout.amount_minor:
            yield _sum_off(payout, net, count)


def _itemised(scope: Scope, payout_ids: Sequence[str]) -> set[str]:
    """Payouts whose items are all there: a whole report itemises them, or stands beside the payout's own line."""
    reports = Statement.objects.filter(account_id=scope.account_id, state=StatementState.READ, complete=True)
    told = set(reports.filter(payout_id__in=payout_ids).values_list("payout_id", flat=True))
    account = StatementAccount.objects.get(pk=scope.account_id)
    if account.fetched:
        return told
    beside = Line.objects.filter(
        account_id=scope.account_id, payout_id__in=payout_ids, kind=LineKind.PAYOUT, removed=False
    ).values_list("payout_id", "day")
    days = [day for _, day in beside]
    whole = whole_reports(account, min(days), max(days)) if days else set()
    items = Line.objects.filter(account_id=scope.account_id, payout_id__in=payout_ids, removed=False)
    itemised = set(items.exclude(kind__in=_PAYOUT_KINDS).values_list("payout_id", flat=True).distinct())
    return told | ({payout_id for payout_id, day in beside if day in whole} & itemised)


def _sum_off(payout: PayoutKnown, net: int, count: int) -> FoundBreak:
    items, sent = said(net, payout.currency), said(payout.amount_minor, payout.currency)
    return FoundBreak(
        kind=BreakType.PAYOUT_SUM_MISMATCH,
        key=f"payout:{payout.gateway_id}",
        currency=payout.currency,
        difference_minor=0,
        value_minor=abs(net - payout.amount_minor),
        day=payout.made_at.date(),
        cause=f"items of payout {payout.gateway_id}",
        because=f"Its {count} items come to {items}, the payout is {sent}: {said(net - payout.amount_minor, payout.currency)} off.",
        ours={"payout": sent, "payout id": payout.gateway_id},
        theirs={"items": items, "count": str(count)},
        payout_id=payout.id,
    )


def payouts_late(scope: Scope, account: StatementAccount) -> Iterator[FoundBreak]:
    """Payouts that should be in the bank by what the bank has reported. Before it is compared nothing can be said."""
    assert scope.gateway_account_id is not None
    holidays = [date.fromisoformat(text) for text in account.holidays]
    banks = _banks_reporting(scope)
    for payout in ours.payouts_not_in_bank(scope.gateway_account_id):
        due = add_business_days(payout.arrives_on, account.bank_days, holidays)
        reported = [covered for currencies, covered in banks if not currencies or payout.currency in currencies]
        if not reported or payout.amount_minor == 0:
            continue
        up_to = min(max(covered) for covered in reported)
        expected = _business_days(max(payout.arrives_on, scope.first), due, holidays)
        if due >= up_to or not all(expected <= covered for covered in reported):
            continue
        money = said(payout.amount_minor, payout.currency)
        yield FoundBreak(
            kind=BreakType.PAYOUT_NOT_IN_BANK,
            key=f"payout:{payout.gateway_id}",
            currency=payout.currency,
            difference_minor=0,
            value_minor=abs(payout.amount_minor),
            day=payout.arrives_on,
            cause=f"payouts not in the bank, {payout.currency}",
            because=f"{money} were to arrive on {payout.arrives_on}; the bank's report up to {up_to} does not show it.",
            ours={"payout": payout.gateway_id, "state": payout.state, "amount": money, "reference": payout.bank_ref},
            payout_id=payout.id,
        )


def _banks_reporting(scope: Scope) -> list[tuple[list[str], set[date]]]:
    """Banks that reported lately: in which currencies (none: any), and the days of whole reports that were compared."""
    banks = StatementAccount.objects.filter(kind=StatementAccount.Kind.BANK).order_by("pk")
    compared = ((list(bank.currencies), compared_reports(bank, scope.first, scope.day)) for bank in banks)
    return [(currencies, days) for currencies, days in compared if days]


def _business_days(first: date, last: date, holidays: Sequence[date]) -> set[date]:
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return {day for day in days if is_business_day(day, holidays)}


def reports_off(scope: Scope) -> Iterator[FoundBreak]:
    """Rows nobody could read, and closed reports that say something else now."""
    statements = Statement.objects.filter(account_id=scope.account_id, ends_on__range=(scope.first, scope.day))
    rejected = RejectedRow.objects.filter(statement__in=statements.filter(state=StatementState.READ))
    for statement in statements.filter(pk__in=rejected.values("statement")).order_by("id"):
        rows = list(rejected.filter(statement=statement).order_by("number")[:20])
        yield FoundBreak(
            kind=BreakType.ROW_REJECTED,
            key=f"statement:{statement.public_id}",
            currency="",
            difference_minor=0,
            value_minor=0,
            day=statement.ends_on or scope.day,
            cause=f"rows of {statement.source} that cannot be read",
            because=f"{_rows(statement)} cannot be read; row {rows[0].number}: {rows[0].reason}"[:400],
            theirs={str(row.number): row.reason for row in rows},
            statement_id=statement.pk,
        )
    yield from _restated(scope)


def _rows(statement: Statement) -> str:
    count = statement.lines_rejected
    return f"{count} {'row' if count == 1 else 'rows'} of {statement.name}"


def _restated(scope: Scope) -> Iterator[FoundBreak]:
    kinds = [LineChange.Kind.CHANGED, LineChange.Kind.ADDED, LineChange.Kind.REMOVED]
    rows = LineChange.objects.filter(
        statement__account_id=scope.account_id, statement__ends_on__range=(scope.first, scope.day), kind__in=kinds
    ).exclude(net_difference_minor=0)
    # A file that was read again another way, or that had not been final, is no gateway's change of mind.
    rows = rows.exclude(statement__restates__sha256=F("statement__sha256")).exclude(statement__restates__closed=False)
    groups = (
        rows.values("statement", "currency").annotate(net=Sum("net_difference_minor")).order_by("statement", "currency")
    )
    for group in groups:
        statement = Statement.objects.get(pk=group["statement"])
        changed = rows.filter(statement=statement, currency=group["currency"]).select_related("line").order_by("id")
        at_risk = sum(abs(change.net_difference_minor) for change in changed)
        net, count = said(group["net"], group["currency"]), len(changed)
        yield FoundBreak(
            kind=BreakType.REPORT_RESTATED,
            key=f"statement:{statement.public_id}:{group['currency']}",
            currency=group["currency"],
            difference_minor=0,
            value_minor=at_risk,
            day=statement.ends_on or scope.day,
            cause=f"restated reports of {statement.source}",
            because=f"{statement.name} says {count} lines of a closed report differently: {net} in all.",
            theirs={
                change.line.line_key: f"{change.kind} {said(change.net_difference_minor, change.currency)}"
                for change in changed[:20]
            },
            statement_id=statement.pk,
            line_id=changed[0].line_id if count == 1 else None,
        )
