"""Which sales go to the merchant's own books, and which went already? One batch a day; an entry goes once, in one of them.

An entry that is booked on a day after the day's batch was made is in the next one: nothing is left out and nothing goes twice.
"""

from __future__ import annotations

from datetime import date, datetime

from django.db import connection, transaction

from ledger.queries.exports import entries_on_sql, lines_on_sql
from payments.errors import InvalidInput
from payments.services.actors import Actor
from reconciliation.models import HandOver
from reconciliation.reports.days import business_day
from reconciliation.reports.sales_hand_over import CODES

RIGHT = "reconciliation.run_reconciliation"
"""Making a batch moves a border; whoever may only export gets those that were made."""
_LOCK = 5_721_004  # of PostgreSQL's advisory locks: one batch is made at a time


def hand_over(day: date, *, actor: Actor, now: datetime) -> HandOver:
    """This function will make the batch of a day that is over, or return the one that was made.

    Raises: InvalidInput if the day is not over or lies inside a later batch; Forbidden if there is none and the actor may
      not make one.
    Idempotent on: day. Writes: the batch and which entries are in it.
    """
    if day >= business_day(now):
        raise InvalidInput(f"{day} is not over; a hand-over is made of days that are.", field="day")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        made = HandOver.objects.filter(day=day).first()
        if made is not None:
            return made
        later = HandOver.objects.filter(day__gt=day).order_by("day").first()
        if later is not None:
            raise InvalidInput(f"{day} went with {later.public_id}, the hand-over of {later.day}.", field="day")
        actor.require(RIGHT)
        return _make(day, actor, now)


def _make(day: date, actor: Actor, now: datetime) -> HandOver:
    batch = HandOver.objects.create(day=day, made_at=now, made_by=actor.label)
    entries, args = entries_on_sql(CODES, day)
    lines, line_args = lines_on_sql(CODES)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO reconciliation_handedentry (hand_over_id, entry_id)
                SELECT %(batch)s, entry.entry_id FROM ({entries}) AS entry
                 WHERE NOT EXISTS (SELECT FROM reconciliation_handedentry AS handed WHERE handed.entry_id = entry.entry_id)
                 ORDER BY entry.entry_id""",  # noqa: S608 - SQL of ours
            args | {"batch": batch.pk},
        )
        batch.entries_count = cursor.rowcount
        cursor.execute(
            f"""SELECT line.currency, coalesce(sum(line.debit), 0)::bigint, coalesce(sum(line.credit), 0)::bigint
                  FROM ({lines}) AS line JOIN reconciliation_handedentry AS handed ON handed.entry_id = line.entry_id
                 WHERE handed.hand_over_id = %(batch)s GROUP BY line.currency ORDER BY line.currency""",  # noqa: S608 - SQL of ours
            line_args | {"batch": batch.pk},
        )
        batch.totals = {currency: {"debit": debit, "credit": credit} for currency, debit, credit in cursor.fetchall()}
    batch.save(update_fields=["entries_count", "totals"])
    return batch
