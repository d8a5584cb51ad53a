"""What do the system's books, its API and the gateway's books say after a drill? Read from outside; nothing is judged here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from config.drill.client import Control, Merchant
from config.drill.plan import Planned

Row = Mapping[str, Any]

_QUERIES: dict[str, LiteralString] = {
    "payments": "SELECT id, public_id, reference, state, waits_for, next_check_at, currency FROM payments_payment",
    "attempts": "SELECT a.id, a.payment_id, a.number, a.reference, a.state, a.gateway_id, a.failure_class, a.created_at,"
    " g.slug AS gateway FROM payments_attempt a JOIN payments_gatewayaccount g ON g.id = a.gateway_account_id",
    "operations": "SELECT o.id, o.public_id, o.payment_id, o.attempt_id, o.refund_id, o.kind, o.reference, o.state,"
    " o.waits_for, o.next_check_at, o.certainty, o.failure_class, o.planned_at, o.sent_at, o.ended_at, o.fingerprint,"
    " m.brand FROM payments_operation o JOIN payments_payment p ON p.id = o.payment_id"
    " JOIN payments_paymentmethod m ON m.id = p.method_id",
    "refunds": "SELECT id, public_id, payment_id, amount_minor, currency, state, origin, waits_for, next_check_at"
    " FROM payments_refund",
    "movements": "SELECT gateway_id, kind, occurrence, revision, amount_minor, currency, payment_id, counts,"
    " of_captured_money, entry_source_key, settlement_fee_minor FROM payments_movement",
    "entries": "SELECT source_key FROM ledger_journalentry WHERE source_key LIKE 'movement:%'",
    "suspense": "SELECT a.gateway, a.currency, sum(p.amount_minor)::bigint AS amount_minor FROM ledger_posting p"
    " JOIN ledger_account a ON a.id = p.account_id WHERE a.code = '2050' GROUP BY 1, 2",
    "reviews": "SELECT r.public_id, r.kind, r.payment_id, r.gateway_id, r.held_on, r.held_minor, r.currency,"
    " g.slug AS gateway FROM payments_review r JOIN payments_gatewayaccount g ON g.id = r.gateway_account_id"
    " WHERE r.state = 'open'",
    "found_out": "SELECT DISTINCT operation_id FROM payments_transition WHERE source IN ('webhook', 'look_up')"
    " AND before ->> 'operation' IN ('sent', 'unknown') AND after ->> 'operation' NOT IN ('sent', 'unknown')",
    "ruled_out": "SELECT operation_id, min(at) AS at FROM payments_transition WHERE operation_id IS NOT NULL"
    " AND after ->> 'operation' IN ('failed', 'declined') GROUP BY 1",
    "retries": "SELECT payment_id, state, due_at FROM payments_retry",
    "rows": "SELECT r.reference, r.number, r.state, r.problems, r.payment_id, b.state AS upload FROM payments_batchrow r"
    " JOIN payments_batch b ON b.id = r.batch_id",
    "events": "SELECT event_key, state, error, encode(sha256(body), 'hex') AS digest FROM payments_inboundevent",
}


@dataclass
class Evidence:
    """Everything the invariants look at. Our rows by table; `their_*` out of the gateway's books; times of `now`."""

    now: datetime
    payments: Sequence[Row] = ()
    attempts: Sequence[Row] = ()
    operations: Sequence[Row] = ()
    refunds: Sequence[Row] = ()
    movements: Sequence[Row] = ()
    entries: Sequence[Row] = ()
    suspense: Sequence[Row] = ()
    reviews: Sequence[Row] = ()
    events: Sequence[Row] = ()
    found_out: Sequence[Row] = ()  # calls whose end was told by something else than their answer
    ruled_out: Sequence[Row] = ()  # when each call was first known to have taken nothing
    retries: Sequence[Row] = ()
    rows: Sequence[Row] = ()  # of uploads
    plans: Sequence[Planned] = ()
    settled: bool = False  # time has passed until nothing was due: the stricter rule holds
    their_movements: Sequence[Row] = ()
    their_transactions: Sequence[Row] = ()
    their_webhooks: Sequence[Row] = ()
    their_holds: Sequence[Row] = ()
    api: Mapping[str, Row] = field(default_factory=dict)  # the API's view by payment id, of the payments drilled
    answers: Mapping[str, Sequence[bytes]] = field(default_factory=dict)  # definite answers by idempotency key
    ledger_findings: Sequence[str] = ()
    sweep_failures: Mapping[str, str] = field(default_factory=dict)


def gather(
    database_url: str,
    merchant: Merchant,
    control: Control,
    *,
    gateways: Sequence[str],
    planned: Sequence[Planned],
    now: datetime,
    ids: Sequence[str],
) -> Evidence:
    """Read all of it. `now` is the moment the system believes it is."""
    evidence = Evidence(now=now, answers=dict(merchant.answers), plans=planned)
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # one moment for all tables
        for name, query in _QUERIES.items():
            setattr(evidence, name, connection.execute(query).fetchall())
    books = [control.books(gateway) for gateway in gateways]
    evidence.their_movements = [row for book in books for row in book["movements"]]
    evidence.their_transactions = [row for book in books for row in book["transactions"]]
    evidence.their_holds = [row for book in books for row in book["holds_open"]]
    told = [row for gateway in gateways for row in control.webhooks(gateway)]
    evidence.their_webhooks = _named_as_stored(told, evidence.events)
    evidence.api = _views(merchant.get, ids)
    return evidence


def _named_as_stored(told: Sequence[Row], events: Sequence[Row]) -> list[Row]:
    """A gateway without ids of events is known by what it said: the same bytes are the same event."""
    keys = {event["digest"]: event["event_key"] for event in events}
    digests = [hashlib.sha256(row["body"].encode()).hexdigest() for row in told]
    return [{**row, "event_id": keys.get(digest, row["event_id"])} for row, digest in zip(told, digests, strict=True)]


def _views(get: Callable[[str], Any], ids: Sequence[str]) -> dict[str, Row]:
    with ThreadPoolExecutor(4) as readers:
        answers = readers.map(lambda payment_id: get(f"/payments/{payment_id}"), ids)
        return {payment_id: answer.body for payment_id, answer in zip(ids, answers, strict=True)}
