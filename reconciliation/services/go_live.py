"""How do the books begin? Open items of the old system come in by file, against 3010, by two people."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, PostingDraft
from ledger.money import Money
from ledger.services import post_entries
from payments.errors import Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Approval, Arguments, Line
from payments.services.approvals import ask_approval
from reconciliation import opening
from reconciliation.models import OpeningFile, OpeningPosition
from reconciliation.opening import Position, WrongRow

RIGHT = "reconciliation.post_journal"
LARGEST = 1_500_000
"""Bytes: a form carries the file, in a text a third longer, from the dry run to the request."""


@dataclass(frozen=True, slots=True)
class OpeningPreview:
    """What a file holds: rows that can be booked, rows that can not, and sums of debits and credits by currency."""

    positions: tuple[Position, ...]
    wrong: tuple[WrongRow, ...]
    totals: dict[str, tuple[int, int]]


def preview_opening(content: bytes, *, books_start_on: date, actor: Actor) -> OpeningPreview:
    """Read a file without keeping it. Raises: Forbidden; InvalidInput for a file that is no text or too large."""
    actor.require(RIGHT)
    positions, wrong = opening.read(_text(content), before=books_start_on)
    return OpeningPreview(tuple(positions), tuple(wrong), _totals(positions))


def ask_opening(
    name: str, content: bytes, *, books_start_on: date, reason: str, actor: Actor, now: datetime
) -> Approval:
    """This function will keep a file of opening positions and ask a second person to agree to booking it.

    Raises: Forbidden; InvalidInput naming the first wrong row; NotAllowedNow for a file that is booked already.
    Idempotent on: the file's digest. Writes: the file, the approval. Nothing is booked.
    """
    actor.require(RIGHT)
    text = _text(content)
    positions, wrong = opening.read(text, before=books_start_on)
    if wrong:
        more = f" {len(wrong) - 1} more rows are wrong." if len(wrong) > 1 else ""
        raise InvalidInput(f"Row {wrong[0].number}: {wrong[0].reason}{more} Nothing was kept.", field="file")
    if not positions:
        raise InvalidInput("The file has a heading and no position.", field="file")
    with transaction.atomic():
        kept = _keep(name, content, text, positions, books_start_on, actor, now)
        return ask_approval("book_opening", kept.public_id, {}, reason=reason, actor=actor, now=now)


def _keep(
    name: str, content: bytes, text: str, positions: Sequence[Position], start: date, actor: Actor, now: datetime
) -> OpeningFile:
    kept, is_new = OpeningFile.objects.get_or_create(
        sha256=hashlib.sha256(content).hexdigest(),
        defaults={
            "name": name[:200],
            "text": text,
            "books_start_on": start,
            "rows_count": len(positions),
            "totals": _totals(positions),
            "uploaded_at": now,
            "uploaded_by": actor.label[:100],
        },
    )
    if kept.booked_at is not None:
        raise NotAllowedNow(f"This file was booked on {kept.booked_at:%Y-%m-%d}, with {kept.rows_count} positions.")
    if not is_new and kept.books_start_on != start:
        raise Conflict(f"This file waits already, for books that start on {kept.books_start_on}.")
    return kept


def _text(content: bytes) -> str:
    if len(content) > LARGEST:
        raise InvalidInput(f"The file is larger than {LARGEST:,} bytes: split it.", field="file")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("The file is not UTF-8. Save it again as “CSV UTF-8”.", field="file") from error


def _totals(positions: Sequence[Position]) -> dict[str, tuple[int, int]]:
    debit, credit = Counter[str](), Counter[str]()
    for position in positions:
        side = debit if position.money.amount_minor > 0 else credit
        side[position.money.currency] += abs(position.money.amount_minor)
    return {currency: (debit[currency], credit[currency]) for currency in sorted({*debit, *credit})}


# --- what two people agree to -----------------------------------------------------------------------------------------


def _find(public_id: str, *, lock: bool = False) -> OpeningFile:
    rows = OpeningFile.objects.select_for_update() if lock else OpeningFile.objects.all()
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise NotFound(f"There is no file {public_id}.")
    return found


def _show(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    kept = _find(subject)
    if kept.booked_at is not None:
        raise NotAllowedNow("The file is booked already.")
    lines = [
        ("File", f"{kept.name}, {kept.rows_count} positions"),
        ("SHA-256", kept.sha256),
        ("Books start on", kept.books_start_on.isoformat()),
        ("Uploaded by", kept.uploaded_by),
    ]
    for currency, (debit, credit) in kept.totals.items():
        sides = f"debits {Money(debit, currency)}, credits {Money(credit, currency)}"
        lines.append((f"Against 3010, {currency}", sides))
    return lines


def _book(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    kept = _find(subject, lock=True)
    if kept.booked_at is not None:
        raise Conflict("The file was booked at this moment.")
    positions, wrong = opening.read(kept.text, before=kept.books_start_on)
    if wrong:
        raise NotAllowedNow(f"Row {wrong[0].number}: {wrong[0].reason}")
    taken = OpeningPosition.objects.filter(entry_source_key__in=[one.source_key for one in positions]).first()
    if taken is not None:
        raise NotAllowedNow(f"Item {taken.item} on {taken.code} came with another file: {taken.file.name}.")
    post_entries([_draft(one, maker) for one in positions], now=now)
    OpeningPosition.objects.bulk_create([_row(kept, one) for one in positions], batch_size=2_000)
    kept.booked_at, kept.agreed_by = now, checker.label[:100]
    kept.save(update_fields=["booked_at", "agreed_by"])
    return f"{len(positions)} opening positions are booked."


def _draft(position: Position, maker: Actor) -> EntryDraft:
    noon = datetime.combine(position.on, time(12), tzinfo=ZoneInfo(settings.BUSINESS_TIME_ZONE))
    other = AccountRef(chart.OPENING_BALANCES.code, position.money.currency)
    amount = position.money.amount_minor
    return EntryDraft(
        source_key=position.source_key,
        subject=f"opening/{position.item}",
        occurred_at=noon,
        description=f"Opening position {position.item} {position.text}".strip(),
        postings=(PostingDraft(position.account, amount, position.item), PostingDraft(other, -amount)),
        actor=maker.label,
    )


def _row(kept: OpeningFile, position: Position) -> OpeningPosition:
    return OpeningPosition(
        file=kept,
        number=position.number,
        code=position.account.code,
        gateway=position.account.gateway,
        customer=position.account.customer,
        currency=position.money.currency,
        amount_minor=position.money.amount_minor,
        item=position.item,
        occurred_on=position.on,
        text=position.text[:200],
        entry_source_key=position.source_key,
    )


BOOK_OPENING = Approvable(title="Book opening positions", right=RIGHT, show=_show, execute=_book)
