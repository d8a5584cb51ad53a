"""Was this request answered before? A key's first answer is stored in the transaction of its work, then only replayed.

It knows nothing of what is executed: a use-case hands itself in. What was never executed (unreadable or invalid input,
missing rights) is not stored here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from payments.errors import Forbidden, PaymentsError
from payments.models import IdempotencyRecord
from payments.queries.problems import PROBLEM_TYPE, problem_view
from payments.services.tokens import Caller

KEPT = timedelta(days=90)


class KeyReused(PaymentsError):
    """The key belongs to an earlier request with another body."""

    code, status = "idempotency_key_reused", 422


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """One POST: who asks, where, under which key, and the digest of what was sent."""

    caller: Caller
    method: str
    path: str
    key: str
    request_digest: str


@dataclass(frozen=True, slots=True)
class Executed:
    """What a use-case answers: a view, and the payment it is about."""

    status: int
    view: dict[str, object]
    payment_id: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The stored answer, byte for byte. `payment` is the public id of the payment it is about, if there is one."""

    status: int
    content_type: str
    body: bytes
    payment: str | None
    replayed: bool


@transaction.atomic
def answer_once(call: KeyedCall, execute: Callable[[], Executed], *, now: datetime) -> Answer:
    """This function will execute the call under its key once, and give the first answer ever after.

    A refusal of the use-case is an answer too: its work is undone, the refusal is kept. Two callers at once: the second
    waits in the insert until the first has committed, then replays.
    Raises: KeyReused; Forbidden, which stores nothing. Idempotent on: token, method, path, key. Writes: the record.
    """
    fresh = IdempotencyRecord(
        token_id=call.caller.token_id,
        method=call.method,
        path=call.path,
        key=call.key,
        request_digest=call.request_digest,
        created_at=now,
    )
    IdempotencyRecord.objects.bulk_create([fresh], ignore_conflicts=True)
    record = IdempotencyRecord.objects.select_related("payment").get(
        token=call.caller.token_id, method=call.method, path=call.path, key=call.key
    )
    if record.answer is not None:  # only its own transaction ever sees a record without an answer
        return _replay(record, call)
    _fill(record, execute)
    record.save()
    return _answer(record, replayed=False)


def forget_old_answers(now: datetime, *, limit: int = 10_000) -> int:
    """This function will delete answers older than 90 days, at most `limit`, and say how many. Writes: records."""
    old = IdempotencyRecord.objects.filter(created_at__lt=now - KEPT).order_by("created_at").values("pk")[:limit]
    deleted, _ = IdempotencyRecord.objects.filter(pk__in=old).delete()
    return deleted


def _fill(record: IdempotencyRecord, execute: Callable[[], Executed]) -> None:
    try:
        with transaction.atomic():  # a refusal takes back what the use-case did, and leaves the record
            executed = execute()
    except Forbidden:
        raise
    except PaymentsError as refusal:
        record.status, record.content_type = refusal.status, PROBLEM_TYPE
        record.answer = as_json(problem_view(refusal))
        return
    record.status, record.content_type = executed.status, "application/json"
    record.answer = as_json(executed.view)
    record.payment_id = executed.payment_id


def _replay(record: IdempotencyRecord, call: KeyedCall) -> Answer:
    if record.request_digest != call.request_digest:
        raise KeyReused(
            "This key was used before with another body. Use a new key for a new request.", field="Idempotency-Key"
        )
    return _answer(record, replayed=True)


def _answer(record: IdempotencyRecord, *, replayed: bool) -> Answer:
    assert record.status is not None
    assert record.answer is not None
    payment = record.payment.public_id if record.payment else None
    return Answer(record.status, record.content_type, bytes(record.answer), payment, replayed)


def as_json(view: dict[str, object]) -> bytes:
    """Compact UTF-8; half a surrogate pair, which a refusal may quote, stays the JSON escape it came as."""
    return json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
