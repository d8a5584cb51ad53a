"""What does a person need to see of a closed day: what it rests on, what was open, and whether it still stands? Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.urls import reverse

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Link, Shown, Tone
from ledger.chart import CHART
from reconciliation.models import DayClose, StatementAccount
from reconciliation.queries.break_words import kind_words
from reconciliation.queries.closing import DayState

RUN_COLUMNS = ("Account", "Comparison", "Lines read", "Matched", "Booked", "Broken", "Rules")
REPORT_COLUMNS = ("Account", "Report", "Days", "Lines", "Rejected", "SHA-256")
BREAK_COLUMNS = ("Difference", "Account", "Day", "At risk", "Gateway above books")
PROOF_COLUMNS = ("Account", "Our books", "On its way", "Differences", "Gateway", "Left over")
BALANCE_COLUMNS = ("Account", "Gateway", "Debit", "Credit")


@dataclass(frozen=True, slots=True)
class ClosePage:
    """The page of one close."""

    chip: Chip
    facts: tuple[KeyValue, ...]
    books: tuple[KeyValue, ...]
    exceptions: tuple[KeyValue, ...]
    runs: tuple[tuple[Shown, ...], ...]
    proofs: tuple[tuple[Shown, ...], ...]
    reports: tuple[tuple[Shown, ...], ...]
    breaks: tuple[tuple[Shown, ...], ...]
    balances: tuple[tuple[Shown, ...], ...]


def close_chip(close: DayClose) -> Chip:
    """Does it stand?"""
    if close.reopened_at is None:
        return Chip("closed", Tone.GOOD, "lock", "Its days take no entry any more")
    return Chip("reopened", Tone.WARN, "lock_open", f"By {close.reopened_by}: {close.reopened_because}")


def close_page(close: DayClose) -> ClosePage:
    """Read from the certificate itself: what the page shows is what was certified, by the names accounts have today."""
    said: Mapping[str, Any] = close.certificate
    names = _names()
    return ClosePage(
        chip=close_chip(close),
        facts=tuple(_facts(close)),
        books=tuple(_books(said)),
        exceptions=tuple(KeyValue(names.get(slug, slug), why) for slug, why in sorted(said["exceptions"].items())),
        runs=tuple(_run(run, names) for run in said["runs"]),
        proofs=tuple(_proof(found, names) for found in said.get("proofs", ())),
        reports=tuple(_report(report, names) for report in said["reports"]),
        breaks=tuple(_break(broken, names) for broken in said["open_breaks"]),
        balances=tuple(_balances(said["books"]["trial_balance"], names)),
    )


def span(first: object, last: object) -> str:
    """The days a close covers. Without a first one: all there is."""
    if not first:
        return f"everything up to {last}"
    return f"{last}" if str(first) == str(last) else f"{first} to {last}"


def preview_rows(state: DayState) -> tuple[tuple[Shown, ...], ...]:
    """The comparisons a close would rest on, for its preview."""
    names = _names()
    return tuple(_run(run, names) for run in state.runs)


def _names() -> dict[str, str]:
    """What people call the accounts that a certificate knows by their slugs."""
    return dict(StatementAccount.objects.values_list("slug", "name"))


def _named(said: Mapping[str, Any], names: Mapping[str, str]) -> str:
    return names.get(said["account"], said["account"])


def _facts(close: DayClose) -> list[KeyValue]:
    said, before = close.certificate, close.previous
    covered = span(said["first_day"], said["day"])
    lines = [
        KeyValue("Covers", covered, f"Business days in {said['time_zone']}"),
        KeyValue("Closed", close.closed_at),
        KeyValue("Closed by", close.closed_by),
        KeyValue("Agreed by", close.approved_by or "nobody: one person is enough where every account was compared"),
        KeyValue("Digest", Link(close.digest, "", code=True), "SHA-256 over the certificate"),
        KeyValue("Follows", f"{before.day}, {before.digest[:16]}…" if before else "nothing: it is the first close"),
    ]
    if close.reopened_at is not None:
        lines += [
            KeyValue("Reopened", close.reopened_at),
            KeyValue("Reopened by", close.reopened_by),
            KeyValue("Because", close.reopened_because),
        ]
    return lines


def _books(said: Mapping[str, Any]) -> list[KeyValue]:
    books = said["books"]
    lines = [
        KeyValue("Entries", f"{books['entries']:,}"),
        KeyValue("Digest over them", Link(books["digest"], "", code=True)),
    ]
    lines += [KeyValue(f"Debits in {code}", Amount(minor, code)) for code, minor in books["debits_minor"].items()]
    return [*lines, KeyValue("Findings of the proofs", f"{books['findings']}")]


def _run(run: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Shown, ...]:
    holds = Chip("holds", Tone.GOOD, "check_circle") if run["balanced"] else Chip(run["state"], Tone.BAD, "error")
    lines = run["lines"]
    counts = [_count(lines, name) for name in ("read", "matched", "booked", "broken")]
    address = reverse("admin:reconciliation_run_change", args=(run["run"],))
    return (Link(_named(run, names), address), holds, *counts, run["rules"])


def _count(lines: Mapping[str, Any], name: str) -> str:
    found = lines.get(name)
    if isinstance(found, Mapping):
        found = found.get("count")
    return f"{found:,}" if isinstance(found, int) else ""


def _proof(found: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Shown, ...]:
    parts = ("books", "timing", "breaks", "gateway", "residual")
    return (_named(found, names), *(Amount(found[f"{part}_minor"], found["currency"]) for part in parts))


def _report(report: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Shown, ...]:
    days = report["from"] if report["from"] == report["to"] else f"{report['from']} to {report['to']}"
    read = (f"{report['lines']:,}", f"{report['rejected']:,}")
    address = f"{reverse('admin:reconciliation_statement_changelist')}?q={report['sha256']}"
    return (_named(report, names), Link(report["name"], address), days, *read, f"{report['sha256'][:16]}…")


def _break(broken: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Shown, ...]:
    money = [Amount(broken[name], broken["currency"]) if broken["currency"] else None
             for name in ("value_minor", "difference_minor")]  # fmt: skip
    difference = Link(kind_words(broken["kind"]), link_to(broken["break"]).url)
    return (difference, _named(broken, names), broken["day"], *money)


def _balances(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[tuple[Shown, ...]]:
    """The lines of a currency, then its totals; memo accounts come last and have totals of their own."""
    for (memo, currency), group in groupby(sorted(rows, key=_heap), key=_heap):
        lines = list(group)
        yield from (_balance(row, names) for row in lines)
        sums = [sum(row[name] for row in lines) for name in ("debit_minor", "credit_minor")]
        yield (f"Total {currency}{', memo' if memo else ''}", "", *(Amount(minor, currency) for minor in sums))


def _heap(row: Mapping[str, Any]) -> tuple[bool, str]:
    code = str(row["account"])
    return code in CHART and CHART[code].memo, row["currency"]


def _balance(row: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Shown, ...]:
    sides = [Amount(row[name], row["currency"]) if row[name] else "" for name in ("debit_minor", "credit_minor")]
    code = str(row["account"])
    return (f"{code} {CHART[code].name}" if code in CHART else code, names.get(row["gateway"], row["gateway"]), *sides)
