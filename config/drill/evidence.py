"""What do the system's books, its API and the gateway's books say after a drill? Read from outside; nothing is judged here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from config.drill.client import Control, Merchant

Row = Mapping[str, Any]

_QUERIES: dict[str, LiteralString] = {
    "payments": "SELECT id, public_id, reference, state, waits_for, next_check_at, currency FROM payments_payment",
    "attempts": "SELECT payment_id, reference, state, gateway_id FROM payments_attempt",
    "operations": "SELECT public_id, payment_id, refund_id, kind, reference, state, waits_for, next_check_at"
    " FROM payments_operation",
    "refunds": "SELECT id, public_id, payment_id, amount_minor, currency, state, origin, waits_for, next_check_at"
    " FROM payments_refund",
    "movements": "SELECT gateway_id, kind, occurrence, revision, amount_minor, currency, payment_id, counts,"
    " of_captured_money, entry_source_key FROM payments_movement",
    "entries": "SELECT source_key FROM ledger_journalentry WHERE source_key LIKE 'movement:%'",
    "suspense": "SELECT a.gateway, a.currency, sum(p.amount_minor)::bigint AS amount_minor FROM ledger_posting p"
    " JOIN ledger_account a ON a.id = p.account_id WHERE a.code = '2050' GROUP BY 1, 2",
    "reviews": "SELECT r.public_id, r.kind, r.payment_id, r.gateway_id, r.held_on, r.held_minor, r.currency,"
    " g.slug AS gateway FROM payments_review r JOIN payments_gatewayaccount g ON g.id = r.gateway_account_id"
    " WHERE r.state = 'open'",
    "found_out": "SELECT DISTINCT operation_id FROM payments_transition WHERE source IN ('webhook', 'look_up')"
    " AND before ->> 'operation' IN ('sent', 'unknown') AND after ->> 'operation' NOT IN ('sent', 'unknown')",
    "events": "SELECT event_key, state, error FROM payments_inboundevent",
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
    their_movements: Sequence[Row] = ()
    their_transactions: Sequence[Row] = ()
    their_webhooks: Sequence[Row] = ()
    their_holds: Sequence[Row] = ()
    api: Mapping[str, Row] = field(default_factory=dict)  # the API's view by payment id, of the payments drilled
    answers: Mapping[str, Sequence[bytes]] = field(default_factory=dict)  # definite answers by idempotency key
    ledger_findings: Sequence[str] = ()
    sweep_failures: Mapping[str, str] = field(default_factory=dict)


def gather(database_url: str, merchant: Merchant, control: Control, *, now: datetime, ids: Sequence[str]) -> Evidence:
    """Read all of it. `now` is the moment the system believes it is."""
    evidence = Evidence(now=now, answers=dict(merchant.answers))
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # one moment for all tables
        for name, query in _QUERIES.items():
            setattr(evidence, name, connection.execute(query).fetchall())
    books = control.books()
    evidence.their_movements, evidence.their_transactions = books["movements"], books["transactions"]
    evidence.their_webhooks, evidence.their_holds = books["webhooks"], books["holds_open"]
    evidence.api = _views(merchant.get, ids)
    return evidence


def _views(get: Callable[[str], Any], ids: Sequence[str]) -> dict[str, Row]:
    with ThreadPoolExecutor(4) as readers:
        answers = readers.map(lambda payment_id: get(f"/payments/{payment_id}"), ids)
        return {payment_id: answer.body for payment_id, answer in zip(ids, answers, strict=True)}
