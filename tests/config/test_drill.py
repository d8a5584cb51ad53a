"""Does the drill see damage? Each rule against books with one thing wrong; then small drills of real systems."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command

from config.drill.evidence import Evidence
from config.drill.faults import STORIES, TROUBLES, UnknownFaultError, chosen_faults, plan, windows
from config.drill.invariants import RULES, judge
from config.drill.report import Report
from tests.payments.factories import nmi_account
from tests.payments.inbox.test_live import server
from tests.payments.kills.test_doubled import celery_worker
from tests.services import ROOT
from tests.simulator_fixture import start_simulator, wait_for

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
    return {"payment_id": number, "reference": f"cf-{number}", "state": "captured", "gateway_id": gateway_id}


def ours(number: int | None, gateway_id: str, kind: str, minor: int, **fields: Any) -> dict[str, Any]:
    row = {"gateway_id": gateway_id, "kind": kind, "occurrence": 0, "revision": 0, "amount_minor": minor}
    row |= {"currency": "USD", "payment_id": number, "counts": True, "of_captured_money": False}
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
    """A sale; a voided hold; a sale refunded in part; a hold with an open case; a capture after the cancel, in suspense."""
    movements = [
        ours(1, "T1", "capture", 1000),
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
        ],
        attempts=[attempt(1, "T1"), attempt(2, "T2"), attempt(3, "T3"), attempt(4, "T5"), attempt(5, "T6")],
        operations=[
            {"public_id": "op_1", "payment_id": 3, "refund_id": 31, "kind": "refund", "reference": "cf-back",
             "state": "succeeded", "waits_for": "", "next_check_at": None},
            {"public_id": "op_2", "payment_id": 6, "refund_id": None, "kind": "sale", "reference": "cf-6",
             "state": "unknown", "waits_for": "look_up", "next_check_at": LATER},
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
]


class TestInvariants:
    def test_sound_books_break_no_rule_and_every_rule_looks_at_something(self):
        verdicts = judge(sound())

        assert [verdict for verdict in verdicts if verdict.missed] == []
        assert [verdict.name for verdict in verdicts if not verdict.checked] == []

    @pytest.mark.parametrize(("damage", "broken"), DAMAGE, ids=lambda part: getattr(part, "__name__", ""))
    def test_damage_breaks_exactly_the_rule_that_is_about_it(self, damage, broken: set[str]):
        evidence = sound()
        damage(evidence)

        assert {verdict.name for verdict in judge(evidence) if verdict.missed} == broken

    def test_every_rule_has_damage_that_breaks_it(self):
        assert set().union(*(broken for _, broken in DAMAGE)) == set(RULES)

    def test_a_miss_is_counted_and_named_with_at_most_five_examples(self):
        evidence = sound()
        evidence.their_webhooks = [webhook(f"evt-{number}") for number in range(10, 17)]

        verdict = next(v for v in judge(evidence) if v.name == "every_webhook_stored_once")

        assert (verdict.checked, verdict.missed) == (7, 7)
        assert verdict.examples == tuple(f"evt-{number}: stored 0 times" for number in range(10, 15))


class TestPlan:
    def test_the_same_seed_plans_the_same_drill_and_another_one_another(self):
        names = chosen_faults("all")

        assert plan(50, 1, names) == plan(50, 1, names)
        assert plan(50, 1, names) != plan(50, 2, names)

    def test_two_hundred_payments_use_every_fault_and_every_story(self):
        planned = plan(200, 1, chosen_faults("all"))

        aimed = {each.trouble.name for each in planned if each.trouble} | {
            t.name for t in windows(chosen_faults("all"))
        }
        assert aimed == {trouble.name for trouble in TROUBLES}
        assert {each.story for each in planned} == set(STORIES)

    def test_a_fault_is_aimed_at_a_call_that_its_payment_makes(self):
        for each in plan(300, 5, chosen_faults("all")):
            if each.trouble is not None:
                assert each.operation in STORIES[each.story][1]
                assert each.operation in each.trouble.operations

    def test_references_and_payers_are_each_payments_own(self):
        planned = plan(100, 1, frozenset())

        assert len({each.reference for each in planned}) == len({each.payer for each in planned}) == 100
        assert [each for each in planned if each.trouble] == []

    def test_names_are_taken_apart_and_an_unknown_one_is_refused(self):
        assert chosen_faults("none") == frozenset()
        assert chosen_faults("timeout, kill_worker") == {"timeout", "kill_worker"}
        with pytest.raises(UnknownFaultError, match="no fault 'rain'"):
            chosen_faults("timeout,rain")


class TestCommand:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"faults": "rain"}, "no fault 'rain'"),
            ({"payments": 0}, "above zero"),
            ({"url": "http://127.0.0.1:1"}, "go together"),
        ],
    )
    def test_a_wish_that_makes_no_sense_is_refused_before_anything_starts(self, options: dict[str, Any], words: str):
        with pytest.raises(CommandError, match=words) as refused:
            call_command("drill", **options)
        assert refused.value.returncode == 2

    def test_the_report_counts_broken_invariants_and_names_them_in_the_table(self):
        evidence = sound()
        broken_ledger(evidence)
        told = Report(
            payments=6, seed=1, faults=[], seconds=1.0, simulated_days=6.5, states={"settled": 2}, cases={}, done={},
            struck={}, statuses={}, notes={"The worker was killed.": 2}, invariants=judge(evidence),
        )  # fmt: skip

        assert told.missed == 1
        assert told.as_json()["ok"] is False
        assert "verify_ledger: entry je_1 is out of balance" in told.as_text()
        assert "2 × The worker was killed." in told.as_text()
        assert told.as_text().endswith("1 invariants were broken.")


def run_drill(env: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the report, and what was said on the way."""
    ran = subprocess.run(
        [sys.executable, "manage.py", "drill", "--json", *arguments],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    return ran.returncode, json.loads(ran.stdout or "{}"), ran.stderr


@pytest.mark.slow
class TestRealDrills:
    def test_a_small_drill_of_a_system_of_its_own_keeps_every_promise(self, live_env: dict[str, str]):
        faults = "lost_response,dropped_request,webhook_duplicate,webhook_missing,kill_worker,restart_database"

        code, told, said = run_drill(live_env, "--payments", "10", "--seed", "3", "--faults", faults)

        assert [i for i in told.get("invariants", []) if i["missed"]] == [], said
        assert (code, told["ok"]) == (0, True), said
        assert sum(told["states"].values()) == 10
        assert {i["name"] for i in told["invariants"]} == set(RULES)
        assert any("killed" in note for note in told["notes"])
        assert any("restarted" in note for note in told["notes"])

    def test_a_drill_that_is_stopped_takes_everything_it_started_with_it(
        self, live_env: dict[str, str], tmp_path: Path
    ):
        env = {**live_env, "TMPDIR": str(tmp_path)}
        with (tmp_path / "said").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "drill", "--payments", "50"],
                cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
            wait_for(lambda: "web ready" in (tmp_path / "said").read_text(), 60)
            children = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            code = process.wait(60)

        assert code == 2
        assert "stopped before its verdict" in (tmp_path / "said").read_text()
        assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
        assert [*tmp_path.glob("counterfoil-drill-*")] == []

    @pytest.mark.django_db(transaction=True)
    def test_attached_to_a_system_whose_gateway_keeps_other_books_it_says_so_and_ends_with_one(
        self, live_env: dict[str, str], free_port: int, tmp_path: Path
    ):
        nmi_account()
        asked, other = start_simulator(webhooks=f"http://127.0.0.1:{free_port}/webhooks"), start_simulator()
        env = {
            **live_env,
            "DEMO": "1",  # a production start would be refused for the suite's fast password hasher
            "GATEWAY_NMI_BASE_URL": asked.nmi_url,
            "GATEWAY_NMI_SECURITY_KEY": "demo-nmi-security-key",
            "GATEWAY_NMI_WEBHOOK_SECRET": "demo-nmi-webhook-secret",
        }
        try:
            with server(free_port, env, tmp_path / "web.log"), celery_worker(env, tmp_path / "worker.log"):
                code, told, said = run_drill(
                    env, "--payments", "3", "--faults", "kill_worker", "--url", f"http://127.0.0.1:{free_port}",
                    "--simulator", other.url,
                )  # fmt: skip
        finally:
            asked.stop()
            other.stop()

        assert code == 1, said
        broken = {i["name"] for i in told["invariants"] if i["missed"]}
        assert "every_movement_of_ours_is_there" in broken
        assert any("No kills" in note for note in told["notes"])
