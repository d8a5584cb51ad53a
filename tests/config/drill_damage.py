"""Books after a drill in which everything is right, and every kind of damage that a rule has to see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from config.drill.evidence import Evidence
from config.drill.plan import Planned

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def payment(number: int, state: str, **fields: Any) -> dict[str, Any]:
    row = {
        "id": number,
        "public_id": f"pay_{number}",
        "reference": f"order-{number}",
        "state": state,
        "currency": "USD",
    }
    return {**row, "waits_for": "", "next_check_at": None, **fields}


def attempt(number: int, gateway_id: str) -> dict[str, Any]:
    row = {"id": number * 10, "payment_id": number, "number": 1, "reference": f"cf-{number}", "state": "captured"}
    return {
        **row,
        "gateway": "nmi",
        "gateway_id": gateway_id,
        "failure_class": "",
        "created_at": NOW - timedelta(hours=2),
    }


def declined_attempt(number: int, attempt: int, failure_class: str) -> dict[str, Any]:
    row = {"id": number * 10 + attempt, "payment_id": number, "number": attempt, "reference": f"cf-{number}-{attempt}"}
    began = NOW - timedelta(hours=2) + timedelta(minutes=attempt)
    return {
        **row,
        "gateway": "nmi",
        "gateway_id": "",
        "state": "declined",
        "failure_class": failure_class,
        "created_at": began,
    }


def declined_call(number: int, attempt: int, failure_class: str) -> dict[str, Any]:
    """Sent at the attempt's minute, refused half a minute later."""
    began = NOW - timedelta(hours=2) + timedelta(minutes=attempt)
    row = {"id": number * 10 + attempt, "public_id": f"op_{number}{attempt}", "payment_id": number, "kind": "sale"}
    row |= {"attempt_id": number * 10 + attempt, "refund_id": None, "reference": f"cf-{number}-{attempt}"}
    row |= {"state": "declined", "waits_for": "", "next_check_at": None, "certainty": "refused", "brand": "visa"}
    row |= {"failure_class": failure_class, "fingerprint": f"nmi:card-{number}", "planned_at": began, "sent_at": began}
    return {**row, "ended_at": began + timedelta(seconds=30)}


def planned(number: int, **fields: Any) -> Planned:
    known: dict[str, Any] = {"number": number, "reference": f"order-{number}", "payer": f"payer-{number}@example.com"}
    known |= {"amount_minor": 1000, "token": "tok_ok", "story": "sale", "trouble": None, "operation": "", "repeats": 1}
    return Planned(**{**known, **fields})


def ours(number: int | None, gateway_id: str, kind: str, minor: int, **fields: Any) -> dict[str, Any]:
    row = {"gateway_id": gateway_id, "kind": kind, "occurrence": 0, "revision": 0, "amount_minor": minor}
    row |= {"currency": "USD", "payment_id": number, "counts": True, "of_captured_money": False}
    row |= {"settlement_fee_minor": None}
    return {**row, "entry_source_key": f"movement:nmi:{gateway_id}:{kind}", **fields}


def theirs(number: int, gateway_id: str, kind: str, minor: int, **fields: Any) -> dict[str, Any]:
    row = {"gateway_id": gateway_id, "kind": kind, "amount_minor": minor, "currency": "USD", "origin": "api"}
    row |= {"payer_email": f"payer-{number}@example.com", "operation_reference": "", "original_gateway_id": ""}
    return {**row, "releases": "", **fields}


def transaction(number: int, gateway_id: str) -> dict[str, Any]:
    return {"transaction_id": gateway_id, "description": f"order-{number}"}


def review(number: int, kind: str, gateway_id: str, held_on: str = "", held_minor: int = 0) -> dict[str, Any]:
    row = {"public_id": f"rev_{number}", "kind": kind, "payment_id": number, "gateway_id": gateway_id, "gateway": "nmi"}
    return {**row, "held_on": held_on, "held_minor": held_minor, "currency": "USD" if held_on else ""}


def view(number: int, state: str, captured: int) -> dict[str, Any]:
    return {"state": state, "reference": f"order-{number}", "amount_captured_minor": captured}


def webhook(event_id: str, state: str = "delivered", note: str = "") -> dict[str, Any]:
    return {"event_id": event_id, "state": state, "note": note}


def sound() -> Evidence:
    """A sale; a voided hold; a sale refunded in part; a hold with an open case; a capture after the cancel, in suspense.

    Then a card that two gateways declined, and a row of a spreadsheet.
    """
    movements = [
        ours(1, "T1", "capture", 1000, settlement_fee_minor=59),
        ours(2, "T2", "authorisation", 500),
        ours(2, "T2", "void", 500),
        ours(3, "T3", "capture", 900),
        ours(3, "T4", "refund", 300),
        ours(4, "T5", "authorisation", 700),
        ours(5, "T6", "authorisation", 400),
        ours(5, "T6", "void", 400),
        ours(5, "T6", "capture", 400, counts=False),
    ]
    return Evidence(
        now=NOW,
        payments=[
            payment(1, "settled"),
            payment(2, "cancelled"),
            payment(3, "settled"),
            payment(4, "authorised", waits_for="operator", next_check_at=LATER),
            payment(5, "cancelled"),
            payment(6, "pending", waits_for="look_up", next_check_at=LATER),
            payment(7, "failed"),
            payment(8, "failed"),
        ],
        attempts=[
            attempt(1, "T1"), attempt(2, "T2"), attempt(3, "T3"), attempt(4, "T5"), attempt(5, "T6"),
            declined_attempt(7, 1, "soft_decline"), declined_attempt(7, 2, "soft_decline"),
            declined_attempt(8, 1, "fraud"),
        ],
        operations=[
            {"public_id": "op_1", "payment_id": 3, "refund_id": 31, "kind": "refund", "reference": "cf-back",
             "state": "succeeded", "waits_for": "", "next_check_at": None},
            {"public_id": "op_2", "payment_id": 6, "refund_id": None, "kind": "sale", "reference": "cf-6",
             "state": "unknown", "waits_for": "look_up", "next_check_at": LATER, "id": 60, "attempt_id": 60,
             "certainty": "unknown", "failure_class": "", "fingerprint": "", "sent_at": NOW},
            declined_call(7, 1, "soft_decline"), declined_call(7, 2, "soft_decline"), declined_call(8, 1, "fraud"),
        ],
        ruled_out=[
            {"operation_id": call["id"], "at": call["ended_at"]}
            for call in (declined_call(7, 1, ""), declined_call(7, 2, ""), declined_call(8, 1, ""))
        ],
        rows=[
            {"reference": "order-3", "number": 2, "state": "made", "problems": [], "payment_id": 3, "upload": "finished"}
        ],
        plans=[
            planned(1), planned(3, door="upload"), planned(7, story="declined", declined_as="soft_decline"),
            planned(8, story="declined", declined_as="fraud"),
        ],
        refunds=[
            {"id": 31, "public_id": "rfnd_31", "payment_id": 3, "amount_minor": 300, "currency": "USD",
             "state": "succeeded", "origin": "requested", "waits_for": "", "next_check_at": None},
        ],
        movements=movements,
        entries=[{"source_key": m["entry_source_key"]} for m in movements],
        suspense=[{"gateway": "nmi", "currency": "USD", "amount_minor": -400}],
        reviews=[review(4, "hold_ending", ""), review(5, "captured_after_cancel", "T6", "2050", 400)],
        events=[{"event_key": "evt-1", "state": "applied", "error": ""}],
        their_movements=[
            theirs(1, "T1", "capture", 1000),
            theirs(1, "T1", "fee", 59),
            theirs(2, "T2", "authorisation", 500),
            theirs(2, "T2", "void", 500, releases="authorisation"),
            theirs(3, "T3", "capture", 900),
            theirs(3, "T4", "refund", 300, original_gateway_id="T3", operation_reference="cf-back"),
            theirs(4, "T5", "authorisation", 700),
            theirs(5, "T6", "authorisation", 400),
            theirs(5, "T6", "void", 400, releases="authorisation"),
            theirs(5, "T6", "capture", 400, origin="dashboard"),
        ],
        their_transactions=[
            *(transaction(number, f"T{number}") for number in (1, 2, 3)),
            transaction(3, "T4"), transaction(4, "T5"), transaction(5, "T6"),
        ],
        their_webhooks=[
            webhook("evt-1"), webhook("evt-1", note="webhook_duplicate"), webhook("evt-2", state="suppressed"),
            webhook("evt-3", state="given_up", note="webhook_forged"),
        ],
        their_holds=[{"transaction_id": "T5"}],
        api={"pay_1": view(1, "settled", 1000), "pay_5": view(5, "cancelled", 0)},
        answers={"key-1": [b"{}", b"{}"], "key-2": [b"{}"]},
    )  # fmt: skip


def second_charge(e: Evidence) -> None:
    e.their_movements = [*e.their_movements, theirs(1, "T9", "capture", 1000)]
    e.their_transactions = [*e.their_transactions, transaction(1, "T9")]
    e.movements = [*e.movements, ours(1, "T9", "capture", 1000)]
    e.entries = [*e.entries, {"source_key": "movement:nmi:T9:capture"}]
    e.api = {}


def other_answer(e: Evidence) -> None:
    e.answers = {"key-1": [b'{"id": "pay_1"}', b'{"id": "pay_7"}']}


def second_payment_of_one_request(e: Evidence) -> None:
    e.payments = [*e.payments, payment(1, "failed", id=7, public_id="pay_7")]


def refund_twice(e: Evidence) -> None:
    again = theirs(3, "T7", "refund", 300, original_gateway_id="T3", operation_reference="cf-back")
    e.their_movements = [*e.their_movements, again]
    e.movements = [*e.movements, ours(3, "T7", "refund", 300)]
    e.entries = [*e.entries, {"source_key": "movement:nmi:T7:refund"}]


def refund_that_never_went(e: Evidence) -> None:
    e.their_movements = [m for m in e.their_movements if m["gateway_id"] != "T4"]
    e.movements = [m for m in e.movements if m["gateway_id"] != "T4"]
    e.entries = [entry for entry in e.entries if ":T4:" not in entry["source_key"]]


def refund_beyond(e: Evidence) -> None:
    e.their_movements = [{**m, "amount_minor": 901} if m["gateway_id"] == "T4" else m for m in e.their_movements]
    e.movements = [{**m, "amount_minor": 901} if m["gateway_id"] == "T4" else m for m in e.movements]


def forgotten_hold(e: Evidence) -> None:
    e.reviews = [r for r in e.reviews if r["kind"] != "hold_ending"]


def kept_money(e: Evidence) -> None:
    e.payments = [{**p, "state": "failed"} if p["id"] == 3 else p for p in e.payments]


def paid_for_nothing(e: Evidence) -> None:
    e.payments = [{**p, "state": "settled"} if p["id"] == 2 else p for p in e.payments]


def no_clock(e: Evidence) -> None:
    e.payments = [{**p, "next_check_at": None} if p["id"] == 6 else p for p in e.payments]


def overdue_call(e: Evidence) -> None:
    e.operations = [{**o, "next_check_at": NOW} if o["state"] == "unknown" else o for o in e.operations]


def refund_that_nobody_follows(e: Evidence) -> None:
    e.refunds = [*e.refunds, {**e.refunds[0], "id": 32, "public_id": "rfnd_32", "payment_id": 1, "state": "waiting"}]


def charge_we_do_not_know(e: Evidence) -> None:
    e.movements = [m for m in e.movements if m["gateway_id"] != "T1"]
    e.entries = [entry for entry in e.entries if ":T1:" not in entry["source_key"]]
    e.api = {}


def money_that_never_moved(e: Evidence) -> None:
    e.movements = [*e.movements, ours(None, "T8", "capture", 5)]
    e.entries = [*e.entries, {"source_key": "movement:nmi:T8:capture"}]


def other_amount(e: Evidence) -> None:
    e.movements = [{**m, "amount_minor": 501} if m["gateway_id"] == "T2" else m for m in e.movements]


def void_twice(e: Evidence) -> None:
    e.movements = [*e.movements, ours(2, "T2", "void", 500, occurrence=1, entry_source_key="movement:nmi:T2:void:1")]
    e.entries = [*e.entries, {"source_key": "movement:nmi:T2:void:1"}]


def lost_entry(e: Evidence) -> None:
    e.entries = e.entries[1:]


def entry_of_nothing(e: Evidence) -> None:
    e.entries = [*e.entries, {"source_key": "movement:nmi:T99:capture"}]


def unexplained_suspense(e: Evidence) -> None:
    e.suspense = [{**e.suspense[0], "amount_minor": -401}]


def review_of_nothing(e: Evidence) -> None:
    e.suspense = []


def broken_ledger(e: Evidence) -> None:
    e.ledger_findings = ["entry je_1 is out of balance"]


def stale_api(e: Evidence) -> None:
    e.api = {"pay_1": view(1, "captured", 1000)}


def lost_webhook(e: Evidence) -> None:
    e.their_webhooks = [*e.their_webhooks, webhook("evt-9")]


def stored_forgery(e: Evidence) -> None:
    e.events = [*e.events, {"event_key": "evt-3", "state": "applied", "error": ""}]


def poison(e: Evidence) -> None:
    e.events = [{"event_key": "evt-1", "state": "poisoned", "error": "ValueError"}]


def raising_sweep(e: Evidence) -> None:
    e.sweep_failures = {"pay_1": "KeyError"}


def other_class(e: Evidence) -> None:
    e.attempts = [{**a, "failure_class": "expired_card"} if a["payment_id"] == 7 else a for a in e.attempts]


def asked_after_never(e: Evidence) -> None:
    e.attempts = [*e.attempts, declined_attempt(8, 2, "fraud")]
    e.operations = [*e.operations, declined_call(8, 2, "fraud")]
    e.ruled_out = [*e.ruled_out, {"operation_id": 82, "at": NOW}]


def asked_beyond_the_ceiling(e: Evidence) -> None:
    many = [{**declined_call(7, 1, "soft_decline"), "id": 700 + n, "attempt_id": 0} for n in range(15)]
    e.operations = [*e.operations, *many]


def began_too_early(e: Evidence) -> None:
    e.ruled_out = [{**row, "at": NOW} if row["operation_id"] == 71 else row for row in e.ruled_out]


def forgotten_row(e: Evidence) -> None:
    e.rows = [{**row, "state": "claimed", "payment_id": None} for row in e.rows]


def other_fee(e: Evidence) -> None:
    e.movements = [{**m, "settlement_fee_minor": 60} if m["settlement_fee_minor"] else m for m in e.movements]


BOTH_BOOKS = {"every_movement_there_is_ours", "every_movement_of_ours_is_there"}
DAMAGE: list[tuple[Callable[[Evidence], None], set[str]]] = [
    (second_charge, {"charged_once_per_reference", "charged_once_per_payer"}),
    (other_answer, {"one_answer_per_key"}),
    (second_payment_of_one_request, {"one_answer_per_key"}),
    (refund_twice, {"refunded_once"}),
    (refund_that_never_went, {"refunded_once"}),
    (refund_beyond, {"refunds_within_captures"}),
    (forgotten_hold, {"no_hold_forgotten"}),
    (kept_money, {"nothing_kept_for_the_unpaid"}),
    (paid_for_nothing, {"the_paid_were_charged"}),
    (no_clock, {"every_row_has_a_next_step"}),
    (overdue_call, {"every_row_has_a_next_step"}),
    (refund_that_nobody_follows, {"every_row_has_a_next_step"}),
    (charge_we_do_not_know, {"every_movement_there_is_ours"}),
    (money_that_never_moved, {"every_movement_of_ours_is_there"}),
    (other_amount, BOTH_BOOKS),
    (void_twice, BOTH_BOOKS),
    (lost_entry, {"one_entry_per_movement"}),
    (entry_of_nothing, {"one_entry_per_movement"}),
    (unexplained_suspense, {"suspense_is_reviewed"}),
    (review_of_nothing, {"suspense_is_reviewed"}),
    (broken_ledger, {"the_ledger_verifies"}),
    (stale_api, {"the_api_says_the_same"}),
    (lost_webhook, {"every_webhook_stored_once"}),
    (stored_forgery, {"every_webhook_stored_once"}),
    (poison, {"every_webhook_stored_once"}),
    (raising_sweep, {"nothing_raised"}),
    (other_class, {"declines_end_in_their_class"}),
    (asked_after_never, {"no_call_after_never"}),
    (asked_beyond_the_ceiling, {"ceilings_are_kept"}),
    (began_too_early, {"the_next_try_waits_for_certainty"}),
    (forgotten_row, {"every_order_is_accounted_for"}),
    (other_fee, {"fees_are_the_gateways"}),
]
