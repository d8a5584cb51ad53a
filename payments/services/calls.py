"""How does a service speak to a gateway? Always outside a transaction, through the adapter and the one HTTP client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection

from payments.gateways import http
from payments.gateways.base import Adapter, WireAnswer, WireRequest
from payments.gateways.errors import NotTried
from payments.models import GatewayAccount
from payments.services.accounts import adapter_of, credentials_of, missing_credentials
from payments.services.switches import stopped_everything

Clock = Callable[[], datetime]
_LOCK_SPACE = 0x43F << 48  # session advisory locks of operations, apart from every other use


def call(
    account: GatewayAccount, request: WireRequest, *, send_before: datetime, done_before: datetime, clock: Clock
) -> WireAnswer:
    """One request with the account's secrets in place.

    Raises: NotSent, OutcomeUnknown; RuntimeError inside a transaction (a gateway is never called under a lock).
    """
    _refuse_transaction()
    missing = missing_credentials(account)
    if missing:
        raise NotTried(f"{missing[0]} is not set")
    credentials = credentials_of(account)

    def send(outgoing: WireRequest) -> WireAnswer:
        return http.send(
            outgoing,
            base_url=credentials.get("base_url", ""),
            send_before=send_before,
            done_before=done_before,
            clock=clock,
        )

    return adapter_of(account).speak(request, {name.upper(): value for name, value in credentials.items()}, send)


def ask(account: GatewayAccount, request: WireRequest, clock: Clock) -> WireAnswer:
    """A question: reads only, so that it may be repeated. Raises like `call`, and NotTried while everything is stopped."""
    stopped = stopped_everything()
    if stopped:
        raise NotTried(stopped)
    until = clock() + timedelta(seconds=account.call_seconds)
    return call(account, request, send_before=until, done_before=until, clock=clock)


def adapter_for(account: GatewayAccount) -> Adapter:
    return adapter_of(account)


def _refuse_transaction() -> None:
    if connection.in_atomic_block:
        raise RuntimeError("A gateway call inside a transaction: commit first, then call.")


@contextmanager
def sender_lock(operation_id: int) -> Iterator[bool]:
    """Hold the operation's session lock for phases 2 and 3; yields False if another process holds it.

    A lock that is held means *in flight*, whatever the row's age. It ends with the connection, so a killed sender frees it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_SPACE | operation_id])
        got = bool(cursor.fetchone()[0])
    try:
        yield got
    finally:
        if got and not connection.closed_in_transaction and connection.connection is not None:
            _unlock(operation_id)


def _unlock(operation_id: int) -> None:
    if connection.connection.closed:  # the server went away: its locks went with it
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_SPACE | operation_id])


def is_in_flight(operation_id: int) -> bool:
    """Does a living process hold the operation's lock?"""
    with sender_lock(operation_id) as got:
        return not got
