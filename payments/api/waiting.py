"""May the answer wait for the outcome? `Prefer: wait=8` (RFC 7240) looks again and again, keeping no connection."""

from __future__ import annotations

import re
import time

from django.db import connection
from django.http import HttpRequest

from payments.queries.api_views import NOT_FINISHED, payment_by_id

LONGEST_SECONDS = 8  # a waiting request holds a thread of the web server
_LOOK_EVERY_SECONDS = 0.2
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?(?=$|[,;\s])", re.IGNORECASE)


def preferred_wait(request: HttpRequest) -> int | None:
    """The seconds the caller would wait, at most 8; None without a (readable) preference."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found.group(1)), LONGEST_SECONDS) if found else None


def view_after_waiting(payment_id: str, seconds: int) -> dict[str, object]:
    """The payment's view once it is no longer initiated, validated or pending, or when the time is up."""
    give_up = time.monotonic() + seconds
    while True:
        view = payment_by_id(payment_id)
        left = give_up - time.monotonic()
        if view["state"] not in NOT_FINISHED or left <= 0:
            return view
        connection.close()  # eight seconds with an idle connection, a thread each, would use them all up
        time.sleep(min(_LOOK_EVERY_SECONDS, left))
