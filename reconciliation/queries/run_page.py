"""What does a person need to see of a comparison: both equations, the other legs, the reports, what is open? Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Max, Sum
from django.urls import reverse

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Link, Shown, Tone
from reconciliation.models import Break, Run, Statement
from reconciliation.queries.break_words import kind_words
from reconciliation.states import OPEN_BREAK_STATES, RunState, StatementState

R = RunState
_CHIPS = {
    R.DUE: Chip("due", Tone.INFO, "schedule", "It is compared within a minute"),
    R.WAITING: Chip(
        "waits for its report", Tone.WARN, "hourglass_top", "Asked for again by itself, with growing pauses"
    ),
    R.RUNNING: Chip("running", Tone.INFO, "sync"),
    R.DONE: Chip("compared", Tone.GOOD, "check_circle", "Both equations hold"),
    R.FAILED: Chip("failed", Tone.BAD, "error", "Nothing half was kept: run it again"),
}
LINE_PARTS = (
    ("matched", "met a movement of ours"),
    ("booked", "fees, reserves, payouts and adjustments booked from the line"),
    ("broken", "in an open difference"),
    ("early", "reported before we heard of it ourselves"),
    ("rejected", "could not be read"),
    ("foreign", "of others on a shared account"),
)
MOVEMENT_PARTS = (
    ("matched", "met a line"),
    ("broken", "in an open difference"),
    ("expected", "not reported yet, within the lag"),
)
BREAK_COLUMNS = ("Difference", "Day", "At risk", "Gateway above books", "Because", "Payment")
REPORT_COLUMNS = ("Report", "Days", "Lines", "Rejected", "Whole")
PROOF_COLUMNS = ("Proof", "Left over", "")
MOST_BREAKS = 50
_EXPLAINED = Chip("all explained", Tone.GOOD, "check_circle")
_LEFT = Chip("not explained", Tone.BAD, "error")


@dataclass(frozen=True, slots=True)
class Term:
    """One term of an equation: its name, count, sums and where its rows are."""

    name: str
    hint: str
    count: int
    sums: tuple[Amount, ...]
    url: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class EquationShown:
    """The whole and its terms, as a page draws them."""

    title: str
    whole: Term
    terms: tuple[Term, ...]
    holds: bool


@dataclass(frozen=True, slots=True)
class RunPage:
    """The page of one comparison."""

    chip: Chip
    facts: tuple[KeyValue, ...]
    equations: tuple[EquationShown, ...]
    legs: tuple[KeyValue, ...]
    reports: tuple[tuple[Shown, ...], ...]
    breaks: tuple[tuple[Shown, ...], ...]
    more_breaks: int
    proofs: tuple[tuple[Shown, ...], ...]
    others: tuple[Link, ...]
    advice: str
    """What to do while there are no equations."""


def run_chip(run: Run) -> Chip:
    """Where it stands; a comparison whose equations do not hold is never shown as good."""
    if run.state == R.DONE and not run.balanced:
        return Chip("does not add up", Tone.BAD, "error", "An equation does not hold: run it again")
    if run.state == R.DONE and run.next_check_at is not None:
        return Chip(
            "due again", Tone.INFO, "schedule", "It is compared within a minute; this is what the last time said"
        )
    return _CHIPS[R(run.state)]


def counted(values: Mapping[str, Any], parts: Sequence[tuple[str, str]]) -> str:
    """An equation in a line: "812 = 790 + 18 + 4"; empty while the day was not compared."""
    if not values:
        return ""
    shown = [f"{values.get(name, 0):,} {name}" for name, _ in parts if values.get(name, 0)]
    return " · ".join(shown) or "nothing"


def run_page(run: Run) -> RunPage:
    """Everything about one comparison. A constant number of queries."""
    open_breaks = _open_breaks(run)
    rows = list(open_breaks.order_by("due_at", "pk")[: MOST_BREAKS + 1])
    return RunPage(
        chip=run_chip(run),
        facts=tuple(_facts(run, open_breaks)),
        equations=_equations(run),
        legs=tuple(_legs(run.legs)),
        reports=tuple(_report(statement) for statement in _statements(run)),
        breaks=tuple(_break(broken) for broken in rows[:MOST_BREAKS]),
        more_breaks=max(open_breaks.count() - MOST_BREAKS, 0) if len(rows) > MOST_BREAKS else 0,
        proofs=tuple(_proofs(run)),
        others=tuple(_others(run)),
        advice=_advice(run),
    )


def _advice(run: Run) -> str:
    if run.state != R.WAITING:
        return "The equations stand here once the day has been compared."
    if run.account.fetched:
        return "Its report is asked for again by itself. A report that lies with you can be imported as a file."
    return "Import the report of the day: it is compared within a minute."


def _times(run: Run) -> str:
    return "once" if run.times == 1 else f"{run.times:,} times"


def breaks_of(run: Run) -> str:
    """Where the open differences of the account are listed."""
    return _list("break", account__id__exact=run.account_id)


def _open_breaks(run: Run) -> Any:
    return Break.objects.filter(account_id=run.account_id, state__in=OPEN_BREAK_STATES, day__lte=run.day)


def _compared(run: Run) -> KeyValue:
    if not run.times:
        return KeyValue("Looked for its report", run.started_at)
    return KeyValue("Compared", run.finished_at or run.started_at, f"{_times(run)}; rules {run.rules_version or '–'}")


def _facts(run: Run, open_breaks: Any) -> list[KeyValue]:
    lines = [
        KeyValue("Account", run.account.name, f"Days in {run.account.time_zone}"),
        KeyValue("Day", run.day.isoformat()),
        _compared(run),
    ]
    if run.because:
        lines.append(KeyValue("Because", run.because))
    if run.next_check_at:
        lines.append(KeyValue("Looked at again", run.next_check_at))
    found = open_breaks.order_by().values("currency").annotate(number=Count("pk"), risk=Sum("value_minor"))
    for row in found.order_by("currency"):
        value: Shown = Amount(row["risk"], row["currency"]) if row["currency"] else "no money"
        lines.append(KeyValue(f"At risk in {row['number']} open", value))
    return lines


def _equations(run: Run) -> tuple[EquationShown, ...]:
    day = run.day.isoformat()
    lines = _list("line", account__id__exact=run.account_id, day=day)
    proof = reverse("admin:reconciliation_run_proof", args=(run.public_id,))
    urls = {
        "read": lines, "matched": f"{lines}&met=yes", "booked": f"{lines}&met=booked", "broken": breaks_of(run),
        "early": proof, "expected": proof, "open": proof,
        "rejected": _list("statement", account__id__exact=run.account_id),
    }  # fmt: skip
    found = []
    if run.lines:
        found.append(_equation("Lines of the report", "read", "Lines read", run.lines, LINE_PARTS, urls))
    if run.movements:
        words = "Our open movements"
        found.append(_equation("Our movements", "open", words, run.movements, MOVEMENT_PARTS, urls))
    return tuple(found)


def _equation(
    title: str,
    whole: str,
    words: str,
    values: Mapping[str, Any],
    parts: Sequence[tuple[str, str]],
    urls: Mapping[str, str],
) -> EquationShown:
    money: Mapping[str, Mapping[str, int]] = values.get("money", {})
    terms = [
        Term(name, hint, values.get(name, 0), _sums(money, name), urls.get(name, ""))
        for name, hint in parts
        if values.get(name, 0) or name in ("matched", "broken")
    ]
    lost = values.get("lost", 0)
    if lost:
        terms.append(
            Term("in no place", "accounted for by nothing: run it again", lost, _sums(money, "lost"), "", lost=True)
        )
    total = {currency: {"all": sum(sums.values())} for currency, sums in money.items()}
    holds = not lost and values.get(whole, 0) == sum(values.get(name, 0) for name, _ in parts)
    return EquationShown(
        title, Term(words, "", values.get(whole, 0), _sums(total, "all"), urls.get(whole, "")), tuple(terms), holds
    )


def _sums(money: Mapping[str, Mapping[str, int]], name: str) -> tuple[Amount, ...]:
    return tuple(Amount(sums[name], currency) for currency, sums in sorted(money.items()) if sums.get(name))


def _legs(legs: Mapping[str, Any]) -> list[KeyValue]:
    """What was found of each type, and what became of open differences."""
    found = [KeyValue(kind_words(kind), f"{count:,}") for kind, count in legs.get("found", {}).items()]
    kept = legs.get("breaks", {})
    return [*found, *(KeyValue(f"Differences {name}", f"{count:,}") for name, count in kept.items() if count)]


def _statements(run: Run) -> list[Statement]:
    rows = Statement.objects.filter(account_id=run.account_id, starts_on__lte=run.day, ends_on__gte=run.day)
    return list(rows.exclude(state=StatementState.REFUSED).order_by("-pk")[:20])


def _report(statement: Statement) -> tuple[Shown, ...]:
    url = reverse("admin:reconciliation_statement_change", args=(statement.public_id,))
    days = (
        f"{statement.starts_on}"
        if statement.starts_on == statement.ends_on
        else f"{statement.starts_on} to {statement.ends_on}"
    )
    whole = Chip("whole", Tone.GOOD, "check_circle") if statement.complete else Chip(
        "not whole", Tone.WARN, "warning", statement.incomplete_because
    )  # fmt: skip
    return (Link(statement.name, url), days, f"{statement.lines_read:,}", f"{statement.lines_rejected:,}", whole)


def _break(broken: Break) -> tuple[Shown, ...]:
    url = reverse("admin:reconciliation_break_change", args=(broken.public_id,))
    money: list[Shown] = [
        Amount(minor, broken.currency) if broken.currency else ""
        for minor in (broken.value_minor, broken.difference_minor)
    ]
    payment: Shown = _payment(broken.payment_public_id) if broken.payment_public_id else None
    return (Link(kind_words(broken.kind), url), f"{broken.day:%d %b}", *money, broken.because, payment)


def _payment(public_id: str) -> Link:
    """By the beginning of its id: the table is narrow, and the page behind it says the rest."""
    return replace(link_to(public_id), text=f"{public_id[:10]}…")


def _proofs(run: Run) -> list[tuple[Link, Shown, Chip]]:
    """A proof a currency: where it is, what was left over, and whether that is nothing."""
    address = reverse("admin:reconciliation_run_proof", args=(run.public_id,))
    return [
        (
            Link(one["currency"], f"{address}?currency={one['currency']}"),
            Amount(one["residual_minor"], one["currency"]),
            _LEFT if one["residual_minor"] else _EXPLAINED,
        )
        for one in run.legs.get("proofs", ())
    ]


def _others(run: Run) -> list[Link]:
    """The comparisons of the day before and after."""
    before = Run.objects.filter(account_id=run.account_id, day__lt=run.day).order_by("-day").first()
    after = Run.objects.filter(account_id=run.account_id, day__gt=run.day).order_by("day").first()
    return [
        Link(f"{word} {other.day}", reverse("admin:reconciliation_run_change", args=(other.public_id,)))
        for word, other in (("←", before), ("→", after))
        if other is not None
    ]


def last_done() -> dict[int, Any]:
    """The last compared day of each account."""
    rows = Run.objects.filter(state=R.DONE).values("account_id").annotate(last=Max("day"))
    return {row["account_id"]: row["last"] for row in rows}


def _list(model: str, **named: Any) -> str:
    return f"{reverse(f'admin:reconciliation_{model}_changelist')}?{urlencode(named)}"
