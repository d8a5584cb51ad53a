"""What does draining the inbox to both books cost beside hand-written SQL? Contenders take turns in one run; prints JSON.

    python -m bench.inbox_drain [--rounds 5] [--events 200]

The same events on payments prepared alike: `drain_inbox` (verify nothing, translate, lock, decide, move the machines, post, log)
against psycopg doing the same writes by hand, one transaction an event. A database of its own; fsync off weighs code, not disk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from tests import services  # before Django: it decides the database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
for field in ("SECURITY_KEY", "WEBHOOK_SECRET"):
    os.environ.setdefault(f"GATEWAY_NMI_{field}", "bench")
os.environ.setdefault("GATEWAY_NMI_BASE_URL", "http://127.0.0.1:9/nmi")
os.environ.setdefault("LOG_LEVEL", "WARNING")

BY_HAND = """
SELECT body FROM inboundevent WHERE id = %(event)s FOR UPDATE;
SELECT id FROM payment WHERE id = %(payment)s FOR UPDATE;
WITH header AS (
  INSERT INTO ledger_journalentry (public_id, source_key, content_hash, subject, description, actor, occurred_at, posted_at,
                                   booked_on)
  VALUES (%(key)s, %(key)s, repeat('0', 64), %(payment)s::text, 'capture', '', now(), now(), current_date) RETURNING id)
INSERT INTO ledger_posting (entry_id, account_id, currency, amount_minor, match_key, booked_on, posted_at)
SELECT header.id, leg.account, 'USD', leg.amount, 'pay_1', current_date, now()
  FROM header, (VALUES (%(debit)s::bigint, 1234::bigint), (%(credit)s, -1234)) AS leg (account, amount);
INSERT INTO movement (public_id, gateway_account_id, gateway_id, kind, occurrence, revision, payment_id, attempt_id,
                      operation_id, amount_minor, currency, of_captured_money, counts, occurred_at, posted_at,
                      entry_source_key, batch_id, settlement_id, settlement_currency)
VALUES (%(key)s, %(account)s, %(key)s, 'capture', 0, 0, %(payment)s, %(attempt)s, %(operation)s, 1234, 'USD', false, true,
        now(), now(), %(key)s, '', '', '');
UPDATE operation SET state = 'succeeded', certainty = 'taken', gateway_id = %(key)s, ended_at = now(), waits_for = '',
                     next_check_at = NULL WHERE id = %(operation)s;
UPDATE attempt SET state = 'captured', gateway_id = %(key)s WHERE id = %(attempt)s;
UPDATE payment SET state = 'captured', waits_for = '', next_check_at = NULL, version = version + 1, updated_at = now()
 WHERE id = %(payment)s;
INSERT INTO transition (payment_id, operation_id, event_id, at, occurred_at, fact, source, verdict, because, inputs, before,
                        after, actor, entry_source_key)
VALUES (%(payment)s, %(operation)s, %(event)s, now(), now(), 'capture', 'webhook', 'apply', 'captured', '{}', '{}', '{}', '',
        %(key)s);
UPDATE inboundevent SET state = 'applied', handled_at = now(), next_check_at = NULL WHERE id = %(event)s;
"""
for table in ("inboundevent", "payment", "movement", "operation", "attempt", "transition"):
    for verb in ("FROM", "INTO", "UPDATE"):
        BY_HAND = BY_HAND.replace(f"{verb} {table} ", f"{verb} payments_{table} ")


@dataclass(frozen=True)
class Prepared:
    """One event and what it is about."""

    event: int
    payment: int
    attempt: int
    operation: int
    account: int


def main() -> None:
    options = _arguments()
    services.make_database()
    try:
        import django

        django.setup()
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as plain:
            print(json.dumps(measure(plain, options.rounds, options.events), indent=2))
    finally:
        from django.db import connections

        connections.close_all()
        services.drop_database()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=200)
    return parser.parse_args()


def measure(plain: psycopg.Connection[tuple[object, ...]], rounds: int, events: int) -> dict[str, object]:
    """Events a second of each, and the median of the ratios within a round; the first round warms up."""
    service: list[float] = []
    by_hand: list[float] = []
    for number in range(rounds + 1):
        drained = _drain(_prepare(events))
        written = _by_hand(plain, _prepare(events))
        if number:
            service.append(drained)
            by_hand.append(written)
    return {
        "events_a_second": {
            "drain_inbox": round(statistics.median(service), 1),
            "by_hand": round(statistics.median(by_hand), 1),
        },
        "speed_against_by_hand": round(statistics.median(a / b for a, b in zip(service, by_hand, strict=True)), 3),
        "rounds": rounds,
        "events_a_round": events,
    }


def _prepare(events: int) -> list[Prepared]:
    """Payments whose sale was sent and whose answer never came, and a stored webhook for each."""
    from payments.models import InboundEvent, Operation
    from payments.services import execution, sending
    from payments.services.inbox import store_event
    from tests.payments.factories import Clock, new_payment, nmi_account
    from tests.payments.inbox.deliveries import deliver, transaction_event

    clock, rows = Clock(), []
    account = nmi_account()
    for _ in range(events):
        payment = new_payment(clock, amount_minor=1234)
        while (step := execution._next_step(payment.pk, clock())) and step.operation_id is None:  # noqa: SLF001
            pass
        assert step is not None and step.operation_id is not None
        sending._start(step.operation_id, clock())  # noqa: SLF001
        operation = Operation.objects.get(pk=step.operation_id)
        body = transaction_event("sale", f"T{operation.pk}", operation.reference, amount="12.34")
        sent = deliver(body, secret="bench")
        store_event("nmi", {name.lower(): value for name, value in sent.headers.items()}, sent.body, now=clock())
        event = InboundEvent.objects.latest("id")
        rows.append(Prepared(event.pk, payment.pk, operation.attempt_id, operation.pk, account.pk))
    return rows


def _drain(rows: list[Prepared]) -> float:
    from payments.models import InboundEvent
    from payments.services.inbox import drain_inbox

    started = time.perf_counter()
    drain_inbox(lambda: datetime.now(UTC), limit=len(rows))
    spent = time.perf_counter() - started
    applied = InboundEvent.objects.filter(pk__in=[row.event for row in rows], state="applied").count()
    assert applied == len(rows), f"only {applied} of {len(rows)} were applied"
    return len(rows) / spent


def _by_hand(plain: psycopg.Connection[tuple[object, ...]], rows: list[Prepared]) -> float:
    found = plain.execute("SELECT code, id FROM ledger_account WHERE code IN ('1110', '2020')").fetchall()
    accounts = {str(code): key for code, key in found}
    statements = [statement for statement in BY_HAND.split(";") if statement.strip()]
    started = time.perf_counter()
    for row in rows:
        values = {**row.__dict__, "key": f"hand{row.event}", "debit": accounts["1110"], "credit": accounts["2020"]}
        with plain.transaction():
            for statement in statements:
                plain.execute(statement, values)
    return len(rows) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
