"""Is this delivery genuine, and do we have it already? Verifies and stores once; what it means is left to the drain."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import F
from redis.exceptions import RedisError

from payments import jobs
from payments.gateways.registry import get_adapter
from payments.models import GatewayAccount, Incident
from payments.models.fsm import new_public_id
from payments.services import incidents
from payments.services.accounts import credentials_of
from payments.states import EventState

log = logging.getLogger(__name__)

BAD_SIGNATURE_RUN = 20  # refused in a row before somebody is told
KEPT_HEADERS = ("content-type", "user-agent", "webhook-signature", "stripe-signature")
# How exact `last_event_at` is: the account's one row is written once in this time, not at each event.
_FRESH = timedelta(seconds=30)
_NUDGED = "payments.inbox.nudged"
_NUDGE_SECONDS = 5  # a lost nudge is repeated by the first event after this, and by the sweep

_INSERT = """
INSERT INTO payments_inboundevent (public_id, gateway_account_id, event_key, event_type, body, headers, received_at,
                                   state, attempts, error, outcome, handled_at, next_check_at)
VALUES (%s, %s, %s, '', %s, %s::jsonb, %s, %s, 0, '', %s, NULL, %s)
ON CONFLICT (gateway_account_id, event_key) DO NOTHING
RETURNING id
"""


class Receipt(StrEnum):
    """What became of a delivery at the door."""

    STORED = "stored"
    KNOWN = "already known"
    BAD_SIGNATURE = "the signature does not fit"
    UNKNOWN_ACCOUNT = "no such gateway account"


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery's receipt, and the words in which its gateway wants to hear that it was taken; empty: any will do."""

    receipt: Receipt
    answer: bytes = b""


def store_event(slug: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Receipt:
    """`receive_event` for callers who answer nobody."""
    return receive_event(slug, headers, body, now=now).receipt


def receive_event(slug: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Received:
    """Verify the signature over the raw bytes and store the event, whatever it says; a disabled account still stores.

    Idempotent on: gateway account and event key. Writes: the event; the account's counters; a BAD_SIGNATURES incident
    after a run of refused ones, closed by the next good one. `headers` have lower-case names.
    Raises: OperationalError when the database is away; with Redis away nothing is raised and nothing lost.
    """
    account = GatewayAccount.objects.filter(slug=slug).first()
    if account is None:
        return Received(Receipt.UNKNOWN_ACCOUNT)
    adapter = get_adapter(account.provider)
    if not adapter.verify_webhook(headers, body, _secrets(account), at=now):
        _count_refusal(account, now)
        return Received(Receipt.BAD_SIGNATURE)
    new = _insert(account, _bounded_key(adapter.event_key(body)), headers, body, now)
    _note_good_signature(account, now)
    if new:
        transaction.on_commit(nudge, robust=True)
    return Received(Receipt.STORED if new else Receipt.KNOWN, adapter.webhook_answer)


def nudge() -> None:
    """Wake one worker for however many events wait. Rows are the queue: without Redis the sweep finds them."""
    try:
        first = cache.add(_NUDGED, 1, timeout=_NUDGE_SECONDS)
    except RedisError:
        log.warning("Redis is away; the inbox is left to the sweep.")
        return
    if first:
        jobs.enqueue(jobs.DRAIN_INBOX)


def forget_nudge() -> None:
    """Called before claiming: an event committed before is about to be claimed, one committed later nudges anew."""
    try:
        cache.delete(_NUDGED)
    except RedisError:
        log.warning("Redis is away; the inbox is drained all the same.")


def _secrets(account: GatewayAccount) -> tuple[str, ...]:
    """Current and previous signing secret; while a secret is being changed both are good."""
    known = credentials_of(account)
    return tuple(filter(None, (known.get("webhook_secret"), known.get("webhook_secret_previous"))))


def _bounded_key(key: str) -> str:
    """The gateway's key if it fits the column; a digest of it if somebody signed nonsense (NUL, 10 KB of text)."""
    if 0 < len(key) <= 100 and key.isascii() and key.isprintable():
        return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _insert(account: GatewayAccount, key: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Insert or ignore in one statement: of a thousand deliveries at once, one inserts and the others wait for it."""
    # A right signature around another content type is kept, but read only when a person says so.
    as_json = _is_json(headers.get("content-type", ""))
    state = EventState.STORED if as_json else EventState.PARKED
    outcome = "" if as_json else "Unreadable: it did not come as JSON. Kept unread until somebody replays it."
    kept = {name: _printable(headers[name]) for name in KEPT_HEADERS if name in headers}
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                new_public_id("evt"), account.pk, key, body, json.dumps(kept), now,
                state.value, outcome, now if as_json else None,
            ],
        )  # fmt: skip
        return cursor.fetchone() is not None


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _printable(value: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in value[:300])


@transaction.atomic
def _count_refusal(account: GatewayAccount, now: datetime) -> None:
    row = GatewayAccount.objects.filter(pk=account.pk)
    row.update(
        refused_signatures=F("refused_signatures") + 1,
        refused_signatures_total=F("refused_signatures_total") + 1,
    )
    run = row.values_list("refused_signatures", flat=True).get()
    if run < BAD_SIGNATURE_RUN:
        return
    detail = "Many webhooks in a row were refused. Compare the signing key here with the gateway's, then back-fill."
    incidents.open_incident(account.pk, Incident.Kind.BAD_SIGNATURES, now, detail=detail)


def _note_good_signature(account: GatewayAccount, now: datetime) -> None:
    """Ends a run of refusals and keeps `last_event_at`, without a write to this one busy row at each event."""
    fresh = account.last_event_at is not None and now - account.last_event_at < _FRESH
    if fresh and not account.refused_signatures:
        return
    with transaction.atomic():
        GatewayAccount.objects.filter(pk=account.pk).update(last_event_at=now, refused_signatures=0)
        if account.refused_signatures:
            incidents.close_incident(account.pk, Incident.Kind.BAD_SIGNATURES, now)
