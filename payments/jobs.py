"""How is a worker nudged? By task name, after the commit. Rows are the queue of record: a lost nudge is found by the sweep."""

from __future__ import annotations

import logging
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

ADVANCE_PAYMENT = "payments.advance_payment"
ADVANCE_REFUND = "payments.advance_refund"
DRAIN_INBOX = "payments.drain_inbox"


def enqueue(task: str, *args: object) -> None:
    """Send the task once the current transaction has committed; a broker that is down is logged and forgotten."""
    transaction.on_commit(partial(_send, task, args), robust=True)


def _send(task: str, args: tuple[object, ...]) -> None:
    try:
        current_app.send_task(task, args=args, retry=False)
    except OperationalError:
        log.warning("The broker is away; %s is left to the sweep.", task)
