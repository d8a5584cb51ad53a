"""How is a worker nudged? By task name, after the commit. Rows are the queue of record: a lost nudge is found by the sweep."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

ADVANCE_PAYMENT = "payments.advance_payment"
ADVANCE_REFUND = "payments.advance_refund"
DRAIN_INBOX = "payments.drain_inbox"
RUN_BATCH = "payments.run_batch"

_REST_SECONDS = 15.0  # a broker that hangs costs a sender its whole time-out: afterwards it is left alone for a while
_away_until: dict[str, float] = {}  # by the broker's address, on the monotonic clock of this process


_held_back: ContextVar[tuple[tuple[object, ...], list[bool]] | None] = ContextVar("held back", default=None)


@contextmanager
def looking_again(task: str, *args: object) -> Iterator[list[bool]]:
    """For whoever works on something and looks at it again by itself: nudges to do so at once are noted in place of sent."""
    noted: list[bool] = []
    token = _held_back.set(((task, *args), noted))
    try:
        yield noted
    finally:
        _held_back.reset(token)


def enqueue(task: str, *args: object, at: datetime | None = None) -> None:
    """Send the task once the current transaction has committed, to be run at once or at a time.

    A broker that is down is logged and forgotten."""
    transaction.on_commit(partial(_send, task, args, at), robust=True)


def _send(task: str, args: tuple[object, ...], at: datetime | None) -> None:
    held_back = _held_back.get()
    if held_back is not None and at is None and held_back[0] == (task, *args):
        held_back[1].append(True)
        return
    broker = str(current_app.conf.broker_url)
    if time.monotonic() < _away_until.get(broker, 0.0):
        return
    try:
        current_app.send_task(task, args=args, eta=at, retry=False)
    except OperationalError:
        _away_until[broker] = time.monotonic() + _REST_SECONDS
        log.warning("The broker is away; %s and what follows for %.0f s is left to the sweep.", task, _REST_SECONDS)
