"""How does a person have a day compared, or compared again? The row becomes due; a worker runs it. Nothing is compared here."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from payments.errors import InvalidInput, NotFound
from payments.jobs import enqueue
from payments.services.actors import Actor
from reconciliation.models import Run, StatementAccount

RUN = "reconciliation.run_reconciliation"
COMPARE = "reconciliation.run_nights"


def ask_run(slug: str, day: date, *, actor: Actor, now: datetime) -> Run:
    """This function will make a day of an account due at once, whether it was compared before or not.

    Raises: Forbidden; NotFound; InvalidInput for a day that is not over in the account's zone, or before its books start.
    Idempotent on: account and day. Writes: the run's row. A worker is nudged; the nightly beat finds it without.
    """
    actor.require(RUN)
    account = StatementAccount.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no account {slug} to be compared.")
    if day >= now.astimezone(ZoneInfo(account.time_zone)).date():
        raise InvalidInput(f"{day} is not over yet in {account.time_zone}.", field="day")
    if account.books_start_on is not None and day < account.books_start_on:
        raise InvalidInput(f"The books of {account.name} start on {account.books_start_on}.", field="day")
    with transaction.atomic():
        run, _ = Run.objects.get_or_create(account=account, day=day, defaults={"next_check_at": now})
        Run.objects.filter(pk=run.pk).update(next_check_at=now)
        enqueue(COMPARE)
    return run
