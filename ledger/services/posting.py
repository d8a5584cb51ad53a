"""How does a draft become permanent? Bulk is the primitive: one statement writes all headers and postings.

Only insertions, always inside the caller's transaction. It reads no clock and decides nothing about payments.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from ledger.chart import AccountRef
from ledger.drafts import CONTENT_FIELDS, EntryDraft
from ledger.errors import AlreadyReversed, DraftRefused, EntryNotFound, NotInTransaction, SourceKeyConflict
from ledger.models import JournalEntry
from ledger.queries import draft_of
from ledger.services.accounts import AccountRow, check_floors, lock_lowered, rows_of
from ledger.services.book_lock import hold_open

# One statement, so that headers and postings cost one round trip. The explicit conflict target lets every other
# violation (a second reversal) through as an error.
_INSERT: Final = """
WITH header AS (
  INSERT INTO ledger_journalentry (public_id, source_key, content_hash, subject, description, actor,
                                   occurred_at, posted_at, booked_on, reverses_id)
  SELECT public_id, source_key, content_hash, subject, description, actor, occurred_at, %s,
         greatest(booked_on, (SELECT max(day) + 1 FROM ledger_closedday WHERE reopened_at IS NULL)), reverses_id
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::date[],
                %s::bigint[])
      AS draft (public_id, source_key, content_hash, subject, description, actor, occurred_at, booked_on, reverses_id)
  ON CONFLICT (source_key) DO NOTHING
  RETURNING id, public_id, source_key, posted_at, booked_on
), line AS (
  INSERT INTO ledger_posting (entry_id, account_id, currency, amount_minor, match_key, booked_on, posted_at)
  SELECT header.id, leg.account_id, leg.currency, leg.amount_minor, leg.match_key, header.booked_on, header.posted_at
    FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[])
      AS leg (public_id, account_id, currency, amount_minor, match_key)
    JOIN header USING (public_id)
)
SELECT id, public_id, source_key, booked_on, posted_at FROM header
"""


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """An entry of the books. `is_new` is false when the same content had been posted under this key before."""

    id: int
    public_id: str
    source_key: str
    booked_on: date
    posted_at: datetime
    is_new: bool


def post_entry(draft: EntryDraft, *, now: datetime) -> PostedEntry:
    """This function will make one draft permanent; see `post_entries`."""
    return post_entries([draft], now=now)[0]


def post_entries(drafts: Sequence[EntryDraft], *, now: datetime) -> list[PostedEntry]:
    """This function will make drafts permanent, all or none, and return their entries in the same order.

    Raises: NotInTransaction; SourceKeyConflict naming the fields that differ; InsufficientFunds when an account with a
      floor would fall below it (the drafts count together); EntryNotFound and AlreadyReversed for what a draft reverses.
    Idempotent on: source_key. The same content again returns the first entry with `is_new` false.
    Writes: journal entries, postings, accounts on first use.
    Locks: accounts with a floor that are lowered, in id order; then the book, shared with every other posting.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction
    if now.utcoffset() is None:
        raise DraftRefused("posted_at has no time zone.")
    unique = _unique(drafts)
    if not unique:
        return []
    accounts = rows_of({line.account for draft in unique.values() for line in draft.postings}, now=now)
    posted: dict[str, PostedEntry] = {}
    locked = lock_lowered(accounts, unique.values())
    if locked:
        posted = _posted_before(unique.values())
        check_floors(locked, [draft for key, draft in unique.items() if key not in posted])
    fresh = sorted((draft for key, draft in unique.items() if key not in posted), key=lambda draft: draft.source_key)
    posted |= _insert(fresh, accounts, now)
    posted |= _lost_races(fresh, posted)
    return [posted[draft.source_key] for draft in drafts]


def _unique(drafts: Sequence[EntryDraft]) -> dict[str, EntryDraft]:
    """Drafts by key; a repeated one counts once. Raises: SourceKeyConflict within the batch."""
    unique: dict[str, EntryDraft] = {}
    for draft in drafts:
        first = unique.setdefault(draft.source_key, draft)
        if first is not draft and first.content_hash != draft.content_hash:
            raise _conflict(draft, first, "")
    return unique


def _insert(
    drafts: Sequence[EntryDraft], accounts: Mapping[AccountRef, AccountRow], now: datetime
) -> dict[str, PostedEntry]:
    """Write what is not there yet. The drafts come sorted by key: overlapping batches then wait and do not deadlock."""
    if not drafts:
        return {}
    reversed_ids = _ids_of_reversed(drafts)
    hold_open()
    headers: list[tuple[object, ...]] = []
    legs: list[tuple[object, ...]] = []
    for draft in drafts:
        public_id = f"je_{secrets.token_hex(12)}"
        headers.append(
            (
                public_id, draft.source_key, draft.content_hash, draft.subject, draft.description, draft.actor,
                draft.occurred_at, business_day(draft.occurred_at), reversed_ids.get(draft.reverses),
            )
        )  # fmt: skip
        for line in draft.postings:
            account = accounts[line.account]
            legs.append((public_id, account.id, account.ref.currency, line.amount_minor, line.match_key))
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [now, *map(list, zip(*headers, strict=True)), *map(list, zip(*legs, strict=True))])
        rows = cursor.fetchall()
    return {
        key: PostedEntry(entry_id, public_id, key, booked, posted, is_new=True)
        for entry_id, public_id, key, booked, posted in rows
    }


def _ids_of_reversed(drafts: Sequence[EntryDraft]) -> dict[str | None, int]:
    public_ids = {draft.reverses for draft in drafts if draft.reverses}
    if not public_ids:
        return {}
    ids: dict[str | None, int] = dict(
        JournalEntry.objects.filter(public_id__in=public_ids).values_list("public_id", "id")
    )
    for public_id in public_ids - ids.keys():
        raise EntryNotFound(public_id)
    keys = [draft.source_key for draft in drafts]
    taken = JournalEntry.objects.filter(reverses__in=ids.values()).exclude(source_key__in=keys)
    for reversal in taken.select_related("reverses")[:1]:
        raise AlreadyReversed(reversal.reverses.public_id if reversal.reverses else "", reversal.public_id)
    return ids


def business_day(occurred_at: datetime) -> date:
    """The day of a moment in BUSINESS_TIME_ZONE. An entry is booked on it, or on the first open day if that is closed."""
    return occurred_at.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()


def _lost_races(fresh: Sequence[EntryDraft], posted: Mapping[str, PostedEntry]) -> dict[str, PostedEntry]:
    """Keys the insertion found taken: by an earlier posting or by one that ran beside us."""
    lost = [draft for draft in fresh if draft.source_key not in posted]
    if not lost:
        return {}
    try:
        return _posted_before(lost)
    except SourceKeyConflict:
        if any(entry.is_new for entry in posted.values()):
            # Part of the batch is written already: whoever catches this may not keep it.
            transaction.set_rollback(True)
        raise


def _posted_before(drafts: Collection[EntryDraft]) -> dict[str, PostedEntry]:
    """Entries that exist for these drafts. Raises: SourceKeyConflict when one has other content."""
    by_key = {draft.source_key: draft for draft in drafts}
    posted = {}
    for entry in JournalEntry.objects.filter(source_key__in=list(by_key)).order_by("id"):
        draft = by_key[entry.source_key]
        if entry.content_hash != draft.content_hash:
            raise _conflict(draft, draft_of(entry.pk), entry.public_id)
        posted[entry.source_key] = PostedEntry(
            entry.pk, entry.public_id, entry.source_key, entry.booked_on, entry.posted_at, is_new=False
        )
    return posted


def _conflict(draft: EntryDraft, first: EntryDraft, public_id: str) -> SourceKeyConflict:
    """Name what differs, field by field, first content before the new one."""
    before, after = first.content, draft.content
    fields: Iterable[str] = [name for name in CONTENT_FIELDS if before[name] != after[name]]
    details = "; ".join(f"{name} was {before[name]}, now {after[name]}" for name in fields)
    return SourceKeyConflict(draft.source_key, public_id, list(fields), details)
