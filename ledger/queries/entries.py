"""Which entries were made, for what, and do they exist at all? Frozen views of entries with their lines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, PostingDraft
from ledger.models import JournalEntry

_CHUNK: Final = 5_000
_MISSING: Final = """
SELECT wanted.key FROM unnest(%s::text[]) AS wanted (key)
 WHERE NOT EXISTS (SELECT FROM ledger_journalentry WHERE source_key = wanted.key) ORDER BY wanted.key
"""
_LAST: Final = "SELECT coalesce(max(id), 0) FROM ledger_journalentry"
_MADE_HERE: Final = "SELECT id FROM ledger_journalentry WHERE id > %s AND xact_id = pg_current_xact_id() ORDER BY id"


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One posting of an entry. Minor units, debit positive."""

    posting_id: int
    account_id: int
    ref: AccountRef
    amount_minor: int
    match_key: str

    @property
    def account_name(self) -> str:
        return self.ref.spec.name

    @property
    def debit_minor(self) -> int:
        return max(self.amount_minor, 0)

    @property
    def credit_minor(self) -> int:
        return max(-self.amount_minor, 0)


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry as people see it."""

    id: int
    public_id: str
    source_key: str
    subject: str
    description: str
    actor: str
    occurred_at: datetime
    posted_at: datetime
    booked_on: date
    reverses: str | None
    """Public id of the entry it takes back."""
    reversed_by: str | None
    """Public id of the entry that takes it back."""
    lines: tuple[EntryLine, ...]


def entries_for_subject(subject: str) -> list[EntryView]:
    """Every entry about one subject (a payment), in the order they were posted."""
    return _views(JournalEntry.objects.filter(subject=subject).order_by("id"))


def entry_by_source_key(source_key: str) -> EntryView | None:
    """The entry that recorded this movement or command, if it was posted."""
    return next(iter(_views(JournalEntry.objects.filter(source_key=source_key))), None)


def entry_by_public_id(public_id: str) -> EntryView | None:
    """The entry people call je_…."""
    return next(iter(_views(JournalEntry.objects.filter(public_id=public_id))), None)


def entries_by_ids(ids: Collection[int]) -> list[EntryView]:
    """Entries by row id, in the order they were posted; unknown ids are left out."""
    return _views(JournalEntry.objects.filter(id__in=list(ids)).order_by("id"))


def last_entry_id() -> int:
    """The highest row id there is: where a caller who wants to see what follows begins."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST)
        return int(cursor.fetchone()[0])


def entries_made_here(after: int) -> list[EntryView]:
    """What this very transaction has posted since `after`, whoever else posts beside it."""
    with connection.cursor() as cursor:
        cursor.execute(_MADE_HERE, [after])
        return entries_by_ids([row[0] for row in cursor.fetchall()])


def missing_source_keys(keys: Iterable[str]) -> list[str]:
    """Those keys nothing was posted under: what a completeness proof looks for. Asked in one statement per call."""
    with connection.cursor() as cursor:
        cursor.execute(_MISSING, [list(keys)])
        return [row[0] for row in cursor.fetchall()]


def source_keys_starting_with(prefix: str) -> Iterator[str]:
    """Every key in use that starts so, in order, in constant memory: the other direction of a completeness proof."""
    after = ""
    entries = JournalEntry.objects.filter(source_key__startswith=prefix).order_by("source_key")
    while page := list(entries.filter(source_key__gt=after).values_list("source_key", flat=True)[:_CHUNK]):
        yield from page
        after = page[-1]


def draft_of(entry_id: int) -> EntryDraft:
    """The draft an entry was made from, read back out of the books."""
    entry = JournalEntry.objects.select_related("reverses").get(pk=entry_id)
    lines = entry.postings.select_related("account").order_by("id")
    return EntryDraft(
        source_key=entry.source_key,
        subject=entry.subject,
        occurred_at=entry.occurred_at,
        description=entry.description,
        postings=tuple(PostingDraft(line.account.ref, line.amount_minor, line.match_key) for line in lines),
        reverses=entry.reverses.public_id if entry.reverses else None,
        actor=entry.actor,
    )


def _views(entries: QuerySet[JournalEntry]) -> list[EntryView]:
    return [
        _view(entry)
        for entry in entries.select_related("reverses").prefetch_related("postings__account", "reversed_by")
    ]


def _view(entry: JournalEntry) -> EntryView:
    lines = sorted(entry.postings.all(), key=lambda line: line.pk)
    return EntryView(
        id=entry.pk,
        public_id=entry.public_id,
        source_key=entry.source_key,
        subject=entry.subject,
        description=entry.description,
        actor=entry.actor,
        occurred_at=entry.occurred_at,
        posted_at=entry.posted_at,
        booked_on=entry.booked_on,
        reverses=entry.reverses.public_id if entry.reverses else None,
        reversed_by=next((reversal.public_id for reversal in entry.reversed_by.all()), None),
        lines=tuple(
            EntryLine(line.pk, line.account_id, line.account.ref, line.amount_minor, line.match_key) for line in lines
        ),
    )
