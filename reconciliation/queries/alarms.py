"""How bad is it at one account? Each measure that its terms set a threshold for, and for how long a report has been missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Count, Min, QuerySet, Sum
from django.http import HttpRequest

from console.values import Banner, Chip, Tone
from ledger.money import Money
from reconciliation.models import Alert, Break, Run, StatementAccount
from reconciliation.states import OPEN_BREAK_STATES, BreakType, RunState

SILENT_AFTER: Final = timedelta(hours=6)
"""From the hour at which a report is expected; from then on nobody waits in silence."""
PATIENCE: Final = timedelta(hours=1)
"""How long a day that can be compared may take: the timer comes once a minute, and other days go first."""
_OPEN: Final = [state.value for state in OPEN_BREAK_STATES]
_NOT_DONE: Final = [RunState.DUE.value, RunState.WAITING.value, RunState.RUNNING.value, RunState.FAILED.value]
_MOST_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Level:
    """One measure at or above its threshold. `level` is a count, minor units, days, hours or hundredths of a percent.

    `step` is by how much it has to grow before it is said again.
    """

    kind: str
    currency: str
    level: int
    step: int
    words: str


def levels(account: StatementAccount, now: datetime) -> list[Level]:
    """What should ring at an account, most urgent kind first; nothing where all is below its threshold."""
    open_breaks = Break.objects.filter(account=account, state__in=_OPEN)
    found = (*_silence(account, now), *_drift(account, open_breaks), *_value(account, open_breaks))
    return [*found, *_count(account, open_breaks), *_age(account, open_breaks, now), *_share(account)]


def expected_at(account: StatementAccount, day: date) -> datetime:
    """When the report of a day should have been there: the account's hour of the day after, in its zone."""
    after = day + timedelta(days=1)
    return datetime.combine(after, time(account.nightly_hour), ZoneInfo(account.time_zone))


def last_due(account: StatementAccount, now: datetime) -> date:
    """The last day that should have been compared by itself: yesterday there, from the account's hour on."""
    yesterday = now.astimezone(ZoneInfo(account.time_zone)).date() - timedelta(days=1)
    return yesterday if now >= expected_at(account, yesterday) else yesterday - timedelta(days=1)


def overdue(run: Run, now: datetime) -> bool:
    """Was there time enough to compare a day that is not compared? From its hour on, or from when it was planned later.

    After a start the days of a long stop are hours past their time, and nothing could have compared them before.
    """
    since = expected_at(run.account, run.day)
    if not_begun(run, now) and run.next_check_at is not None:
        since = max(since, run.next_check_at)
    return now - since >= PATIENCE


def not_begun(run: Run, now: datetime) -> bool:
    """Is it due, and has nobody taken it up? Who does moves its next check to when another may."""
    return run.state == RunState.DUE and (run.next_check_at is None or run.next_check_at <= now)


def _silence(account: StatementAccount, now: datetime) -> Iterator[Level]:
    waiting = list(Run.objects.filter(account=account, state__in=_NOT_DONE).select_related("account").order_by("day"))
    late = [run for run in waiting if now - expected_at(account, run.day) >= SILENT_AFTER and overdue(run, now)]
    if not late:
        return
    hours = (now - expected_at(account, late[0].day)) // timedelta(hours=1)
    days = f"{late[0].day:%d %b %Y}" + (f" and {len(late) - 1} later" if len(late) > 1 else "")
    because = f": {late[0].because.rstrip('.')}" if late[0].because else ""
    yield Level("silence", "", hours, 24, f"Not compared for {hours} hours past its time: {days}{because}")


def _drift(account: StatementAccount, open_breaks: QuerySet[Break]) -> Iterator[Level]:
    """Any drift rings: money that no break and no timing explains."""
    drifted = (
        open_breaks.filter(kind=BreakType.BALANCE_DRIFT.value).values("currency").annotate(minor=Sum("value_minor"))
    )
    for row in drifted.order_by("currency"):
        money = Money(row["minor"], row["currency"])
        words = f"The balance is off by {money}, and nothing explains it"
        yield Level("drift", row["currency"], row["minor"], max(account.alert_value_minor, 1), words)


def _value(account: StatementAccount, open_breaks: QuerySet[Break]) -> Iterator[Level]:
    at_risk = open_breaks.exclude(currency="").values("currency").annotate(minor=Sum("value_minor"))
    for row in at_risk.order_by("currency"):
        if 0 < account.alert_value_minor <= row["minor"]:
            words = f"{Money(row['minor'], row['currency'])} at risk in open breaks"
            yield Level("value", row["currency"], row["minor"], account.alert_value_minor, words)


def _count(account: StatementAccount, open_breaks: QuerySet[Break]) -> Iterator[Level]:
    count = open_breaks.count() if account.alert_count else 0
    if account.alert_count and count >= account.alert_count:
        kinds = open_breaks.values("kind").annotate(number=Count("pk")).order_by("-number", "kind")[:3]
        most = ", ".join(f"{row['number']} {row['kind'].replace('_', ' ')}" for row in kinds)
        yield Level(
            "count", "", count, account.alert_count, f"{count} open {'break' if count == 1 else 'breaks'}: {most}"
        )


def _age(account: StatementAccount, open_breaks: QuerySet[Break], now: datetime) -> Iterator[Level]:
    oldest = open_breaks.aggregate(day=Min("day"))["day"] if account.alert_age_days else None
    if oldest is None:
        return
    days = (now.astimezone(ZoneInfo(account.time_zone)).date() - oldest).days
    if days >= account.alert_age_days:
        yield Level("age", "", days, account.alert_age_days, f"The oldest open break is {days} days old")


def _share(account: StatementAccount) -> Iterator[Level]:
    """Of the last run that read anything: a report of nothing but trouble may be a report of something else."""
    threshold = int(account.alert_share * 100)
    last = (
        Run.objects.filter(account=account, state=RunState.DONE.value).order_by("-day").first() if threshold else None
    )
    if last is None:
        return
    read, broken = count_in(last.lines, "read"), count_in(last.lines, "broken")
    share = broken * 10_000 // read if read else 0
    if share >= threshold:
        words = f"{share // 100}.{share % 100:02d} % of the lines of {last.day:%d %b %Y} are broken: {broken} of {read}"
        yield Level("share", "", share, threshold, words)


def alert_chip(alert: Alert) -> Chip:
    """Does it ring, is it over, or did nobody hear it?"""
    if alert.failed_because:
        return Chip("not sent", Tone.BAD, "notifications_off", alert.failed_because)
    if alert.ended_at is not None:
        return Chip("over", Tone.GOOD, "notifications")
    return Chip("rings", Tone.WARN, "notifications_active")


def alarm_banner(request: HttpRequest) -> Banner | None:
    """What rings, above every page of those who may see it; red where money is unexplained or an e-mail did not leave."""
    if not request.user.has_perm("reconciliation.view_alert"):
        return None
    ringing = list(
        Alert.objects.filter(ended_at=None).select_related("account").order_by("-raised_at")[: _MOST_SHOWN + 1]
    )
    if not ringing:
        return None
    told = "; ".join(f"{alert.account.name}: {alert.detail}" for alert in ringing[:_MOST_SHOWN])
    more = "; and more, see Alarms" if len(ringing) > _MOST_SHOWN else ""
    bad = any(alert.kind == "drift" or alert.failed_because for alert in ringing)
    return Banner(f"{told}{more}.", Tone.BAD if bad else Tone.WARN, "notifications_active")


def count_in(equation: object, name: str) -> int:
    """How many lines an equation of a run counts under a name."""
    found = equation.get(name, 0) if isinstance(equation, dict) else 0
    found = found.get("count", 0) if isinstance(found, dict) else found
    return found if isinstance(found, int) else 0
