"""Do look-ups page, filter, expand and lag as at Stripe, and is every wrong question refused?"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.simulator.stripe.conftest import Stripe


class TestLists:
    def test_are_newest_first_with_cursors(self, stripe: Stripe) -> None:
        made = [stripe.sale(f"ref-{number}")["id"] for number in range(5)][::-1]
        first = stripe.get("payment_intents", limit=2)
        second = stripe.get("payment_intents", limit=2, starting_after=first["data"][-1]["id"])
        last = stripe.get("payment_intents", limit=2, starting_after=second["data"][-1]["id"])
        back = stripe.get("payment_intents", limit=2, ending_before=made[4])

        assert [intent["id"] for page in (first, second, last) for intent in page["data"]] == made
        assert [page["has_more"] for page in (first, second, last)] == [True, True, False]
        assert ([intent["id"] for intent in back["data"]], back["has_more"]) == (made[2:4], True)
        assert first["url"] == "/v1/payment_intents"

    def test_a_window_of_time(self, stripe: Stripe) -> None:
        early = stripe.sale("ref-1")
        stripe.simulator.act("advance_clock", "stripe", seconds=100)
        late = stripe.sale("ref-2")

        def found(**bounds: int) -> list[str]:
            named = {f"created__{sign}": value for sign, value in bounds.items()}
            return [intent["id"] for intent in stripe.get("payment_intents", **named)["data"]]

        assert found(gte=late["created"]) == [late["id"]]
        assert found(gt=late["created"]) == []
        assert found(gte=early["created"], lt=late["created"]) == [early["id"]]
        assert found(lte=late["created"]) == [late["id"], early["id"]]

    def test_filters(self, stripe: Stripe) -> None:
        sold = stripe.sale()
        stripe.sale("ref-2")
        refund = stripe.done("refunds", payment_intent=sold["id"])
        assert [r["id"] for r in stripe.get("refunds", payment_intent=sold["id"])["data"]] == [refund["id"]]
        assert [c["id"] for c in stripe.get("charges", payment_intent=sold["id"])["data"]] == [sold["latest_charge"]]
        assert [t["source"] for t in stripe.get("balance_transactions", type="refund")["data"]] == [refund["id"]]

    @pytest.mark.parametrize(
        ("query", "param"),
        [
            ({"limit": 0}, "limit"),
            ({"limit": 101}, "limit"),
            ({"order": "x"}, "order"),
            ({"starting_after": "pi_none"}, "starting_after"),
            ({"expand[]": "data.nothing"}, "expand"),
            ({"created__since": 1}, "created[since]"),
        ],
    )
    def test_a_wrong_question_is_refused(self, stripe: Stripe, query: dict[str, Any], param: str) -> None:
        stripe.sale()
        assert stripe.refused("payment_intents", 400, **query)["param"] == param

    def test_objects_inside_objects(self, stripe: Stripe) -> None:
        stripe.sale()
        [intent] = stripe.get("payment_intents", **{"expand[]": "data.latest_charge.balance_transaction"})["data"]
        assert intent["latest_charge"]["balance_transaction"]["object"] == "balance_transaction"

    def test_what_does_not_exist_is_404(self, stripe: Stripe) -> None:
        sold = stripe.sale()
        assert stripe.refused("payment_intents/pi_none", 404)["code"] == "resource_missing"
        assert stripe.refused(f"charges/{sold['id']}", 404)["code"] == "resource_missing"
        assert stripe.refused("nothing", 404)["type"] == "invalid_request_error"


class TestSearch:
    def test_lags_behind_while_lists_do_not(self, stripe: Stripe) -> None:
        sold = stripe.sale()
        query = "metadata['our_ref']:'ref-1' AND status:'succeeded'"
        assert stripe.get("payment_intents/search", query=query)["data"] == []
        assert len(stripe.get("payment_intents")["data"]) == 1

        stripe.simulator.act("advance_clock", "stripe", seconds=90)
        found = stripe.get("payment_intents/search", query=query)
        assert (found["object"], [i["id"] for i in found["data"]]) == ("search_result", [sold["id"]])
        assert stripe.get("payment_intents/search", query="metadata['our_ref']:'ref-2'")["data"] == []

    def test_refuses_what_it_can_not_parse(self, stripe: Stripe) -> None:
        assert stripe.refused("payment_intents/search", 400, query="our_ref is ref-1")["param"] == "query"


class TestEvents:
    def test_are_kept_for_thirty_days_and_name_the_call(self, stripe: Stripe) -> None:
        stripe.done("payment_intents", key="op-1", **stripe.payment())
        stripe.types()
        [event] = stripe.get("events", type="payment_intent.succeeded")["data"]
        assert event["request"]["idempotency_key"] == "op-1"
        assert stripe.get(f"events/{event['id']}")["data"]["object"]["metadata"] == {"our_ref": "ref-1"}
        assert len(stripe.get("events", type="payment_intent.*")["data"]) == 2
        assert stripe.get("events", delivery_success="false")["data"] == []

        stripe.simulator.act("advance_clock", "stripe", seconds=31 * 86_400)
        assert stripe.get("events")["data"] == []

    def test_tell_what_was_not_delivered(self, stripe: Stripe) -> None:
        stripe.simulator.fault("webhook_missing", "sale", "stripe")
        stripe.sale()
        stripe.types()
        missing = stripe.get("events", delivery_success="false")["data"]
        assert {event["type"] for event in missing} == {
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
        }


class TestTheKey:
    @pytest.mark.parametrize(
        "headers",
        [{}, {"Authorization": "Bearer sk_test_other"}, {"Authorization": "Basic !"}, {"Authorization": "Bearer"}],
    )
    def test_without_it_nothing_is_answered(self, stripe: Stripe, headers: dict[str, str]) -> None:
        answer = httpx.get(f"{stripe.url}/v1/balance", headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")
        assert "sk_test_other" not in answer.text

    def test_as_basic_user(self, stripe: Stripe) -> None:
        answer = httpx.get(f"{stripe.url}/v1/balance", auth=("sk_test_demo", ""), trust_env=False)
        assert answer.json()["object"] == "balance"
        assert answer.headers["request-id"].startswith("req_")
