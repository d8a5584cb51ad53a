"""Through which day are the books closed, and what do the entries of a day come to? The digest that a close is held to."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from django.db.models import Max

from ledger.models import ClosedDay, Posting

_CHUNK = 5_000
_HEADER = 10  # columns of the entry itself, before those of its posting


@dataclass(frozen=True, slots=True)
class DayDigest:
    """The entries booked on some days. `debits_minor` are sums of debit postings, by currency, memo lines included."""

    entries_count: int
    digest: str
    debits_minor: dict[str, int]


def closed_through() -> date | None:
    """The last closed day; None while no day is closed."""
    last: date | None = ClosedDay.objects.filter(reopened_at__isnull=True).aggregate(last=Max("day"))["last"]
    return last


def closed_day(day: date) -> ClosedDay | None:
    """The close of this very day that stands, or None."""
    return ClosedDay.objects.filter(day=day, reopened_at__isnull=True).first()


def day_digest(first_day: date | None, last_day: date) -> DayDigest:
    """SHA-256 over the entries booked from `first_day` (None: the beginning) to `last_day`, in order of their ids.

    Of each entry: public id, source key, content hash (which covers accounts, amounts, currency and subject), the three
    times, what it reverses, its subject, its wording and who made it; of each posting its account and amount again, so
    that an edited line shows even if somebody edited the content hash with it. Constant memory.
    """
    rows = Posting.objects.filter(entry__booked_on__lte=last_day)
    if first_day is not None:
        rows = rows.filter(entry__booked_on__gte=first_day)
    lines = rows.order_by("entry_id", "id").values_list(
        "entry__public_id", "entry__source_key", "entry__content_hash", "entry__occurred_at", "entry__posted_at",
        "entry__booked_on", "entry__reverses__public_id", "entry__subject", "entry__description", "entry__actor",
        "account__code", "currency", "account__gateway", "account__customer", "amount_minor", "match_key",
    )  # fmt: skip
    digest, count, debits = hashlib.sha256(), 0, Counter[str]()
    for header, postings in groupby(lines.iterator(chunk_size=_CHUNK), lambda row: row[:_HEADER]):
        count += 1
        digest.update(_text(header))
        for line in postings:
            digest.update(_text(line[_HEADER:]))
            if line[14] > 0:
                debits[line[11]] += line[14]
    return DayDigest(count, digest.hexdigest(), dict(sorted(debits.items())))


def _text(values: tuple[object, ...]) -> bytes:
    """One line a row, its values quoted, so that no two rows read alike."""
    shown = [value.isoformat() if hasattr(value, "isoformat") else value for value in values]
    return (repr(shown) + "\n").encode()
