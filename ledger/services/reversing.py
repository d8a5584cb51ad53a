"""How is a wrong entry taken back? By its mirror, once, linked to it; the wrong entry stays for ever."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from django.db import connection

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, PostingDraft
from ledger.errors import AlreadyReversed, EntryNotFound, NotInTransaction
from ledger.models import JournalEntry
from ledger.queries import draft_of
from ledger.services.accounts import available, lock_lowered, rows_of
from ledger.services.posting import PostedEntry, post_entry


def reverse_entry(
    entry_public_id: str,
    *,
    source_key: str,
    reason: str,
    actor: str,
    now: datetime,
    occurred_at: datetime | None = None,
) -> PostedEntry:
    """This function will post the mirror of an entry, on the same subject, booked on the business day of `occurred_at`.

    None: of `now`.

    A wallet that no longer holds what the mirror takes is emptied to its floor; the rest becomes a customer receivable.
    Raises: NotInTransaction; EntryNotFound; AlreadyReversed naming the reversal; SourceKeyConflict when the key stands
      for something else.
    Idempotent on: source_key (the split between wallet and receivable is that of the first time).
    Writes: one entry. Locks: the reversed entry, then wallets in id order.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction
    # A row lock is no UPDATE: the append-only trigger lets it pass, and two reversals take turns.
    entry = JournalEntry.objects.select_for_update(no_key=True).filter(public_id=entry_public_id).first()
    if entry is None:
        raise EntryNotFound(entry_public_id)
    original = draft_of(entry.pk)
    mirror = EntryDraft(
        source_key=source_key,
        subject=original.subject,
        occurred_at=occurred_at or now,
        description=f"Reversal of {entry_public_id}: {reason}",
        postings=tuple(replace(line, amount_minor=-line.amount_minor) for line in original.postings),
        reverses=entry_public_id,
        actor=actor,
    )
    earlier = JournalEntry.objects.filter(reverses=entry).first()
    if earlier is None:
        return post_entry(_within_floors(mirror, now), now=now)
    if earlier.source_key != source_key:
        raise AlreadyReversed(entry_public_id, earlier.public_id)
    return PostedEntry(
        earlier.pk, earlier.public_id, earlier.source_key, earlier.booked_on, earlier.posted_at, is_new=False
    )


def _within_floors(mirror: EntryDraft, now: datetime) -> EntryDraft:
    """The mirror, with what wallets cannot give booked as receivable from their customers."""
    accounts = rows_of({line.account for line in mirror.postings}, now=now)
    locked = lock_lowered(accounts, [mirror])
    if not locked:
        return mirror
    left = available(locked)
    for line in mirror.postings:  # what the mirror itself pays in may be taken out again
        if line.account in left and line.amount_minor * accounts[line.account].sign > 0:
            left[line.account] += abs(line.amount_minor)
    signs = {account.ref: account.sign for account in locked}
    return replace(mirror, postings=tuple(_split(mirror.postings, left, signs)))


def _split(
    lines: Iterable[PostingDraft], left: dict[AccountRef, int], signs: dict[AccountRef, int]
) -> Iterable[PostingDraft]:
    for line in lines:
        sign = signs.get(line.account, 0)
        if line.amount_minor * sign >= 0:
            yield line
            continue
        taken = min(abs(line.amount_minor), max(left[line.account], 0))
        left[line.account] -= taken
        if taken:
            yield replace(line, amount_minor=-sign * taken)
        rest = abs(line.amount_minor) - taken
        if rest:
            receivable = AccountRef(
                chart.CUSTOMER_RECEIVABLE.code, line.account.currency, customer=line.account.customer
            )
            yield PostingDraft(receivable, -sign * rest, line.match_key)
