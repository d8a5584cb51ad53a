"""Which lines and movements does the comparison of a day look at? Bounded below: its cost does not grow with history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from reconciliation.business_days import day_bounds
from reconciliation.fixes import Fix
from reconciliation.models import Break, ResolvedBreak, StatementAccount
from reconciliation.queries.charges import contract
from reconciliation.rates import ALWAYS_BOOKED
from reconciliation.rules.base import NOT_MOVED, Terms
from reconciliation.states import MOVEMENT_KINDS, OPEN_BREAK_STATES

BEYOND_CAP: Final = 5
"""Days beyond the account's lag cap that are looked at again."""

LEARNS: Final = frozenset(
    {
        Fix.REPLAY_FACT,
        Fix.RECORD_REFUND,
        Fix.ADOPT_AMOUNT,
        Fix.LINK_BY_HAND,
        Fix.MARK_TIMING,
        Fix.MEND_ROW,
        Fix.ACCEPT_RESTATED,
    }
)
"""Ways out that post nothing of their own for the line: it is compared on, now with what was learnt."""
LINE_FREE: Final = """NOT EXISTS (SELECT FROM reconciliation_match AS met
    WHERE met.line_id = l.id AND met.undone_at IS NULL AND NOT met.many_movements)
  AND NOT EXISTS (SELECT FROM reconciliation_match AS met
    WHERE met.line_id = l.id AND met.undone_at IS NULL AND met.many_movements AND (met.many_lines OR met.many_movements))"""
"""Of a line `l`: it is in no match that stands. In two parts, because each index covers one."""
MOVEMENT_FREE: Final = """NOT EXISTS (SELECT FROM reconciliation_match AS met
    WHERE met.movement_id = m.id AND met.undone_at IS NULL AND NOT met.many_lines AND met.movement_id IS NOT NULL)
  AND NOT EXISTS (SELECT FROM reconciliation_match AS met
    WHERE met.movement_id = m.id AND met.undone_at IS NULL AND met.many_lines)"""
"""The same of a movement `m`."""
LINE_OPEN: Final = f"{LINE_FREE} AND l.id <> ALL(%(settled_lines)s)"
MOVEMENT_OPEN: Final = f"{MOVEMENT_FREE} AND m.id <> ALL(%(settled_movements)s)"
"""Free, and not put right by an entry of its own: what a resolution has posted is not looked for again."""
LINE_IN_WINDOW: Final = "l.account_id = %(account)s AND NOT l.removed AND l.day BETWEEN %(first)s AND %(day)s"
MOVEMENT_IN_WINDOW: Final = """m.gateway_account_id = %(gateway)s
    AND m.occurred_at >= %(start)s AND m.occurred_at < %(end)s"""


@dataclass(frozen=True, slots=True)
class Scope:
    """One account, up to one day. `line_ids` and `movement_ids` are older and named by breaks that are open."""

    account_id: int
    gateway_account_id: int | None
    slug: str
    zone: str
    first: date
    day: date
    start: datetime
    end: datetime
    line_ids: tuple[int, ...]
    movement_ids: tuple[int, ...]
    settled_lines: tuple[int, ...]
    settled_movements: tuple[int, ...]
    bank: bool

    @property
    def parameters(self) -> dict[str, Any]:
        """By the names that the statements of this app use."""
        return {
            "account": self.account_id,
            "gateway": self.gateway_account_id,
            "slug": self.slug,
            "zone": self.zone,
            "first": self.first,
            "day": self.day,
            "start": self.start,
            "end": self.end,
            "line_ids": list(self.line_ids),
            "movement_ids": list(self.movement_ids),
            "settled_lines": list(self.settled_lines),
            "settled_movements": list(self.settled_movements),
            "not_moved": sorted(NOT_MOVED),
            "movements": sorted(kind.value for kind in MOVEMENT_KINDS),
            "always": sorted(kind.value for kind in ALWAYS_BOOKED),
        }


def scope_of(account: StatementAccount, day: date) -> Scope:
    """From the day the books start, or the lag cap and five days back, to the end of `day` in the account's zone."""
    zone = ZoneInfo(account.time_zone)
    first = day - timedelta(days=account.lag_cap_days + BEYOND_CAP)
    if account.books_start_on is not None:
        first = max(first, account.books_start_on)
    open_breaks = Break.objects.filter(account=account, state__in=sorted(state.value for state in OPEN_BREAK_STATES))
    named = list(open_breaks.filter(day__lt=first).values_list("line_id", "movement_id"))
    settled = list(_settled(account, first))
    return Scope(
        account_id=account.pk,
        gateway_account_id=account.gateway_account_id,
        slug=account.slug,
        zone=account.time_zone,
        first=first,
        day=day,
        start=day_bounds(first, zone)[0],
        end=day_bounds(day, zone)[1],
        line_ids=tuple(sorted({line for line, _ in named if line})),
        movement_ids=tuple(sorted({movement for _, movement in named if movement})),
        settled_lines=tuple(sorted({line for line, _ in settled if line})),
        settled_movements=tuple(sorted({movement for _, movement in settled if movement})),
        bank=account.kind == StatementAccount.Kind.BANK,
    )


def _settled(account: StatementAccount, first: date) -> Iterator[tuple[int | None, int | None]]:
    yield from (
        posted_for(account.pk).filter(broken__day__gte=first).values_list("broken__line_id", "broken__movement_id")
    )


def posted_for(account_id: int) -> QuerySet[ResolvedBreak]:
    """Breaks that stand resolved by something posted, rather than by a fact that was learnt.

    One without a difference is not among them: its line and movement are accounted for elsewhere, or still to meet.
    """
    rows = ResolvedBreak.objects.filter(broken__account_id=account_id, resolution__undone_at=None)
    rows = rows.exclude(resolution__command__in=sorted(fix.value for fix in LEARNS)).exclude(broken__difference_minor=0)
    return rows.exclude(broken__state__in=sorted(state.value for state in OPEN_BREAK_STATES))


def terms_of(account: StatementAccount, day: date, now: datetime) -> Terms:
    """What the engine needs to know of the account."""
    return Terms(
        day=day,
        now=now,
        lag_days=account.lag_days,
        lag_cap_days=account.lag_cap_days,
        early_seconds=account.early_seconds,
        holidays=frozenset(date.fromisoformat(text) for text in account.holidays),
        shared=account.gateway_account is not None and account.gateway_account.shared,
        rates=contract(account.pk),
    )
