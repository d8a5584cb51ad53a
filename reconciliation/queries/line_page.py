"""What became of a line of a report: what it met, what it was booked by, what is open about it, how it changed? Writes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Link, Shown, Tone
from ledger.queries import entry_by_source_key
from payments.queries.movement_names import movements_named
from reconciliation.models import Booking, Break, Line, Match
from reconciliation.queries.break_words import kind_words, state_chip
from reconciliation.states import BOOKED_KINDS, OPEN_BREAK_STATES, LineKind

CHANGE_COLUMNS = ("When", "What", "Report", "Difference")
MET_COLUMNS = ("Movement", "Payment", "By rule", "When", "By")
BOOKED_COLUMNS = ("What", "Amount", "Entry", "When")
BREAK_COLUMNS = ("Difference", "Because", "State", "At risk")
_LONGEST_KEY = 36
_MATCHED = Chip("matched", Tone.GOOD, "check_circle", "It met a movement of ours")
_BROKEN = Chip("open difference", Tone.WARN, "report", "Somebody has to look")
_BOOKED = Chip("booked", Tone.QUIET, "menu_book", "Booked from the line itself")
_WAITS = Chip("not matched yet", Tone.INFO, "hourglass_top", "Reported before we heard of it, or not compared yet")
_GONE = Chip("withdrawn", Tone.QUIET, "remove_circle", "A later report no longer has it")


@dataclass(frozen=True, slots=True)
class LinePage:
    """The page of one line."""

    chip: Chip
    facts: tuple[KeyValue, ...]
    money: tuple[KeyValue, ...]
    met: tuple[tuple[Shown, ...], ...]
    booked: tuple[tuple[Shown, ...], ...]
    breaks: tuple[tuple[Shown, ...], ...]
    changes: tuple[tuple[Shown, ...], ...]


def chips_of(lines: Collection[Line]) -> dict[int, Chip]:
    """Where each line stands, for a page of a list: two queries."""
    ids = [line.pk for line in lines]
    met = set(Match.objects.filter(line_id__in=ids, undone_at=None).values_list("line_id", flat=True))
    broken = set(Break.objects.filter(line_id__in=ids, state__in=OPEN_BREAK_STATES).values_list("line_id", flat=True))
    return {line.pk: _chip(line, met, broken) for line in lines}


def short_key(key: str) -> str:
    """A line's identity as a list shows it. Where the source has none it is a digest of the row: its beginning will do."""
    return f"{key[:16]}…{key[key.rfind(':') :] if ':' in key[16:] else ''}" if len(key) > _LONGEST_KEY else key


def line_page(line: Line, now: datetime) -> LinePage:
    """Everything about one line."""
    return LinePage(
        chip=chips_of([line])[line.pk],
        facts=tuple(_facts(line)),
        money=tuple(_money(line)),
        met=tuple(_met(line)),
        booked=tuple(_booked(line)),
        breaks=tuple(_breaks(line, now)),
        changes=tuple(_changes(line)),
    )


def _chip(line: Line, met: set[int], broken: set[int]) -> Chip:
    if line.removed:
        return _GONE
    if line.pk in broken:
        return _BROKEN
    if line.pk in met:
        return _MATCHED
    return _BOOKED if LineKind(line.kind) in BOOKED_KINDS else _WAITS


def _facts(line: Line) -> list[KeyValue]:
    statement = reverse("admin:reconciliation_statement_change", args=(line.statement.public_id,))
    values: list[tuple[str, Shown]] = [
        ("Account", line.account.name),
        ("Kind", line.kind.replace("_", " ")),
        ("Day", line.day.isoformat()),
        ("Happened", line.occurred_at),
        ("Report", Link(f"{line.statement.name}, line {line.number}", statement)),
        ("Its identity", line.line_key),
        ("Gateway's id", line.gateway_id),
        ("Of", line.parent_id),
        ("Our reference", line.reference),
        ("Payout", line.payout_id),
        ("Bank reference", line.bank_ref),
        ("Status", line.status),
        ("Method", line.method),
        ("Available on", line.available_on.isoformat() if line.available_on else ""),
        ("Text", line.text),
    ]
    return [KeyValue(label, value) for label, value in values if value not in ("", None)]


def _money(line: Line) -> list[KeyValue]:
    lines = [KeyValue("Gross", Amount(line.gross_minor, line.currency))]
    for label, minor in (("Fee", line.fee_minor), ("Tax on it", line.tax_minor), ("Net", line.net_minor)):
        if minor is not None:
            lines.append(KeyValue(label, Amount(minor, line.currency)))
    if line.presentment_minor is not None and line.presentment_currency:
        lines.append(KeyValue("The payer saw", Amount(line.presentment_minor, line.presentment_currency)))
    if line.rate is not None:
        lines.append(KeyValue("At the rate", f"{line.rate.normalize():f}"))
    return lines


def _met(line: Line) -> list[tuple[Shown, ...]]:
    matches = list(Match.objects.filter(line=line).order_by("pk"))
    named = movements_named([match.movement_id for match in matches if match.movement_id])
    rows: list[tuple[Shown, ...]] = []
    for match in matches:
        movement, payment = named.get(match.movement_id or 0, ("a payout", ""))
        rule = match.rule if match.undone_at is None else f"{match.rule}, undone by {match.undone_by}"
        pay: Shown = link_to(payment) if payment else ""
        rows.append((movement, pay, rule.replace("_", " "), match.matched_at, match.matched_by or "a rule"))
    return rows


def _booked(line: Line) -> list[tuple[Shown, ...]]:
    rows: list[tuple[Shown, ...]] = []
    for booking in Booking.objects.filter(line=line).order_by("pk"):
        entry = entry_by_source_key(booking.entry_source_key)
        shown: Shown = link_to(entry.public_id) if entry else booking.entry_source_key
        rows.append((booking.kind, Amount(booking.amount_minor, booking.currency), shown, booking.booked_at))
    return rows


def _breaks(line: Line, now: datetime) -> list[tuple[Shown, ...]]:
    rows: list[tuple[Shown, ...]] = []
    for broken in line.breaks.order_by("-pk"):
        url = reverse("admin:reconciliation_break_change", args=(broken.public_id,))
        risk: Shown = Amount(broken.value_minor, broken.currency) if broken.currency else ""
        rows.append((Link(kind_words(broken.kind), url), broken.because, state_chip(broken, now), risk))
    return rows


def _changes(line: Line) -> list[tuple[Shown, ...]]:
    rows: list[tuple[Shown, ...]] = []
    for change in line.changes.select_related("statement").order_by("pk"):
        said: dict[str, Any] = {**change.after}
        words = ", ".join(
            f"{name.replace('_', ' ')} {change.before.get(name, '–')} → {value}" for name, value in said.items()
        )
        url = reverse("admin:reconciliation_statement_change", args=(change.statement.public_id,))
        difference = Amount(change.net_difference_minor, change.currency)
        rows.append(
            (
                change.at,
                f"{change.kind}: {words}" if words else change.kind,
                Link(change.statement.name, url),
                difference,
            )
        )
    return rows
