"""Does query.php show what the gateway knows, narrowed down as asked, in the gateway's XML?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from tests.simulator.conftest import Nmi


def transactions(text: str) -> list[Element]:
    return list(fromstring(text).findall("transaction"))


def ids(text: str) -> list[str]:
    return [transaction.findtext("transaction_id", "") for transaction in transactions(text)]


def stamp(nmi: Nmi, seconds: float = 0.0) -> str:
    now = datetime.fromisoformat(nmi.simulator.health()["now"])
    return (now + timedelta(seconds=seconds)).astimezone(UTC).strftime("%Y%m%d%H%M%S")


class TestATransaction:
    def test_shows_its_fields_and_actions(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1", "50.00", email="a@example.com", orderdescription="Two <b> & more")["transactionid"]
        nmi.transact(type="capture", transactionid=held, amount="30.00")

        [shown] = transactions(nmi.query(transaction_id=held))

        assert shown.findtext("condition") == "pendingsettlement"
        assert (shown.findtext("order_id"), shown.findtext("currency")) == ("ref-1", "USD")
        assert (shown.findtext("cc_number"), shown.findtext("email")) == ("411111******1111", "a@example.com")
        assert shown.findtext("order_description") == "Two <b> & more"
        told = [
            [a.findtext(n) for n in ("action_type", "amount", "success", "response_code")]
            for a in shown.findall("action")
        ]
        assert told == [["auth", "50.00", "1", "100"], ["capture", "30.00", "1", "100"]]

    @pytest.mark.parametrize(
        ("condition", "steps"),
        [
            ("pending", ["auth"]),
            ("pendingsettlement", ["sale"]),
            ("complete", ["sale", "settle"]),
            ("canceled", ["sale", "void"]),
        ],
    )
    def test_stands_in_the_condition_that_its_life_gave_it(self, nmi: Nmi, condition: str, steps: list[str]) -> None:
        made = nmi.sale("ref-1", type=steps[0])["transactionid"]
        if "settle" in steps:
            nmi.simulator.act("batch_settle")
        if "void" in steps:
            nmi.transact(type="void", transactionid=made)

        [shown] = transactions(nmi.query(order_id="ref-1"))

        assert shown.findtext("condition") == condition
        assert [action.findtext("action_type") for action in shown.findall("action")] == steps

    def test_that_was_declined_shows_the_code(self, nmi: Nmi) -> None:
        nmi.sale("ref-1", payment_token="nmi_tok_decline_insufficient_funds")

        [shown] = transactions(nmi.query(order_id="ref-1"))

        assert shown.findtext("condition") == "failed"
        assert (shown.findtext("action/success"), shown.findtext("action/response_code")) == ("0", "202")

    def test_that_settled_names_its_batch(self, nmi: Nmi) -> None:
        nmi.sale("ref-1")
        [batch_id] = nmi.simulator.act("batch_settle")["batches"]

        [shown] = transactions(nmi.query(order_id="ref-1"))

        assert [action.findtext("batch_id") for action in shown.findall("action")] == [batch_id, batch_id]

    def test_of_a_refund_stands_alone(self, nmi: Nmi) -> None:
        sold = nmi.sale("ref-1")["transactionid"]
        nmi.simulator.act("batch_settle")
        refund = nmi.transact(type="refund", transactionid=sold, amount="2.00", orderid="rf-1")["transactionid"]

        [shown] = transactions(nmi.query(order_id="rf-1"))

        assert shown.findtext("transaction_id") == refund
        assert (shown.findtext("action/action_type"), shown.findtext("action/amount")) == ("refund", "2.00")

    def test_is_not_there_when_nothing_is_known(self, nmi: Nmi) -> None:
        root = fromstring(nmi.query(order_id="never"))

        assert (root.tag, len(root)) == ("nm_response", 0)


class TestFilters:
    @pytest.fixture
    def three(self, nmi: Nmi) -> list[str]:
        """A voided hold, a declined sale, a sale under a vault card."""
        held = nmi.auth("ref-a", "1.00", email="a@example.com", first_name="Ann")["transactionid"]
        nmi.transact(type="void", transactionid=held)
        declined = nmi.sale("ref-b", "2.00", payment_token="nmi_tok_decline_fraud", merchant_defined_field_3="blue")
        sold = nmi.sale("ref-c", "3.00", payment_token="nmi_tok_3ds", last_name="Cole")
        return [held, declined["transactionid"], sold["transactionid"]]

    @pytest.mark.parametrize(
        ("form", "found"),
        [
            ({}, [0, 1, 2]),
            ({"condition": "canceled"}, [0]),
            ({"condition": "failed,pendingsettlement"}, [1, 2]),
            ({"action_type": "void"}, [0]),
            ({"action_type": "sale,auth"}, [0, 1, 2]),
            ({"source": "virtual_terminal"}, []),
            ({"source": "api"}, [0, 1, 2]),
            ({"transaction_type": "ck"}, []),
            ({"cc_number": "1111"}, [0]),
            ({"cc_number": "3220"}, [2]),
            ({"email": "a@example.com"}, [0]),
            ({"first_name": "Ann"}, [0]),
            ({"last_name": "Cole"}, [2]),
            ({"merchant_defined_field_3": "blue"}, [1]),
            ({"merchant_defined_field_4": "blue"}, []),
            ({"order_id": "ref-b"}, [1]),
            ({"result_order": "reverse"}, [2, 1, 0]),
            ({"result_limit": "2"}, [0, 1]),
            ({"result_limit": "2", "page_number": "1"}, [2]),
            ({"result_limit": "2", "page_number": "2"}, []),
        ],
    )
    def test_each_narrows_down(self, nmi: Nmi, three: list[str], form: dict[str, str], found: list[int]) -> None:
        assert ids(nmi.query(**form)) == [three[index] for index in found]

    def test_several_ids_at_once(self, nmi: Nmi, three: list[str]) -> None:
        assert ids(nmi.query(transaction_id=f"{three[2]}, {three[0]},404")) == [three[0], three[2]]

    def test_dates_bound_the_last_change_and_include_both_ends(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1")["transactionid"]
        nmi.simulator.act("advance_clock", seconds=3600)
        captured = nmi.transact(type="capture", transactionid=held, amount="1.00")
        assert captured["response_code"] == "100"

        assert ids(nmi.query(start_date=stamp(nmi, -600), end_date=stamp(nmi, 600))) == [held]
        assert ids(nmi.query(end_date=stamp(nmi, -600))) == []
        assert ids(nmi.query(start_date=stamp(nmi, 600))) == []
        changed = transactions(nmi.query(transaction_id=held))[0].findall("action")[-1].findtext("date", "")
        assert ids(nmi.query(start_date=changed, end_date=changed)) == [held]

    def test_a_lapsed_hold_is_found_by_when_it_lapsed(self, nmi: Nmi) -> None:
        held = nmi.auth("ref-1")["transactionid"]
        nmi.simulator.act("advance_clock", seconds=7 * 86_400)
        nmi.simulator.act("expire_hold", transaction_id=held)

        assert ids(nmi.query(start_date=stamp(nmi, -600))) == [held]


class TestErrors:
    @pytest.mark.parametrize(
        ("form", "text"),
        [
            ({"security_key": "wrong"}, "Authentication Failed"),
            ({"start_date": "yesterday"}, "Invalid start_date"),
            ({"end_date": "20261399000000"}, "Invalid end_date"),
            ({"result_limit": "many"}, "Invalid result_limit"),
            ({"page_number": "-1", "result_limit": "5"}, "Invalid page_number"),
            ({"result_order": "random"}, "Invalid result_order"),
            ({"report_type": "horoscope"}, "Invalid report_type"),
        ],
    )
    def test_are_told_in_an_element(self, nmi: Nmi, form: dict[str, str], text: str) -> None:
        nmi.sale("ref-1")

        root = fromstring(nmi.query(**form))

        assert [(child.tag, child.text) for child in root] == [("error_response", text)]


def test_the_test_mode_report_follows_the_account(nmi: Nmi) -> None:
    before = fromstring(nmi.query(report_type="test_mode_status")).findtext("test_mode_enabled")
    nmi.simulator.fault("test_mode")
    after = fromstring(nmi.query(report_type="test_mode_status")).findtext("test_mode_enabled")

    assert (before, after) == ("False", "True")
