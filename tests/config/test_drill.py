"""Does the drill see damage? Each rule against books with one thing wrong; then small drills of real systems."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command

from config.drill.faults import STORIES, TROUBLES, UnknownFaultError, chosen_faults, plan, windows
from config.drill.invariants import RULES, judge
from config.drill.report import Report
from tests.config.drill_damage import DAMAGE, broken_ledger, sound, webhook
from tests.payments.factories import nmi_account
from tests.payments.inbox.test_live import server
from tests.payments.kills.test_doubled import celery_worker
from tests.services import ROOT
from tests.simulator_fixture import start_simulator, wait_for


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
