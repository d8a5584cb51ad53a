"""May one more call begin at this account now? Counts calls under way and calls of the last second, under a lock an account."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from payments.models import GatewayAccount, Operation
from payments.states import OperationState

_LOCK_SPACE = 0x7B0 << 48  # transaction advisory locks of accounts' turns, apart from every other use
_SECOND = timedelta(seconds=1)
_LONGEST_CALL = timedelta(seconds=300)  # the highest `call_seconds` an account may have


def turn(account: GatewayAccount, now: datetime) -> timedelta | None:
    """None: begin now. Else: ask again after this long.

    Call it inside the transaction that marks the operation sent, right before: the lock it takes ends with that commit,
    so that nobody counts between. An account without caps takes no lock and asks nothing.
    """
    if not account.max_in_flight and not account.max_per_second:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_SPACE | account.pk])
    if account.max_in_flight and _in_flight(account, now) >= account.max_in_flight:
        return _SECOND
    return _until_a_second_has_room(account, now)


def _in_flight(account: GatewayAccount, now: datetime) -> int:
    """Sent, and the call can still be running; past `done_before` it has ended, whatever became of its row."""
    sent = Operation.objects.filter(gateway_account=account, sent_at__gt=now - _LONGEST_CALL, done_before__gt=now)
    return sent.filter(state=OperationState.SENT).count()


def _until_a_second_has_room(account: GatewayAccount, now: datetime) -> timedelta | None:
    cap = account.max_per_second
    if not cap:
        return None
    begun = Operation.objects.filter(gateway_account=account, sent_at__gt=now - _SECOND).order_by("-sent_at")
    latest = list(begun.values_list("sent_at", flat=True)[:cap])
    if len(latest) < cap or latest[-1] is None:
        return None
    return max(latest[-1] + _SECOND - now, timedelta(milliseconds=1))
