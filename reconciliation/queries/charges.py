"""What do the lines of a day come to: fees, exchange, reserves, adjustments; and what of that is booked already?

One statement a question, over the days asked for. `reconciliation/rates.py` says in Python how a rate is chosen and rounded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db import connection
from django.db.models import Sum

from payments.queries.worth import WORTH
from reconciliation.accounting import ADJUSTMENT, DISPUTE_FEES, EXCHANGE, FEES, RESERVE, Sums
from reconciliation.models import Booking, ContractRate, Line, StatementAccount
from reconciliation.rates import ALWAYS_BOOKED, BOOKED_BY_CONTRACT, Rate
from reconciliation.rules.base import NOT_MOVED
from reconciliation.states import MOVEMENT_KINDS, LineKind

OF_DAYS: Final = (FEES, DISPUTE_FEES, EXCHANGE, RESERVE, ADJUSTMENT)
"""Kinds of booking that sum up a day."""
_PAYOUT_KINDS: Final = (LineKind.PAYOUT.value, LineKind.PAYOUT_RETURN.value)

PAIRS: Final = """
SELECT line_id, movement_id FROM reconciliation_match WHERE undone_at IS NULL AND NOT many_movements
UNION ALL
SELECT line_id, movement_id FROM reconciliation_match
 WHERE undone_at IS NULL AND many_movements AND (many_lines OR many_movements)
"""
"""Lines and the movements they have met, as it stands. In two parts, because each index covers one."""
# Lines that count: matched, or booked from themselves. `charged` is what the gateway keeps of it, tax included; null where
# the source does not tell. What a person has booked is not booked again.
_CHOSEN: Final = f"""
SELECT l.id, l.day, l.kind, l.currency, lower(l.method) AS method, l.payout_id, l.gross_minor AS gross,
       coalesce(l.tax_minor, 0) AS tax,
       CASE WHEN l.net_minor IS NOT NULL THEN l.gross_minor - l.net_minor
            WHEN l.fee_minor IS NOT NULL OR l.tax_minor IS NOT NULL
              THEN coalesce(l.fee_minor, 0) + coalesce(l.tax_minor, 0) END AS charged
  FROM reconciliation_line AS l
 WHERE l.account_id = %(account)s AND l.day = ANY(%(days)s) AND NOT l.removed
   AND lower(l.status) <> ALL(%(not_moved)s)
   AND CASE WHEN l.kind = ANY(%(movements)s) THEN EXISTS (SELECT FROM ({PAIRS}) AS met WHERE met.line_id = l.id)
         ELSE (l.kind = ANY(%(always)s) OR l.kind = ANY(%(by_contract)s)
                 AND EXISTS (SELECT FROM reconciliation_contractrate AS rate
                              WHERE rate.account_id = %(account)s AND rate.kind = l.kind AND rate.valid_from <= l.day
                                AND (rate.valid_to IS NULL OR rate.valid_to >= l.day)))
              AND NOT EXISTS (SELECT FROM reconciliation_booking AS booking
                               WHERE booking.line_id = l.id AND booking.kind = 'resolution'
                                 AND booking.undone_at IS NULL) END
"""  # noqa: S608 - made of our own constants
# The rate is looked up once for each sort of line there is, then joined to the lines.
_CHARGED: Final = f"""
WITH chosen AS MATERIALIZED ({_CHOSEN}), sort AS MATERIALIZED (SELECT DISTINCT day, kind, currency, method FROM chosen),
rated AS MATERIALIZED (
  SELECT sort.*, rate.percent, rate.fixed_minor, rate.tax_percent
    FROM sort CROSS JOIN LATERAL (
      SELECT percent, fixed_minor, tax_percent FROM reconciliation_contractrate AS rate
       WHERE rate.account_id = %(account)s AND rate.kind = sort.kind AND rate.currency = sort.currency
         AND lower(rate.method) IN ('', sort.method) AND rate.valid_from <= sort.day
         AND (rate.valid_to IS NULL OR rate.valid_to >= sort.day)
       ORDER BY rate.method <> '' DESC, rate.valid_from DESC, rate.id DESC LIMIT 1) AS rate
), cost AS (
  SELECT chosen.*,
         CASE WHEN chosen.kind = ANY(%(reserves)s) THEN 'reserve' WHEN chosen.kind = 'adjustment' THEN 'adjustment'
              WHEN chosen.kind = ANY(%(disputes)s) THEN 'dispute_fees' ELSE 'fees' END AS booked_as,
         coalesce(charged, 0) - CASE WHEN chosen.kind = ANY(%(from_gross)s) THEN gross ELSE 0 END AS whole,
         CASE WHEN rated.kind IS NULL OR chosen.charged IS NULL AND chosen.kind = ANY(%(movements)s) THEN NULL
              ELSE round(CASE WHEN chosen.kind = ANY(%(movements)s) THEN abs(gross) ELSE 0 END * rated.percent / 100)
                   + rated.fixed_minor END AS asked
    FROM chosen LEFT JOIN rated USING (day, kind, currency, method)
)
"""  # noqa: S608 - made of our own constants
# Before the first statistics of a day's lines the planner takes them for one, and meets each with every rate.
_BY_HASHING: Final = "SELECT set_config('enable_nestloop', %s, true)"
# What a line of a reserve costs is a fee like any other, and no part of the reserve.
_SUMS: Final = f"""{_CHARGED}, part AS (
  SELECT day, booked_as, currency, asked, CASE booked_as WHEN 'reserve' THEN -gross ELSE whole END AS whole,
         CASE booked_as WHEN 'reserve' THEN 0 ELSE tax END AS tax
    FROM cost
  UNION ALL
  SELECT day, 'fees', currency, NULL, charged, tax FROM cost WHERE booked_as = 'reserve' AND charged <> 0
)
SELECT day, booked_as, currency, -sum(whole)::bigint, sum(coalesce(asked, whole - tax))::bigint, sum(tax)::bigint,
       count(*) FILTER (WHERE whole <> 0 OR tax <> 0 OR asked <> 0)
  FROM part GROUP BY day, booked_as, currency ORDER BY day, booked_as, currency
"""  # noqa: S608 - made of our own constants
_OF_PAYOUT: Final = f"""{_CHARGED}
SELECT currency, sum(whole - tax)::bigint, sum(coalesce(asked, whole - tax))::bigint, sum(tax)::bigint, count(*)
  FROM cost WHERE booked_as = 'fees' AND payout_id = %(payout)s GROUP BY currency ORDER BY currency
"""  # noqa: S608 - made of our own constants
# What left 1110 in the payers' currency is what our movements say; what came is the line's gross. A movement that several
# lines met counts once, on the day of the first of them. OFFSET 0 keeps each look-up one by an index, whatever the planner
# believes of tables that were filled a moment ago.
_EXCHANGED: Final = f"""
WITH chosen AS MATERIALIZED ({_CHOSEN}), pair AS (
  SELECT chosen.id, chosen.day, chosen.currency, chosen.gross, met.movement_id, worth.currency AS against, worth.minor,
         row_number() OVER (PARTITION BY chosen.id ORDER BY met.movement_id) AS nth_of_line,
         row_number() OVER (PARTITION BY met.movement_id ORDER BY chosen.day, chosen.id) AS nth_of_movement
    FROM chosen CROSS JOIN LATERAL (SELECT movement_id FROM ({PAIRS}) AS pair WHERE line_id = chosen.id OFFSET 0) AS met
    CROSS JOIN LATERAL (SELECT currency, minor FROM ({WORTH}) AS moved WHERE id = met.movement_id OFFSET 0) AS worth
   WHERE worth.currency <> chosen.currency
)
SELECT day, currency, against, coalesce(sum(gross) FILTER (WHERE nth_of_line = 1), 0)::bigint,
       coalesce(sum(minor) FILTER (WHERE nth_of_movement = 1), 0)::bigint, count(*) FILTER (WHERE nth_of_line = 1)
  FROM pair GROUP BY day, currency, against ORDER BY day, currency, against
"""  # noqa: S608 - made of our own constants


@dataclass(frozen=True, slots=True)
class Variance:
    """What a payout's lines were charged beside what the contract says. Minor units, without tax."""

    currency: str
    charged_minor: int
    expected_minor: int
    tax_minor: int
    lines: int

    @property
    def variance_minor(self) -> int:
        return self.charged_minor - self.expected_minor


def owed(account: StatementAccount, days: Collection[date]) -> Iterator[tuple[date, Sums]]:
    """What should stand in the books for the lines of these days, as they are now. To be asked inside a transaction."""
    parameters = _parameters(account, days)
    with connection.cursor() as cursor:
        cursor.execute(_BY_HASHING, ["off"])
        cursor.execute(_SUMS, parameters)
        sums = cursor.fetchall()
        cursor.execute(_BY_HASHING, ["on"])
    for day, kind, currency, amount, asked, tax, lines in sums:
        yield day, Sums(kind, currency, amount, asked if kind == FEES else 0, tax, lines=lines)
    with connection.cursor() as cursor:
        cursor.execute(_EXCHANGED, parameters)
        for day, currency, against, amount, left, lines in cursor.fetchall():
            yield day, Sums(EXCHANGE, currency, amount, against_currency=against, against_minor=left, lines=lines)


def booked(account: StatementAccount, days: Collection[date]) -> Iterator[tuple[date, Sums]]:
    """What does stand there."""
    rows = Booking.objects.filter(account=account, day__in=days, kind__in=OF_DAYS, undone_at=None)
    groups = rows.values("day", "kind", "currency", "against_currency").order_by()
    for row in groups.annotate(
        amount=Sum("amount_minor"),
        expected=Sum("expected_minor"),
        tax=Sum("tax_minor"),
        against=Sum("against_minor"),
        lines=Sum("lines_count"),
    ):
        assert row["day"] is not None  # asked for by day
        yield (
            row["day"],
            Sums(
                row["kind"], row["currency"], row["amount"], row["expected"], row["tax"],
                row["against_currency"], row["against"], row["lines"],
            ),
        )  # fmt: skip


def variance_of_payout(account: StatementAccount, payout_id: str) -> list[Variance]:
    """What one payout's lines cost against the contract, by currency."""
    days = Line.objects.filter(account=account, payout_id=payout_id).values_list("day", flat=True).distinct()
    with connection.cursor() as cursor:
        cursor.execute(_OF_PAYOUT, {**_parameters(account, list(days)), "payout": payout_id})
        return [Variance(*row) for row in cursor.fetchall()]


def payout_lines(account: StatementAccount, days: Collection[date]) -> list[Line]:
    """Lines that say a payout left or came back, in the order they happened."""
    rows = Line.objects.filter(account=account, day__in=days, kind__in=_PAYOUT_KINDS, removed=False)
    return list(rows.order_by("occurred_at", "id"))


def contract(account_id: int) -> tuple[Rate, ...]:
    """The contract's rates of an account, as pure values."""
    rows = ContractRate.objects.filter(account_id=account_id).order_by("id")
    return tuple(
        Rate(
            row.kind, row.currency, row.percent, row.fixed_minor, row.valid_from, row.method, row.tax_percent,
            row.tolerance_minor, row.valid_to, row.pk,
        )
        for row in rows
    )  # fmt: skip


def _parameters(account: StatementAccount, days: Collection[date]) -> dict[str, Any]:
    reserves = [LineKind.RESERVE_HOLD.value, LineKind.RESERVE_RELEASE.value]
    first = account.books_start_on or date.min
    return {
        "account": account.pk,
        "days": [day for day in days if day >= first],
        "not_moved": sorted(NOT_MOVED),
        "movements": sorted(kind.value for kind in MOVEMENT_KINDS),
        "always": sorted(kind.value for kind in ALWAYS_BOOKED),
        "by_contract": sorted(kind.value for kind in BOOKED_BY_CONTRACT),
        "reserves": reserves,
        "disputes": [LineKind.CHARGEBACK.value, LineKind.CHARGEBACK_RETURN.value, LineKind.DISPUTE_FEE.value],
        "from_gross": [LineKind.FEE.value, LineKind.ADJUSTMENT.value, *reserves],
    }
