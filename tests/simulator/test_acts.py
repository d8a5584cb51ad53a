"""Can the gateway's own side be played: dashboard, batches, lapsed holds, the clock; and are wrong wishes refused?"""

from __future__ import annotations

import pytest

from tests.simulator.conftest import Listener, Nmi
from tests.simulator_fixture import SimulatorError


class TestTheDashboard:
    def test_sells_and_says_where_it_came_from(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.act("sale", reference="ref-1", amount_minor=1500, currency="EUR", email="a@example.com")
        nmi.simulator.wait_until_quiet()

        [movement] = nmi.simulator.movements("ref-1")
        assert (movement["kind"], movement["amount_minor"], movement["currency"]) == ("capture", 1500, "EUR")
        assert movement["origin"] == "dashboard"
        assert listener.received[0].event["event_body"]["action"]["source"] == "virtual_terminal"

    def test_a_foreign_sale_is_none_of_ours(self, nmi: Nmi, listener: Listener) -> None:
        made = nmi.simulator.act("foreign_sale")["transaction"]
        nmi.simulator.wait_until_quiet()

        [movement] = nmi.simulator.movements()
        assert (movement["origin"], movement["reference"]) == ("foreign", made["reference"])
        assert made["reference"].startswith("other-")
        assert listener.types() == ["transaction.sale.success"]

    def test_captures_the_whole_hold_by_reference(self, nmi: Nmi, listener: Listener) -> None:
        nmi.auth("ref-1", "20.00")
        nmi.simulator.act("capture", reference="ref-1")
        nmi.simulator.wait_until_quiet()

        assert [m["amount_minor"] for m in nmi.simulator.movements("ref-1")] == [2000, 2000]
        assert sorted(listener.types()) == ["transaction.auth.success", "transaction.capture.success"]

    def test_voids_and_refunds(self, nmi: Nmi) -> None:
        nmi.sale("ref-1")
        nmi.sale("ref-2", "10.00")
        nmi.simulator.act("void", reference="ref-1")
        nmi.simulator.act("batch_settle")
        nmi.simulator.act("refund", reference="ref-2", amount_minor=400)
        nmi.simulator.act("refund", reference="ref-2")

        assert [m["kind"] for m in nmi.simulator.movements("ref-1")] == ["capture", "void"]
        assert [m["amount_minor"] for m in nmi.simulator.movements("ref-2")] == [1000, 400, 600]

    @pytest.mark.parametrize("action", ["capture", "void", "refund"])
    def test_keeps_to_the_rules_unless_forced(self, nmi: Nmi, action: str) -> None:
        held = nmi.auth("ref-1", "20.00")["transactionid"]
        nmi.transact(type="void", transactionid=held)

        with pytest.raises(SimulatorError, match="force"):
            nmi.simulator.act(action, reference="ref-1")
        nmi.simulator.act(action, reference="ref-1", force=True)

        assert nmi.simulator.movements("ref-1")[-1]["kind"] == action

    def test_a_capture_may_arrive_for_a_cancelled_payment(self, nmi: Nmi, listener: Listener) -> None:
        held = nmi.auth("ref-1", "20.00")["transactionid"]
        nmi.transact(type="void", transactionid=held)
        nmi.simulator.wait_until_quiet()

        nmi.simulator.act("capture", transaction_id=held, force=True)
        nmi.simulator.wait_until_quiet()

        assert [m["kind"] for m in nmi.simulator.movements("ref-1")] == ["authorisation", "void", "capture"]
        assert listener.types()[-1] == "transaction.capture.success"
        assert "<condition>pendingsettlement</condition>" in nmi.query(order_id="ref-1")
        assert nmi.transact(type="void", transactionid=held)["response_code"] == "100"


class TestBatches:
    def test_settle_everything_due_by_currency_and_say_so(self, nmi: Nmi, listener: Listener) -> None:
        dollars = nmi.sale("ref-1", "10.00")["transactionid"]
        euros = nmi.sale("ref-2", "20.00", currency="EUR")["transactionid"]
        voided = nmi.sale("ref-3")["transactionid"]
        nmi.transact(type="void", transactionid=voided)
        nmi.auth("ref-4")

        batches = nmi.simulator.act("batch_settle")["batches"]
        nmi.simulator.wait_until_quiet()

        assert [(b["currency"], b["transaction_ids"]) for b in batches.values()] == [
            ("EUR", [euros]),
            ("USD", [dollars]),
        ]
        events = [r.event for r in listener.received if r.event["event_type"] == "settlement.batch.complete"]
        told = {
            e["event_body"]["batch_id"]: (e["event_body"]["amount"], e["event_body"]["transaction_ids"]) for e in events
        }
        assert sorted(told.values()) == [("10.00", [dollars]), ("20.00", [euros])]
        assert set(told) == set(batches)
        [movement] = nmi.simulator.movements("ref-1")
        assert (movement["settled"], movement["condition"]) == (True, "complete")
        assert movement["batch_id"] in batches

    def test_count_refunds_as_money_going_out(self, nmi: Nmi, listener: Listener) -> None:
        nmi.sale("ref-1", "10.00")
        nmi.simulator.act("batch_settle")
        nmi.simulator.act("refund", reference="ref-1", amount_minor=300)
        nmi.sale("ref-2", "1.00")
        nmi.simulator.act("batch_settle")
        nmi.simulator.wait_until_quiet()

        bodies = [r.event["event_body"] for r in listener.received if "batch" in r.event["event_type"]]
        second = next(body for body in bodies if body["count"] == "2")
        assert (second["amount"], second["by_card_type"]["visa"]) == ("-2.00", {"count": "2", "amount": "-2.00"})

    def test_may_take_one_transaction_only(self, nmi: Nmi) -> None:
        nmi.sale("ref-1")
        nmi.sale("ref-2")
        nmi.simulator.act("batch_settle", reference="ref-2")

        assert [m["settled"] for m in nmi.simulator.movements()] == [False, True]

    def test_nothing_due_makes_no_batch(self, nmi: Nmi) -> None:
        assert nmi.simulator.act("batch_settle")["batches"] == {}

    def test_a_failed_batch_names_no_transaction_and_settles_none(self, nmi: Nmi, listener: Listener) -> None:
        nmi.sale("ref-1")
        batch_id = nmi.simulator.act("batch_fail")["batch_id"]
        nmi.simulator.wait_until_quiet()

        [failed] = [r.event for r in listener.received if r.event["event_type"] == "settlement.batch.failure"]
        assert set(failed["event_body"]) == {"batch_id", "merchant", "processor"}
        assert failed["event_body"]["batch_id"] == batch_id
        assert [m["settled"] for m in nmi.simulator.movements()] == [False]


class TestHoldsAndTheClock:
    def test_a_lapsed_hold_is_cancelled_without_an_action_or_a_webhook(self, nmi: Nmi, listener: Listener) -> None:
        held = nmi.auth("ref-1")["transactionid"]
        nmi.simulator.act("expire_hold", reference="ref-1")
        nmi.simulator.wait_until_quiet()

        text = nmi.query(order_id="ref-1")
        assert "<condition>canceled</condition>" in text
        assert "<action_type>void</action_type>" not in text
        assert listener.types() == ["transaction.auth.success"]
        assert nmi.simulator.books("ref-1")["holds_open"] == []
        assert nmi.transact(type="capture", transactionid=held, amount="1.00")["response_code"] == "300"

    def test_only_an_open_hold_lapses(self, nmi: Nmi) -> None:
        nmi.sale("ref-1")

        with pytest.raises(SimulatorError, match="no open hold"):
            nmi.simulator.act("expire_hold", reference="ref-1")

    def test_the_clock_is_advanced_and_stamps_what_follows(self, nmi: Nmi) -> None:
        before = nmi.simulator.health()["now"]
        nmi.simulator.act("advance_clock", seconds=86_400)
        nmi.sale("ref-1")

        assert nmi.simulator.movements()[0]["occurred_at"][:10] > before[:10]


class TestWrongWishes:
    @pytest.mark.parametrize(
        ("wish", "field"),
        [
            ({"action": "dance"}, "action"),
            ({}, "action"),
            ({"action": "void"}, "transaction_id"),
            ({"action": "void", "transaction_id": "404"}, "transaction_id"),
            ({"action": "void", "transaction_id": 404}, "transaction_id"),
            ({"action": "void", "reference": "never"}, "reference"),
            ({"action": "sale", "amount_minor": 100}, "reference"),
            ({"action": "sale", "reference": "ref-1"}, "amount_minor"),
            ({"action": "sale", "reference": "ref-1", "amount_minor": 1.5}, "amount_minor"),
            ({"action": "sale", "reference": "ref-1", "amount_minor": -1}, "amount_minor"),
            ({"action": "sale", "reference": "ref-1", "amount_minor": True}, "amount_minor"),
            ({"action": "sale", "reference": "ref-1", "amount_minor": 1, "currency": "JPY"}, "currency"),
            ({"action": "sale", "reference": "ref-1", "amount_minor": 1, "token": "pm_visa"}, "token"),
            ({"action": "capture", "reference": "known", "force": "yes"}, "force"),
            ({"action": "advance_clock"}, "seconds"),
            ({"action": "advance_clock", "seconds": -1}, "seconds"),
            ({"action": "advance_clock", "seconds": "1"}, "seconds"),
            ({"action": "resend_webhook", "event_id": "404"}, "event_id"),
            ({"action": "void", "gateway": "nobody"}, "gateway"),
        ],
    )
    def test_are_refused_naming_the_field(self, nmi: Nmi, wish: dict[str, object], field: str) -> None:
        nmi.auth("known")

        answer = nmi.client.post(f"{nmi.simulator.url}/_control/act", json={"gateway": "nmi"} | wish)

        assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert len(nmi.simulator.movements()) == 1

    @pytest.mark.parametrize("body", [b"{", b"[]", b'"act"', b"\xff"])
    def test_a_body_that_is_no_object_is_refused(self, nmi: Nmi, body: bytes) -> None:
        answer = nmi.client.post(f"{nmi.simulator.url}/_control/act", content=body)

        assert (answer.status_code, answer.json()["field"]) == (400, "body")

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "books/nobody", 404),
            ("GET", "books", 404),
            ("GET", "nothing", 404),
            ("GET", "act", 405),
            ("PUT", "faults", 405),
            ("GET", "reset", 405),
        ],
    )
    def test_other_paths_and_methods(self, nmi: Nmi, method: str, path: str, status: int) -> None:
        assert nmi.client.request(method, f"{nmi.simulator.url}/_control/{path}").status_code == status


def test_books_narrow_down_to_a_reference_with_its_refunds(nmi: Nmi) -> None:
    sold = nmi.sale("ref-1")["transactionid"]
    nmi.sale("ref-2")
    nmi.simulator.act("batch_settle")
    nmi.transact(type="refund", transactionid=sold, orderid="rf-1", amount="1.00")

    narrowed = nmi.simulator.books("ref-1")

    assert [(m["kind"], m["reference"]) for m in narrowed["movements"]] == [("capture", "ref-1"), ("refund", "rf-1")]
    assert narrowed["transactions"][0]["refunded_minor"] == 100
    assert [m["reference"] for m in nmi.simulator.books(sold)["movements"]] == ["ref-1", "rf-1"]


def test_reset_stops_redeliveries(nmi: Nmi, listener: Listener) -> None:
    nmi.simulator.fault("webhook_delayed:50", "sale")
    nmi.sale("ref-1")

    nmi.simulator.reset()
    nmi.simulator.act("advance_clock", seconds=60)
    nmi.sale("ref-2")
    nmi.simulator.wait_until_quiet()

    assert [r.event["event_body"]["order_id"] for r in listener.received] == ["ref-2"]


def test_reset_forgets_everything_but_never_repeats_an_id(nmi: Nmi) -> None:
    nmi.simulator.fault("outage", "void")
    nmi.simulator.act("advance_clock", seconds=1000)
    first = nmi.sale("ref-1")["transactionid"]

    nmi.simulator.reset()
    second = nmi.sale("ref-1")["transactionid"]

    assert int(second) > int(first)
    books = nmi.simulator.books()
    assert [m["gateway_id"] for m in books["movements"]] == [second]
    assert books["requests"] == {"response.100": 1, "transact.sale": 1}
    assert nmi.simulator.faults()["active"] == []
