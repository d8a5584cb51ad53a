"""Does each fault strike as its line in the catalogue says, and only whom it is aimed at?"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from simulator.faults import CATALOGUE
from tests.simulator.conftest import Listener, Nmi
from tests.simulator_fixture import SimulatorError, start_simulator, wait_for

CUT = (httpx.RemoteProtocolError, httpx.ReadError)


class TestTroubleOnTheWire:
    @pytest.mark.parametrize(("fault", "happened"), [("lost_response", 1), ("dropped_request", 0)])
    def test_the_connection_is_cut(self, nmi: Nmi, fault: str, happened: int) -> None:
        nmi.simulator.fault(fault, "sale")

        with pytest.raises(CUT):
            nmi.sale("ref-1")

        assert len(nmi.simulator.movements("ref-1")) == happened
        assert nmi.sale("ref-2")["response_code"] == "100"

    @pytest.mark.parametrize(
        ("fault", "status", "page", "happened"),
        [
            ("server_error", 500, "500 Internal Server Error", 0),
            ("server_error_after", 500, "500 Internal Server Error", 1),
            ("html_body", 200, "Scheduled maintenance", 0),
            ("html_body_after", 200, "Scheduled maintenance", 1),
            ("empty_body", 200, "", 0),
            ("empty_body_after", 200, "", 1),
            ("rate_limited", 429, "429 Too Many Requests", 0),
        ],
    )
    def test_another_answer_comes(self, nmi: Nmi, fault: str, status: int, page: str, happened: int) -> None:
        nmi.simulator.fault(fault, "sale")

        answer = nmi.raw(type="sale", payment_token="nmi_tok_ok", amount="1.00", orderid="ref-1")

        assert answer.status_code == status
        assert page in answer.text
        assert bool(answer.text) is bool(page)
        assert len(nmi.simulator.movements("ref-1")) == happened

    @pytest.mark.parametrize(("fault", "happened"), [("timeout", 0), ("timeout_after", 1)])
    def test_no_answer_comes(self, nmi: Nmi, fault: str, happened: int) -> None:
        nmi.simulator.fault(fault, "sale")
        nmi.client.timeout = httpx.Timeout(60, read=0.3)

        with pytest.raises(httpx.ReadTimeout):
            nmi.sale("ref-1")

        wait_for(lambda: nmi.simulator.faults()["struck"] == {fault: 1})  # a slow machine had not even read it
        wait_for(lambda: len(nmi.simulator.movements("ref-1")) == happened)

    def test_slow_answers_late_but_has_happened_before(self, nmi: Nmi) -> None:
        nmi.simulator.fault("slow:0.5", "sale")

        assert nmi.sale("ref-1")["response_code"] == "100"

        answered = datetime.now(UTC)
        [movement] = nmi.simulator.movements("ref-1")
        assert answered - datetime.fromisoformat(movement["occurred_at"]) >= timedelta(seconds=0.5)

    def test_an_outage_resets_every_request_until_it_is_deleted(self, nmi: Nmi) -> None:
        nmi.simulator.fault("outage")

        for reference in ("ref-1", "ref-2"):
            with pytest.raises(httpx.ReadError):
                nmi.sale(reference)
        with pytest.raises(httpx.ReadError):
            nmi.query(order_id="ref-1")
        assert nmi.simulator.clear_faults(fault="outage") == 1

        assert nmi.sale("ref-3")["response_code"] == "100"
        assert [movement["reference"] for movement in nmi.simulator.movements()] == ["ref-3"]

    def test_a_late_authorisation_is_absent_first_and_taken_later(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("late_authorisation:300", "sale")

        with pytest.raises(CUT):
            nmi.sale("ref-1")
        assert "<nm_response/>" in nmi.query(order_id="ref-1")
        assert nmi.simulator.books()["jobs_waiting"] == 1
        nmi.simulator.act("advance_clock", seconds=301)
        nmi.simulator.wait_until_quiet()

        [movement] = nmi.simulator.movements("ref-1")
        assert (movement["kind"], movement["amount_minor"]) == ("capture", 1234)
        assert listener.types() == ["transaction.sale.success"]


class TestOutcomes:
    @pytest.mark.parametrize(
        ("fault", "code"), [("decline:202", "202"), ("decline:fraud", "253"), ("decline:301", "301")]
    )
    def test_decline_refuses_a_good_card(self, nmi: Nmi, fault: str, code: str) -> None:
        nmi.simulator.fault(fault, "sale")

        assert nmi.sale("ref-1")["response_code"] == code
        assert nmi.simulator.movements() == []
        assert nmi.sale("ref-2")["response_code"] == "100"

    @pytest.mark.parametrize("operation", ["capture", "void"])
    def test_decline_of_a_follow_up_leaves_the_hold(self, nmi: Nmi, operation: str) -> None:
        held = nmi.auth("ref-1")["transactionid"]
        nmi.simulator.fault("decline:200", operation)

        answer = nmi.transact(type=operation, transactionid=held, amount="1.00")

        assert (answer["response"], answer["response_code"], answer["transactionid"]) == ("2", "200", held)
        assert len(nmi.simulator.books("ref-1")["holds_open"]) == 1
        assert nmi.transact(type=operation, transactionid=held, amount="1.00")["response_code"] == "100"

    def test_decline_of_a_refund_gives_nothing_back(self, nmi: Nmi) -> None:
        sold = nmi.sale("ref-1")["transactionid"]
        nmi.simulator.act("batch_settle")
        nmi.simulator.fault("decline:400", "refund")

        refused = nmi.transact(type="refund", transactionid=sold)

        assert refused["response_code"] == "400"
        assert nmi.transact(type="refund", transactionid=sold)["response_code"] == "100"
        assert [m["kind"] for m in nmi.simulator.movements("ref-1")] == ["capture", "refund"]

    def test_duplicate_names_another_payments_transaction(self, nmi: Nmi) -> None:
        other = nmi.sale("ref-1")["transactionid"]
        nmi.simulator.fault("duplicate", "sale")

        answer = nmi.sale("ref-2")

        assert (answer["response"], answer["response_code"], answer["transactionid"]) == ("3", "300", "")
        assert answer["responsetext"] == f"Duplicate transaction REFID:{other}"
        assert nmi.simulator.movements("ref-2") == []

    def test_duplicate_names_what_it_is_told_to(self, nmi: Nmi) -> None:
        nmi.simulator.fault("duplicate:555", "sale")

        assert nmi.sale("ref-1")["responsetext"] == "Duplicate transaction REFID:555"

    @pytest.mark.parametrize(
        ("fault", "told"), [("amount_off:-100", "11.34"), ("amount_off:7", "12.41"), ("amount_off:7:silent", None)]
    )
    def test_amount_off_takes_another_amount(self, nmi: Nmi, fault: str, told: str | None) -> None:
        nmi.simulator.fault(fault, "sale")

        answer = nmi.sale("ref-1", "12.34")

        assert (answer["response_code"], answer.get("amount_authorized")) == ("100", told)
        expected = 1134 if "-" in fault else 1241
        assert [m["amount_minor"] for m in nmi.simulator.movements("ref-1")] == [expected]
        assert f"<amount>{expected / 100:.2f}</amount>" in nmi.query(order_id="ref-1")

    def test_currency_off_takes_another_currency(self, nmi: Nmi) -> None:
        nmi.simulator.fault("currency_off:EUR", "sale")

        nmi.sale("ref-1", currency="USD")

        assert [m["currency"] for m in nmi.simulator.movements("ref-1")] == ["EUR"]
        assert "<currency>EUR</currency>" in nmi.query(order_id="ref-1")

    def test_a_communication_error_has_taken_the_money(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("communication_error", "sale")

        answer = nmi.sale("ref-1")
        nmi.simulator.wait_until_quiet()

        assert (answer["response"], answer["response_code"]) == ("3", "420")
        assert len(nmi.simulator.movements("ref-1")) == 1
        assert sorted(listener.types()) == ["transaction.sale.success", "transaction.sale.unknown"]


class TestLookUps:
    def test_lag_hides_a_new_transaction_for_its_time(self, nmi: Nmi) -> None:
        nmi.simulator.fault("lookup_lag:60", "sale")
        sold = nmi.sale("ref-1")["transactionid"]

        assert "<nm_response/>" in nmi.query(order_id="ref-1")
        assert "<nm_response/>" in nmi.query(transaction_id=sold)
        assert "<nm_response/>" in nmi.query()
        nmi.simulator.act("advance_clock", seconds=61)

        assert sold in nmi.query(order_id="ref-1")

    def test_lag_of_a_capture_shows_the_hold_as_it_stood(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1")["transactionid"]
        nmi.simulator.fault("lookup_lag:60", "capture")
        nmi.transact(type="capture", transactionid=held, amount="1.00")

        assert "<condition>pending</condition>" in nmi.query(order_id="ref-1")
        nmi.simulator.act("advance_clock", seconds=61)
        assert "<condition>pendingsettlement</condition>" in nmi.query(order_id="ref-1")

    def test_lag_of_a_query_hides_what_is_younger(self, nmi: Nmi) -> None:
        nmi.sale("ref-1")
        nmi.simulator.fault("lookup_lag:60", "query")

        assert "<nm_response/>" in nmi.query(order_id="ref-1")
        assert "ref-1" in nmi.query(order_id="ref-1")

    def test_down_answers_503_until_deleted_while_sales_go_on(self, nmi: Nmi) -> None:
        nmi.simulator.fault("lookup_down")

        for _ in range(2):
            answer = nmi.client.post(f"{nmi.simulator.nmi_url}/api/query.php")
            assert answer.status_code == 503
        assert nmi.sale("ref-1")["response_code"] == "100"
        nmi.simulator.clear_faults()
        assert "ref-1" in nmi.query(order_id="ref-1")

    def test_a_query_by_id_is_known_by_the_reference_of_its_transaction(self, nmi: Nmi) -> None:
        sold = nmi.sale("ref-1")["transactionid"]
        nmi.simulator.fault("lookup_lag:60", "query", reference="ref-1")

        assert "<nm_response/>" in nmi.query(transaction_id=sold)

    def test_down_may_reset_instead(self, nmi: Nmi) -> None:
        nmi.simulator.fault("lookup_down:reset", times=1)

        with pytest.raises(httpx.ReadError):
            nmi.query()


class TestAiming:
    def test_times_counts_down_and_then_it_is_over(self, nmi: Nmi) -> None:
        nmi.simulator.fault("decline:200", "sale", times=2)

        codes = [nmi.sale(f"ref-{n}")["response_code"] for n in range(3)]

        assert codes == ["200", "200", "100"]
        assert nmi.simulator.faults()["active"] == []
        assert nmi.simulator.faults()["struck"] == {"decline": 2}

    def test_only_the_operation_named_is_struck(self, nmi: Nmi) -> None:
        nmi.simulator.fault("decline:200", "capture")

        held = nmi.auth("ref-1")["transactionid"]

        assert nmi.transact(type="capture", transactionid=held, amount="1.00")["response_code"] == "200"

    def test_a_reference_pattern_aims_at_order_id_payer_or_description(self, nmi: Nmi) -> None:
        for pattern in ("ref-1*", "a@example.com", "order seventeen"):
            nmi.simulator.fault("decline:202", "sale", reference=pattern)

        assert nmi.sale("ref-2")["response_code"] == "100"
        assert nmi.sale("ref-17")["response_code"] == "202"
        assert nmi.sale("ref-3", email="a@example.com")["response_code"] == "202"
        assert nmi.sale("ref-4", orderdescription="order seventeen")["response_code"] == "202"

    def test_a_follow_up_is_known_by_the_reference_of_its_transaction(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1")["transactionid"]
        nmi.simulator.fault("decline:202", "void", reference="ref-1")

        assert nmi.transact(type="void", transactionid=held)["response_code"] == "202"

    def test_a_rate_strikes_the_same_ones_with_the_same_seed(self) -> None:
        struck = [_struck_by_rate(seed) for seed in (11, 11, 12)]

        assert struck[0] == struck[1]
        assert struck[0] != struck[2]
        assert 5 <= sum(struck[0]) <= 35

    def test_deleting_takes_only_what_agrees(self, nmi: Nmi) -> None:
        nmi.simulator.fault("decline:200", "sale")
        nmi.simulator.fault("decline:202", "capture")
        nmi.simulator.fault("outage", "void")

        assert nmi.simulator.clear_faults(fault="decline", operation="sale") == 1
        assert nmi.simulator.clear_faults(fault="decline:202") == 1
        assert nmi.simulator.clear_faults(operation="sale") == 0
        assert [one["fault"] for one in nmi.simulator.faults()["active"]] == ["outage"]
        assert nmi.simulator.clear_faults() == 1


class TestTheCatalogue:
    def test_lists_every_fault_with_one_line(self, nmi: Nmi) -> None:
        listed = {line["name"]: line["what"] for line in nmi.simulator.faults()["faults"]}

        assert list(listed) == list(CATALOGUE)
        assert all(listed.values())

    @pytest.mark.parametrize(
        ("wish", "field"),
        [
            ({"gateway": "nobody"}, "gateway"),
            ({"gateway": None}, "gateway"),
            ({"fault": "earthquake"}, "fault"),
            ({"fault": None}, "fault"),
            ({"fault": "slow:soon"}, "fault"),
            ({"fault": "slow:nan"}, "fault"),
            ({"fault": "decline:999"}, "fault"),
            ({"fault": "lost_response:1"}, "fault"),
            ({"fault": "amount_off:0"}, "fault"),
            ({"fault": "amount_off"}, "fault"),
            ({"fault": "amount_off:--5"}, "fault"),
            ({"fault": "currency_off:EURO"}, "fault"),
            ({"fault": "webhook_duplicate:0"}, "fault"),
            ({"operation": "juggle"}, "operation"),
            ({"operation": "sale", "fault": "lookup_down"}, "operation"),
            ({"operation": "query", "fault": "webhook_missing"}, "operation"),
            ({"times": 0}, "times"),
            ({"times": "1"}, "times"),
            ({"times": True}, "times"),
            ({"rate": 1.5}, "rate"),
            ({"rate": 0}, "rate"),
            ({"rate": 0.5, "times": 2}, "rate"),
            ({"reference": 5}, "reference"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_a_wrong_wish_is_refused_naming_the_field(self, nmi: Nmi, wish: dict[str, object], field: str) -> None:
        body = {"gateway": "nmi", "operation": "any", "fault": "lost_response"} | wish

        answer = nmi.client.post(f"{nmi.simulator.url}/_control/faults", json=body)

        assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert nmi.simulator.faults()["active"] == []

    def test_a_filter_that_is_unknown_deletes_nothing(self, nmi: Nmi) -> None:
        nmi.simulator.fault("outage")

        with pytest.raises(SimulatorError, match="colour"):
            nmi.simulator.clear_faults(colour="red")
        assert len(nmi.simulator.faults()["active"]) == 1


def _struck_by_rate(seed: int) -> list[bool]:
    simulator = start_simulator(seed=seed)
    try:
        simulator.fault("decline:200", "sale", rate=0.3)
        with closing(Nmi(simulator)) as nmi:
            return [nmi.sale(f"ref-{n}")["response_code"] == "200" for n in range(60)]
    finally:
        simulator.stop()
