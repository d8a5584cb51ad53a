"""What did one resolution do, on what was it decided, and does it still stand? For its page. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Shown, Tone
from ledger.queries import entry_by_public_id
from ledger.reports import EntryTable, entry_table
from reconciliation.models import Resolution
from reconciliation.queries.break_page import resolution_chip
from reconciliation.queries.break_words import fix_words, kind_words

BREAKS: Final = ("Break", "Kind", "Day", "Value", "Was", "Became")
OUTCOMES: Final = ("Break", "Ended", "What became of it")


@dataclass(frozen=True, slots=True)
class ResolutionPage:
    """Everything the page of one resolution shows."""

    title: str
    chip: Chip
    facts: list[KeyValue]
    effects: list[str]
    breaks: list[list[Shown]]
    outcomes: list[list[Shown]]
    entries: list[EntryTable]
    told: list[EntryTable]
    inputs: dict[str, object]


def resolution_page(one: Resolution) -> ResolutionPage:
    """Read everything around one resolution."""
    rows = one.breaks.select_related("broken").order_by("id")
    return ResolutionPage(
        title=fix_words(one.command),
        chip=resolution_chip(one),
        facts=_facts(one),
        effects=list(one.effects.get("sentences", [])),
        breaks=[
            [
                link_to(row.broken.public_id),
                kind_words(row.broken.kind),
                f"{row.broken.day:%d %b %Y}",
                Amount(row.broken.value_minor, row.broken.currency) if row.broken.currency else None,
                row.state_before.replace("_", " "),
                row.state_after.replace("_", " "),
            ]
            for row in rows
        ],
        outcomes=[
            [link_to(public_id), _ended(done=done), link_to(said) if done else said]
            for public_id, done, said in one.effects.get("outcomes", [])
        ],
        entries=_entries(one, "entries"),
        told=_entries(one, "told"),
        inputs=one.inputs,
    )


def _ended(*, done: bool) -> Chip:
    return Chip("ended", Tone.GOOD, "check_circle") if done else Chip("refused", Tone.WARN, "block")


def _entries(one: Resolution, which: str) -> list[EntryTable]:
    found = (entry_by_public_id(public_id) for public_id in one.effects.get(which, []))
    return [entry_table(entry) for entry in found if entry is not None]


def _facts(one: Resolution) -> list[KeyValue]:
    lines = [
        KeyValue("When", one.at),
        KeyValue("By", one.by or f"rule {one.rule}, version {one.rule_version}"),
        KeyValue("Reason", one.reason.replace("_", " ")),
        KeyValue("Note", one.note),
    ]
    if one.approved_by:
        lines.append(KeyValue("Agreed to by", one.approved_by))
        lines.append(KeyValue("Request", link_to(one.approval_public_id)))
    if one.looked_at is not None:
        lines.append(KeyValue("Second look", one.looked_by, one.look_verdict))
    if one.undone_at is not None:
        lines += [KeyValue("Taken back", one.undone_at), KeyValue("By", one.undone_by, one.undone_because)]
    return lines
