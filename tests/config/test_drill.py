"""Does the drill see damage? Each rule against books with one thing wrong; then small drills of real systems."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command

from config.drill.faults import TROUBLES, UnknownFaultError, chosen_faults, windows
from config.drill.invariants import RULES, WHEN_SETTLED, judge
from config.drill.plan import DECLINES, STORIES, plan
from config.drill.report import Report
from config.drill.wishes import GATEWAYS, Outage, UnknownWishError, Wish, chosen_gateways, chosen_outage, chosen_share
from payments.gateways.registry import get_adapter
from tests.config.drill_damage import DAMAGE, broken_ledger, review, second_charge, sound, webhook
from tests.forks import Forks
from tests.payments.factories import nmi_account
from tests.payments.inbox.test_live import forked_server
from tests.payments.kills.test_doubled import celery_worker
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

    def test_a_second_charge_that_a_case_holds_is_nobodys_double_charge(self):
        evidence = sound()
        second_charge(evidence)
        evidence.reviews = [*evidence.reviews, review(1, "second_capture", "T9", "2040", 1000)]

        assert [verdict.name for verdict in judge(evidence) if verdict.missed] == []

    def test_once_time_has_passed_only_ends_and_cases_may_be_left(self):
        evidence = sound()
        evidence.settled = True

        verdict = next(v for v in judge(evidence) if v.name in WHEN_SETTLED)
        assert verdict.examples == (
            "pay_6: still pending, and no case is open",
            "op_2: still unknown, and no case is open",
        )

        evidence.reviews = [*evidence.reviews, review(6, "lookup_exhausted", "")]
        assert [v.missed for v in judge(evidence) if v.name in WHEN_SETTLED] == [0]


def wish(payments: int, seed: int, faults: str = "all", **more: Any) -> Wish:
    return Wish(payments, seed, chosen_faults(faults), 8.0, **{"gateways": GATEWAYS, **more})


class TestPlan:
    def test_the_same_seed_plans_the_same_drill_and_another_one_another(self):
        assert plan(wish(50, 1)) == plan(wish(50, 1))
        assert plan(wish(50, 1)) != plan(wish(50, 2))

    def test_two_hundred_payments_use_every_fault_every_story_every_door_and_every_gateway(self):
        planned = plan(wish(200, 1))

        aimed = {each.trouble.name for each in planned if each.trouble}
        assert aimed | {t.name for _, t in windows(chosen_faults("all"))} == {trouble.name for trouble in TROUBLES}
        assert {each.story for each in planned} == set(STORIES)
        assert {each.door for each in planned} == {"api", "upload", "merchant"}
        assert {each.gateway for each in planned} == set(GATEWAYS)

    def test_a_fault_is_aimed_at_a_call_that_its_payment_makes_at_a_gateway_that_knows_it(self):
        for each in plan(wish(300, 5)):
            assert each.gateway in STORIES[each.story].gateways
            if each.trouble is not None:
                assert each.operation in STORIES[each.story].operations
                assert each.operation in each.trouble.operations
                assert each.gateway in each.trouble.gateways

    def test_references_and_payers_are_each_payments_own(self):
        planned = plan(wish(100, 1, "none"))

        assert len({each.reference for each in planned}) == len({each.payer for each in planned}) == 100
        assert [each for each in planned if each.trouble] == []

    def test_the_wanted_share_declines_in_six_classes(self):
        planned = plan(wish(1000, 3, decline_rate=0.4))

        declined = [each for each in planned if each.declined_as]
        assert 360 < len(declined) < 440
        assert {each.declined_as for each in declined} == set(DECLINES)
        assert [each for each in plan(wish(100, 3, decline_rate=0.0)) if each.declined_as] == []

    @pytest.mark.parametrize("gateway", GATEWAYS)
    def test_a_card_declines_in_its_class_by_the_gateways_own_sheet(self, gateway: str):
        sheet = get_adapter(gateway).codes
        for name, cards in DECLINES.items():
            code = cards[gateway].partition("+")[0]
            assert (sheet.get(code) or sheet[f"refusal:{code}"]).failure_class == name

    def test_one_gateway_alone_is_drilled_with_what_it_can_do(self):
        planned = plan(wish(300, 2, gateways=("nmi",)))

        assert {each.gateway for each in planned} == {"nmi"}
        assert {each.wanted for each in planned} == {""}
        assert not any(each.asks_payer for each in planned)

    def test_a_short_drill_has_each_window_at_one_gateway_a_long_one_at_all(self):
        names = chosen_faults("outage,lookup_down")

        assert [gateway for gateway, _ in windows(names, GATEWAYS, 40)] == ["nmi", "convesiopay"]
        assert len(windows(names, GATEWAYS, 500)) == 6

    def test_names_are_taken_apart_and_an_unknown_one_is_refused(self):
        assert chosen_faults("none") == frozenset()
        assert chosen_faults("timeout, kill_worker") == {"timeout", "kill_worker"}
        with pytest.raises(UnknownFaultError, match="no fault 'rain'"):
            chosen_faults("timeout,rain")


class TestWishes:
    def test_gateways_keep_the_order_in_which_they_are_named(self):
        assert chosen_gateways("stripe, nmi") == ("stripe", "nmi")

    @pytest.mark.parametrize(
        ("text", "words"), [("nmi,paypal", "no gateway 'paypal'"), (",", "No gateway"), ("nmi,nmi", "named twice")]
    )
    def test_a_gateway_that_is_none_is_refused(self, text: str, words: str):
        with pytest.raises(UnknownWishError, match=words):
            chosen_gateways(text)

    def test_an_outage_is_a_gateway_and_a_part_of_the_payments(self):
        outage = chosen_outage("nmi@40%-70%", GATEWAYS)

        assert outage == Outage("nmi", 40, 70)
        assert outage.numbers(500) == (200, 350)
        assert str(outage) == "nmi@40%-70%"
        assert chosen_outage("", GATEWAYS) is None

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("nmi", "written like nmi@40%-70%"),
            ("nmi@40-70", "written like"),
            ("nmi@70%-40%", "ends after it begins"),
            ("nmi@40%-140%", "100% at the latest"),
            ("paypal@1%-2%", "drilled are nmi, convesiopay, stripe"),
        ],
    )
    def test_an_outage_that_can_not_be_is_refused(self, text: str, words: str):
        with pytest.raises(UnknownWishError, match=words):
            chosen_outage(text, GATEWAYS)

    def test_a_share_is_a_number_from_nought_to_one(self):
        assert (chosen_share("0.4"), chosen_share("")) == (0.4, None)
        for text in ("40%", "1.5", "-0.1", "nan"):
            with pytest.raises(UnknownWishError, match="from 0 to 1"):
                chosen_share(text)


class TestCommand:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"faults": "rain"}, "no fault 'rain'"),
            ({"payments": 0}, "above zero"),
            ({"url": "http://127.0.0.1:1"}, "go together"),
            ({"gateways": "paypal"}, "no gateway 'paypal'"),
            ({"decline_rate": "most"}, "share from 0 to 1"),
            ({"gateways": "stripe", "outage": "nmi@10%-20%"}, "drilled are stripe"),
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
            payments=6, seed=1, gateways=["nmi"], decline_rate=None, outage=None, settled=False, attempts={}, declines={},
            failovers=0, retries={}, faults=[], seconds=1.0, simulated_days=6.5, states={"settled": 2}, cases={}, done={},
            struck={}, statuses={}, notes={"The worker was killed.": 2}, invariants=judge(evidence),
        )  # fmt: skip

        assert told.missed == 1
        assert told.as_json()["ok"] is False
        assert "verify_ledger: entry je_1 is out of balance" in told.as_text()
        assert "2 × The worker was killed." in told.as_text()
        assert told.as_text().endswith("1 invariants were broken.")


@pytest.mark.slow
class TestRealDrills:
    """The two that end otherwise. One that keeps every promise, of a system of its own, is the last step of `.ci/run`."""

    def test_a_drill_that_is_stopped_takes_everything_it_started_with_it(self, forks: Forks, tmp_path: Path):
        """In the middle of the start: all its processes are there, and none of them listens to a polite word yet."""
        with (tmp_path / "said").open("w") as said:
            process = forks.start(
                "manage", "drill", "--payments", "50", stdout=said.fileno(), stderr=said.fileno(), TMPDIR=str(tmp_path)
            )
        wait_for(lambda: "simulator ready" in (tmp_path / "said").read_text() or process.poll() is not None, 120)
        assert process.poll() is None, (tmp_path / "said").read_text()
        children = psutil.Process(process.pid).children(recursive=True)
        assert {"simulator", "granian", "worker", "beat"} <= {word for child in children for word in child.cmdline()}
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)

        assert code == 2
        assert "stopped before its verdict" in (tmp_path / "said").read_text()
        assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
        assert [*tmp_path.glob("counterfoil-drill-*")] == []

    @pytest.mark.django_db(transaction=True)
    def test_attached_to_a_system_whose_gateway_keeps_other_books_it_says_so_and_ends_with_one(
        self, forks: Forks, free_port: int, tmp_path: Path
    ):
        nmi_account()
        asked, other = start_simulator(webhooks=f"http://127.0.0.1:{free_port}/webhooks"), start_simulator()
        gateway = {
            "GATEWAY_NMI_BASE_URL": asked.nmi_url,
            "GATEWAY_NMI_SECURITY_KEY": "demo-nmi-security-key",
            "GATEWAY_NMI_WEBHOOK_SECRET": "demo-nmi-webhook-secret",
        }
        try:
            with ExitStack() as stack:
                stack.enter_context(forked_server(forks, free_port, tmp_path / "web.log", **gateway))
                stack.enter_context(celery_worker(forks, tmp_path / "worker.log", "--pool", "solo", **gateway))
                told, said = (stack.enter_context((tmp_path / name).open("w")) for name in ("told", "said"))
                code = forks.start(
                    "manage", "drill", "--json", "--payments", "3", "--faults", "kill_worker",
                    "--url", f"http://127.0.0.1:{free_port}", "--simulator", other.url,
                    stdout=told.fileno(), stderr=said.fileno(), **gateway,
                ).wait(300)  # fmt: skip
        finally:
            asked.stop()
            other.stop()

        assert code == 1, (tmp_path / "said").read_text()
        report = json.loads((tmp_path / "told").read_text())
        broken = {i["name"] for i in report["invariants"] if i["missed"]}
        assert "every_movement_of_ours_is_there" in broken
        assert any("No kills" in note for note in report["notes"])
