"""How does a spreadsheet come in? It is read once, each row is checked, and nothing moves: the dry run. The file is not kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import IO

from django.db import connection, transaction

from ledger.money import BIGINT_MAX
from payments.card_numbers import has_card_number
from payments.errors import Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.models import Batch, BatchRow
from payments.services.actors import Actor
from payments.services.batches.checking import Checked, Checker
from payments.services.batches.columns import without_secrets
from payments.services.batches.files import Table, Unreadable
from payments.services.batches.known import Known
from payments.services.batches.reading import digest_of, read_table
from payments.states import BatchState, RowState

UPLOAD = "payments.upload_batch"
_CHUNK = 1000  # rows read, checked and written together; what one upload holds in memory
_LONGEST_NAME = 200


def upload_batch(name: str, file: IO[bytes], *, actor: Actor, now: datetime) -> Batch:
    """This function will read a spreadsheet into rows, each with its problems, and add up the good ones.

    A file that can not be read becomes a refused upload with one sentence. Nothing is started.
    Raises: Forbidden, InvalidInput if the name can not be shown. Idempotent on nothing: the same file again is another
    upload, which the page says; the references of its rows guard against paying twice.
    Writes: the upload and its rows, in one transaction; of a row with a card number its line and columns only.
    """
    actor.require(UPLOAD)
    name = _name(name)
    with transaction.atomic():
        batch = Batch(
            name=name, uploaded_by=actor.label[:100], uploaded_by_user_id=actor.user_id, uploaded_at=now, sha256=""
        )
        try:
            batch.sha256 = digest_of(file)
            _lock_digest(batch.sha256)
            with transaction.atomic():  # an unreadable line takes back the rows before it
                _read(batch, file)
        except Unreadable as refusal:
            batch.pk = None
            batch.totals, batch.rows_total, batch.rows_bad = {}, 0, 0
            batch.refused_because = refusal.detail[:400]
            batch.mark_refused()
        else:
            batch.mark_checked()
        batch.save()
    return batch


def discard_batch(public_id: str, *, version: int, actor: Actor, now: datetime) -> Batch:
    """This function will put away an upload that nobody wants to start; its rows lose their cells.

    Raises: NotFound, Forbidden, Conflict, NotAllowedNow once it was started. Idempotent: discarded stays discarded.
    """
    actor.require(UPLOAD)
    with transaction.atomic():
        batch = locked(public_id, version, unless=BatchState.DISCARDED)
        if batch.state == BatchState.DISCARDED:
            return batch
        if batch.state not in {BatchState.CHECKED, BatchState.REFUSED}:
            raise NotAllowedNow(f"The upload is {batch.state.replace('_', ' ')}: it can not be discarded any more.")
        batch.mark_discarded()
        batch.finished_at = now
        batch.version += 1
        batch.save()
        batch.rows.update(values={})
    return batch


def locked(public_id: str, version: int | None = None, *, unless: BatchState | None = None) -> Batch:
    """The upload under its lock, at the version the person saw. Raises: NotFound, Conflict."""
    batch = Batch.objects.select_for_update().filter(public_id=public_id).first()
    if batch is None:
        raise NotFound(f"There is no upload {public_id}.")
    if version is not None and batch.version != version and batch.state != unless:
        raise Conflict(f"The upload is {batch.state.replace('_', ' ')} by now.")
    return batch


def _name(name: str) -> str:
    name = name.replace("\\", "/").rsplit("/", 1)[-1].strip()[-_LONGEST_NAME:]
    if has_card_number(name):
        raise InvalidInput("The file's name holds what looks like a card number. It was not kept.", field="file")
    if not name or not name.isprintable():
        raise InvalidInput("The file's name can not be shown. Rename it.", field="file")
    return name


def _lock_digest(digest: str) -> None:
    """Two uploads of one file at once: the second waits, and then finds the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 19))", [digest])


def _read(batch: Batch, file: IO[bytes]) -> None:
    known = Known()
    table = read_table(batch.name, file, known.accounts)
    batch.read_as = table.read_as[:200]
    batch.save()
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for rows in _checked(table, known):
        BatchRow.objects.bulk_create([_row(batch, row) for row in rows])
        batch.rows_total += len(rows)
        for row in rows:
            if row.problems or row.money is None:
                batch.rows_bad += 1
            else:
                total = totals[row.money.currency]
                total[0] += 1
                total[1] += row.money.amount_minor
                if total[1] > BIGINT_MAX:
                    raise Unreadable(f"The rows up to line {row.number} add up to more than the books can hold.")
    batch.totals = dict(totals)


def _checked(table: Table, known: Known) -> Iterator[list[Checked]]:
    checker = Checker(table.headings, known.accounts)
    while chunk := list(islice(table.lines, _CHUNK)):
        rows = [checker.check(line) for line in chunk]
        known.check(rows)
        yield rows


def _row(batch: Batch, row: Checked) -> BatchRow:
    bad = bool(row.problems) or row.money is None
    return BatchRow(
        batch=batch,
        number=row.number,
        state=RowState.BAD if bad else RowState.READY,
        values=without_secrets(row.values) if bad else row.values,  # a bad row is never started
        problems=row.problems,
        warnings=row.warnings,
        reference=row.reference,
        amount_minor=row.money.amount_minor if row.money else None,
        currency=row.money.currency if row.money else "",
    )
