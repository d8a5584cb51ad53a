"""What does a person need to see to end a break? Both sides, what happened, who said what, and what was done. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import Group
from django.urls import reverse

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Link, Shown, TimelineItem, Tone
from reconciliation.models import Break, Resolution
from reconciliation.queries.break_queue import open_breaks
from reconciliation.queries.break_words import age_of, fix_words, kind_meaning, kind_words, state_chip
from reconciliation.queries.line_page import short_key
from reconciliation.states import OPEN_BREAK_STATES, BreakState

SIDES: Final = ("", "Our side", "The gateway's side", "")
BANK_SIDES: Final = ("", "Our side", "The bank's side", "")
EVIDENCE: Final = ("File", "Size", "SHA-256", "By", "When")
RESOLUTIONS: Final = ("Resolution", "Fix", "By", "When", "State")
_ORDER: Final = ("kind", "amount", "settlement", "net", "transaction", "of", "reference", "payment", "payout", "day")
_SAME: Final = frozenset({"kind", "amount", "transaction", "reference", "day", "settlement", "of"})
"""What both sides name in the same words, so that a difference is one."""


@dataclass(frozen=True, slots=True)
class BreakPage:
    """Everything the page of one break shows."""

    title: str
    meaning: str
    because: str
    chip: Chip
    sides: list[list[Shown]]
    facts: list[KeyValue]
    money: list[KeyValue]
    about: list[KeyValue]
    story: list[TimelineItem]
    evidence: list[list[Shown]]
    resolutions: list[list[Shown]]
    of_cause: int


def roles_that_may(right: str) -> str:
    """The roles that hold a right ("app.codename"), for "who could": "finance, operator"."""
    app, _, codename = right.partition(".")
    groups = Group.objects.filter(permissions__codename=codename, permissions__content_type__app_label=app)
    return ", ".join(groups.order_by("name").values_list("name", flat=True)) or "nobody yet"


def break_page(broken: Break, now: datetime) -> BreakPage:
    """Read everything around one break."""
    cause = open_breaks().filter(
        account_id=broken.account_id, kind=broken.kind, cause=broken.cause, currency=broken.currency
    )
    resolutions = [row.resolution for row in broken.resolutions.select_related("resolution").order_by("-id")]
    return BreakPage(
        title=kind_words(broken.kind),
        meaning=kind_meaning(broken.kind),
        because=broken.because,
        chip=state_chip(broken, now),
        sides=sides(broken.ours, broken.theirs),
        facts=_facts(broken, now),
        money=_money(broken),
        about=_about(broken),
        story=_story(broken, resolutions),
        evidence=_evidence(broken),
        resolutions=[resolution_row(one) for one in resolutions],
        of_cause=cause.count(),
    )


def sides(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[list[Shown]]:
    """Field by field, ours beside theirs, and a mark where both say something and not the same."""
    known = [*ours, *(name for name in theirs if name not in ours)]
    names = sorted(known, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    rows: list[list[Shown]] = []
    for name in names:
        if name == "candidate_ids":
            continue
        mine, other = ours.get(name, ""), theirs.get(name, "")
        differs = name in _SAME and mine and other and mine != other
        mark: Shown = Chip("differs", Tone.WARN, "difference") if differs else Link("", "")
        value: Shown = link_to(mine) if name == "payment" else mine or None
        rows.append([name.replace("_", " ").capitalize(), value, _plain(name, other) or None, mark])
    return rows


def _plain(name: str, text: str) -> str:
    """A word of a report without its underscores; a line's digest cut short."""
    if name == "line":
        return short_key(text)
    return text.replace("_", " ") if name == "kind" else text


def _money(broken: Break) -> list[KeyValue]:
    if not broken.currency:
        return [KeyValue("Money", "none: it is about a report")]
    whose = "the bank's" if broken.account.kind == broken.account.Kind.BANK else "the gateway's"
    off = f"{whose} balance is {'above' if broken.difference_minor > 0 else 'below'} ours"
    if broken.line_id and broken.movement_id and abs(broken.difference_minor) != broken.value_minor:
        off += ", the fee of the line included"
    over = BreakState(broken.state) not in OPEN_BREAK_STATES
    hint = off if broken.difference_minor else "the balance is not touched by it"
    return [
        KeyValue("Was at risk" if over else "Value at risk", Amount(broken.value_minor, broken.currency)),
        KeyValue(
            "Difference of the balance",
            Amount(broken.difference_minor, broken.currency),
            "explained by how it ended" if over and broken.difference_minor else hint,
        ),
    ]


def _facts(broken: Break, now: datetime) -> list[KeyValue]:
    age = age_of(broken.day, now.date())
    lines = [
        KeyValue("Account", broken.account.name),
        KeyValue("Business day", f"{broken.day:%d %b %Y}", f"{age} {'day' if age == 1 else 'days'} old"),
        KeyValue("Found", broken.opened_at),
        KeyValue("Seen last", broken.last_seen_at),
        KeyValue("Resolve by", broken.due_at),
        KeyValue("Owner", broken.owner.get_username() if broken.owner else "nobody yet"),
    ]
    if broken.snoozed_until is not None:
        lines.append(KeyValue("Snoozed until", broken.snoozed_until, broken.snoozed_because))
    if broken.expected_until is not None:
        lines.append(KeyValue("Expected until", f"{broken.expected_until:%d %b %Y}"))
    if broken.ended_at is not None:
        lines += [KeyValue("Ended", broken.ended_at), KeyValue("Ended by", broken.ended_by)]
    return lines


def _about(broken: Break) -> list[KeyValue]:
    lines = []
    if broken.payment_public_id:
        lines.append(KeyValue("Payment", link_to(broken.payment_public_id)))
    if broken.review_public_id:
        lines.append(KeyValue("Case", link_to(broken.review_public_id)))
    if broken.line is not None:
        url = reverse("admin:reconciliation_line_change", args=(broken.line.pk,))
        lines.append(KeyValue("Line", Link(short_key(broken.line.line_key), url), f"number {broken.line.number}"))
    if broken.statement is not None:
        url = reverse("admin:reconciliation_statement_change", args=(broken.statement.public_id,))
        lines.append(KeyValue("Report", Link(broken.statement.name, url)))
    lines.append(KeyValue("Cause", broken.cause.replace("_", " ")))
    return lines


def _story(broken: Break, resolutions: list[Resolution]) -> list[TimelineItem]:
    """What was found, said and done, oldest first."""
    items = [TimelineItem(broken.opened_at, "Found by a comparison", detail=broken.because, icon="difference")]
    for note in broken.notes.all():
        items.append(TimelineItem(note.at, note.by or "The clock", detail=note.text, icon="sticky_note_2"))
    for one in resolutions:
        who = one.by or f"rule {one.rule}, version {one.rule_version}"
        agreed = f", agreed to by {one.approved_by}" if one.approved_by else ""
        items.append(
            TimelineItem(
                one.at,
                f"Resolved: {fix_words(one.command)}",
                cause=f"{who}{agreed}",
                detail=one.note,
                tone=Tone.GOOD,
                icon="task_alt",
            )
        )
        if one.undone_at is not None:
            items.append(
                TimelineItem(one.undone_at, "Taken back", cause=one.undone_by, detail=one.undone_because, icon="undo")
            )
    return sorted(items, key=lambda item: item.at)


def _evidence(broken: Break) -> list[list[Shown]]:
    rows = broken.evidence.defer("content").order_by("id")
    return [
        [
            Link(row.name, reverse("admin:reconciliation_break_file", args=(broken.public_id, row.pk))),
            f"{row.size:,} bytes",
            f"{row.sha256[:16]}\u2026",
            row.by or "by itself",
            row.at,
        ]
        for row in rows
    ]


def resolution_row(one: Resolution) -> list[Shown]:
    """One resolution in the list of a break, or of all."""
    who = f"{one.by} and {one.approved_by}" if one.approved_by else one.by or f"rule {one.rule}"
    return [link_to(one.public_id), fix_words(one.command), who, one.at, resolution_chip(one)]


def resolution_chip(one: Resolution) -> Chip:
    """Does it stand?"""
    if one.undone_at is not None:
        return Chip("undone", Tone.QUIET, "undo", one.undone_because)
    if one.sampled and one.looked_at is None:
        return Chip("second look due", Tone.WARN, "visibility")
    return Chip("stands", Tone.GOOD, "check_circle")
