"""How do the books stand against gateways and bank? Figures and charts for finance, each leading to its rows. Writes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Sum
from django.db.models.functions import TruncMonth
from django.urls import reverse

from console.charts import Bar, Chart
from console.values import Amount, Shown, Tone
from payments.queries.money_on_its_way import OnItsWay, on_their_way
from reconciliation.models import Booking, Run
from reconciliation.queries.break_queue import Standing, open_breaks, standing
from reconciliation.queries.closing import first_open_day
from reconciliation.states import RunState

DAYS, MONTHS = 30, 6
_AGE_TONES = (Tone.INFO, Tone.INFO, Tone.WARN, Tone.WARN, Tone.BAD)
Variance = dict[tuple[date, str], tuple[int, int]]
_GOOD, _FAIR = 9_950, 9_500  # hundredths of a percent


@dataclass(frozen=True, slots=True)
class Figure:
    """One number on top: its name, what it is, and a line about it."""

    name: str
    values: tuple[Shown, ...]
    hint: str
    url: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything the page shows."""

    figures: tuple[Figure, ...]
    match_rate: Chart
    by_type: Chart
    by_age: Chart
    on_the_way: Chart
    variance: tuple[Chart, ...]


def dashboard(now: datetime) -> Dashboard:
    """Read it all: eight queries, none of them over all lines or payments."""
    today = now.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()
    runs = list(
        Run.objects.filter(day__gt=today - timedelta(days=DAYS + 1), state=RunState.DONE).order_by("day", "account_id")
    )
    open_now = standing(today)
    late = open_breaks().filter(due_at__lt=now).count()
    payouts, variance = on_their_way(), _variance(today)
    return Dashboard(
        figures=tuple(_figures(runs, open_now, late, payouts, variance, today)),
        match_rate=_match_rate(runs),
        by_type=_by_type(open_now),
        by_age=_by_age(open_now),
        on_the_way=_on_the_way(payouts, today),
        variance=tuple(_variance_charts(variance)),
    )


def rate_of(read: int, placed: int) -> int:
    """The share of lines that met something of ours, in hundredths of a percent, never rounded up to all of them."""
    return placed * 10_000 // read if read else 10_000


def percent(hundredths: int) -> str:
    """ "99.81 %"."""
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


# --- figures ----------------------------------------------------------------------------------------------------------


def _figures(
    runs: list[Run], open_now: Standing, late: int, payouts: list[OnItsWay], variance: Variance, today: date
) -> Iterable[Figure]:
    read, placed = _sums(runs)
    count = sum(heap.count for heap in open_now.by_kind)
    yield Figure(
        "Match rate", (percent(rate_of(read, placed)) if read else "–",), _looked_at(read, placed, len({run.day for run in runs})),
        _url("run"), bad=bool(read) and rate_of(read, placed) < _FAIR,
    )  # fmt: skip
    yield Figure("Open differences", (f"{count:,}",), f"{late:,} past their time" if late else "none is late",
                 _url("break"), bad=bool(late))  # fmt: skip
    yield Figure("Value at risk", _amounts(dict(open_now.at_risk)), "in open differences", _url("break"))
    yield Figure("Payouts in transit", _amounts(_of_payouts(payouts)), _payout_words(payouts), _payouts_url())
    yield Figure(
        "Not reconciled yet", _amounts(_unreconciled(runs)), "movements that no report explains yet", _url("run")
    )
    month = today.replace(day=1)
    this = {currency: minor for (at, currency), (minor, _) in variance.items() if at == month}
    yield Figure("Fee variance this month", _amounts(this), "charged beyond the contract")
    open_day = first_open_day()
    yield Figure("Next day to close", (open_day.isoformat() if open_day else "none closed yet",),
                 "closed days take no entry", _url("dayclose"))  # fmt: skip


def _looked_at(read: int, placed: int, nights: int) -> str:
    """A line that stays open is read by every night until it is not: the sum counts looks, not lines."""
    if not read:
        return f"no line in {DAYS} days"
    many = f"{nights} nights" if nights != 1 else "one night"
    return f"{placed:,} of {read:,} looked at by {many}; open ones again each night"


def _sums(runs: Iterable[Run]) -> tuple[int, int]:
    read = placed = 0
    for run in runs:
        read += run.lines.get("read", 0)
        placed += run.lines.get("matched", 0) + run.lines.get("booked", 0)
    return read, placed


def _of_payouts(payouts: Iterable[OnItsWay]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in payouts:
        found[one.currency] += one.amount_minor
    return dict(found)


def _payout_words(payouts: list[OnItsWay]) -> str:
    count, oldest = sum(one.count for one in payouts), [one.oldest_on for one in payouts if one.oldest_on]
    words = f"{count:,} {'payout' if count == 1 else 'payouts'}"
    return f"{words}, the oldest due {min(oldest)}" if oldest else f"{words} on the way"


def _unreconciled(runs: Iterable[Run]) -> dict[str, int]:
    """What the last comparison of each account still waits for, or found broken."""
    last = {run.account_id: run for run in runs}
    found: Counter[str] = Counter()
    for run in last.values():
        for currency, sums in run.movements.get("money", {}).items():
            found[currency] += sums.get("expected", 0) + sums.get("broken", 0)
    return dict(found)


def _amounts(sums: Mapping[str, int]) -> tuple[Shown, ...]:
    return tuple(Amount(minor, currency) for currency, minor in sorted(sums.items()) if minor) or ("0",)


# --- charts -----------------------------------------------------------------------------------------------------------


def _match_rate(runs: list[Run]) -> Chart:
    days: dict[date, list[Run]] = defaultdict(list)
    for run in runs:
        days[run.day].append(run)
    bars = []
    for day, of_day in sorted(days.items()):
        read, placed = _sums(of_day)
        rate = rate_of(read, placed)
        tone = Tone.GOOD if rate >= _GOOD else Tone.WARN if rate >= _FAIR else Tone.BAD
        says = f"{percent(rate)}, {placed:,} of {read:,} lines"
        bars.append(Bar(day.isoformat(), rate, says, tone, _url("run", day=day.isoformat()), says))
    says = f"Share of report lines that met our books, the last {DAYS} days; a column is a day."
    return Chart(
        "Match rate", says, bars, ("Day", "Matched or booked"), most=10_000, empty="No day was compared yet.",
        scale=("100 %", "0 %"),
    )  # fmt: skip


def _by_type(open_now: Standing) -> Chart:
    bars = [
        Bar(heap.name, heap.count, f"{heap.count:,}", Tone.INFO, _url("break", kind=heap.value))
        for heap in open_now.by_kind
    ]
    says = "What kind of difference waits for somebody."
    return Chart("Open differences by type", says, bars, ("Type", "Open"), empty="None: everything lines up.")


def _by_age(open_now: Standing) -> Chart:
    bars = [
        Bar(heap.name, heap.count, f"{heap.count:,}", tone, _url("break", age=heap.value))
        for heap, tone in zip(open_now.by_age, _AGE_TONES, strict=True)
    ]
    says = "Counted from the business day they are of."
    shown = bars if any(bar.value for bar in bars) else []
    return Chart("Open differences by age", says, shown, ("Age", "Open"), empty="None is open.")


def _on_the_way(payouts: list[OnItsWay], today: date) -> Chart:
    bars = []
    for one in payouts:
        late = one.oldest_on is not None and one.oldest_on < today
        hint = f"{one.count:,} payouts, the oldest due {one.oldest_on or 'on no named day'}"
        shown, tone = Amount(one.amount_minor, one.currency), Tone.WARN if late else Tone.INFO
        bars.append(Bar(f"{one.gateway} {one.currency}", one.amount_minor, shown, tone, _payouts_url(), hint))
    says = "Left the gateway, not seen at the bank; amber where one is past its day."
    return Chart("Payouts in transit", says, bars, ("Gateway", "Money"), empty="Nothing is on its way.")


def _variance(today: date) -> Variance:
    """By month and currency: what was charged beyond the contract, and what the contract says. Minor units."""
    since = (today.replace(day=1) - timedelta(days=31 * (MONTHS - 1))).replace(day=1)
    rows = Booking.objects.filter(kind="fees", day__gte=since, undone_at=None).order_by()
    sums = rows.annotate(month=TruncMonth("day")).values("month", "currency").annotate(
        charged=Sum("amount_minor"), expected=Sum("expected_minor"), tax=Sum("tax_minor")
    )  # fmt: skip
    return {
        (row["month"], row["currency"]): (-row["charged"] - row["expected"] - row["tax"], row["expected"])
        for row in sums
    }


def _variance_charts(variance: Variance) -> Iterable[Chart]:
    for currency in sorted({currency for _, currency in variance}):
        bars = []
        for (month, code), (minor, expected) in sorted(variance.items()):
            if code == currency:
                tone = Tone.BAD if minor > 0 else Tone.GOOD if minor < 0 else Tone.QUIET
                hint = f"{Amount(expected, currency).amount_minor:,} minor units by contract"
                bars.append(Bar(month.strftime("%b %Y"), minor, Amount(minor, currency), tone, hint=hint))
        says = "Charged beyond the contract is red, below it green."
        yield Chart(f"Fee variance in {currency}", says, bars, ("Month", "Beyond the contract"))


def _url(model: str, **named: str) -> str:
    address = reverse(f"admin:reconciliation_{model}_changelist")
    return f"{address}?{urlencode(named)}" if named else address


def _payouts_url() -> str:
    return reverse("admin:payments_payout_changelist")
