"""Do intents go through their states as Stripe's do: confirm, hold, capture, cancel, decline, 3-D Secure?"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.simulator.stripe.conftest import Stripe

DAY = 86_400


class TestASale:
    def test_takes_the_money_and_says_what_stripe_keeps(self, stripe: Stripe) -> None:
        sold = stripe.sale(**{"expand[]": "latest_charge.balance_transaction"})

        assert (sold["status"], sold["amount_received"]) == ("succeeded", 1234)
        charge = sold["latest_charge"]
        assert (charge["captured"], charge["amount_captured"], charge["metadata"]) == (True, 1234, {"our_ref": "ref-1"})
        line = charge["balance_transaction"]
        assert (line["amount"], line["fee"], line["net"], line["type"]) == (1234, 66, 1168, "charge")
        assert stripe.types() == {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
        [captured, fee] = stripe.simulator.movements("ref-1", "stripe")
        assert (captured["kind"], captured["gateway_id"], captured["reference"]) == ("capture", charge["id"], "ref-1")
        assert (fee["kind"], fee["amount_minor"], fee["original_gateway_id"]) == ("fee", 66, "")

    def test_under_automatic_async_fees_come_later(self, stripe: Stripe) -> None:
        sold = stripe.sale(capture_method="automatic_async", **{"expand[]": "latest_charge"})
        assert sold["latest_charge"]["balance_transaction"] is None

        assert "charge.updated" in stripe.types()
        charge = stripe.get(f"charges/{sold['latest_charge']['id']}", **{"expand[]": "balance_transaction"})
        assert charge["balance_transaction"]["fee"] == 66

    @pytest.mark.parametrize(
        ("currency", "amount", "settled", "rate"), [("eur", 1000, 1080, 1.08), ("jpy", 1000, 670, 0.0067)]
    )
    def test_settles_in_dollars(self, stripe: Stripe, currency: str, amount: int, settled: int, rate: float) -> None:
        sold = stripe.sale(amount=amount, currency=currency, **{"expand[]": "latest_charge.balance_transaction"})
        line = sold["latest_charge"]["balance_transaction"]
        assert (line["amount"], line["currency"], line["exchange_rate"]) == (settled, "usd", rate)

    def test_without_confirm_waits(self, stripe: Stripe) -> None:
        made = stripe.sale(confirm="false", payment_method="")
        assert made["status"] == "requires_payment_method"
        done = stripe.done(f"payment_intents/{made['id']}/confirm", payment_method="pm_card_visa")
        assert done["status"] == "succeeded"

    def test_a_server_side_confirmation_must_say_where_payers_return(self, stripe: Stripe) -> None:
        form = stripe.payment()
        del form["allowed_payment_method_types[]"]
        assert stripe.error("payment_intents", **form)["param"] == "return_url"
        assert stripe.done("payment_intents", **form, return_url="http://127.0.0.1/back")["status"] == "succeeded"

    @pytest.mark.parametrize(
        ("change", "param", "code"),
        [
            ({"amount": "12.34"}, "amount", "parameter_invalid_integer"),
            ({"amount": 49}, "amount", "amount_too_small"),
            ({"amount": 100_000_000}, "amount", "amount_too_large"),
            ({"currency": "xxx"}, "currency", None),
            ({"capture_method": "later"}, "capture_method", None),
            ({"amont": 5}, "amont", "parameter_unknown"),
            ({"payment_method": "nmi_tok_ok"}, "payment_method", "resource_missing"),
            ({"payment_method": "tok_ok"}, "payment_method", "resource_missing"),
            ({"payment_method": ""}, "payment_method", "parameter_missing"),
            ({"customer": "cus_none"}, "customer", "resource_missing"),
            ({"payment_method_types[]": "card"}, "payment_method_types", "payment_method_types_no_longer_supported"),
            ({"automatic_payment_methods[enabled]": "true"}, "allowed_payment_method_types", "parameters_exclusive"),
        ],
    )
    def test_a_wrong_parameter_is_named(
        self, stripe: Stripe, change: dict[str, Any], param: str, code: str | None
    ) -> None:
        error = stripe.error("payment_intents", **stripe.payment(**change))
        assert (error["type"], error["param"], error.get("code")) == ("invalid_request_error", param, code)
        assert stripe.get("payment_intents")["data"] == []


class TestAHold:
    def test_is_captured_in_part_and_the_rest_released(self, stripe: Stripe) -> None:
        held = stripe.auth()
        assert (held["status"], held["amount_capturable"]) == ("requires_capture", 1234)
        done = stripe.done(
            f"payment_intents/{held['id']}/capture", amount_to_capture=1000, **{"metadata[our_ref]": "cap-1"}
        )

        assert (done["status"], done["amount_received"], done["amount_capturable"]) == ("succeeded", 1000, 0)
        assert stripe.kinds("ref-1") == [("authorisation", 1234), ("capture", 1000)]
        assert stripe.simulator.movements("ref-1", "stripe")[1]["operation_reference"] == "cap-1"
        again = stripe.error(f"payment_intents/{held['id']}/capture")
        assert again["code"] == "payment_intent_unexpected_state"
        assert again["payment_intent"]["status"] == "succeeded"

    def test_too_much_is_refused(self, stripe: Stripe) -> None:
        held = stripe.auth()
        assert (
            stripe.error(f"payment_intents/{held['id']}/capture", amount_to_capture=1235)["code"] == "amount_too_large"
        )

    def test_several_captures_where_they_were_asked_for(self, stripe: Stripe) -> None:
        held = stripe.auth(**{"payment_method_options[card][request_multicapture]": "if_available"})
        path = f"payment_intents/{held['id']}/capture"
        first = stripe.done(path, amount_to_capture=500, final_capture="false")
        assert (first["status"], first["amount_capturable"], first["amount_received"]) == ("requires_capture", 734, 500)
        last = stripe.done(path, amount_to_capture=200)

        assert (last["status"], last["amount_received"]) == ("succeeded", 700)
        assert stripe.kinds("ref-1") == [("authorisation", 1234), ("capture", 500), ("capture", 200)]
        stripe.types()
        before = [one.event["data"].get("previous_attributes") for one in stripe.listener.received
                  if one.event["type"] == "charge.captured"]  # fmt: skip
        assert sorted(change["amount_captured"] for change in before) == [0, 500]

    def test_not_several_where_they_were_not(self, stripe: Stripe) -> None:
        held = stripe.auth()
        assert stripe.error(f"payment_intents/{held['id']}/capture", final_capture="false")["param"] == "final_capture"

    def test_is_let_go(self, stripe: Stripe) -> None:
        held = stripe.auth()
        done = stripe.done(f"payment_intents/{held['id']}/cancel", cancellation_reason="duplicate")

        assert (done["status"], done["cancellation_reason"], done["amount_capturable"]) == ("canceled", "duplicate", 0)
        assert stripe.kinds("ref-1") == [("authorisation", 1234), ("void", 1234)]
        assert "payment_intent.canceled" in stripe.types()
        assert "charge.refunded" not in stripe.types()
        charge = stripe.get(f"charges/{held['latest_charge']}")
        assert (charge["captured"], charge["refunded"], charge["amount_refunded"]) == (False, False, 0)

    def test_a_sale_can_not_be_cancelled(self, stripe: Stripe) -> None:
        sold = stripe.sale()
        error = stripe.error(f"payment_intents/{sold['id']}/cancel")
        assert (error["code"], error["payment_intent"]["status"]) == ("payment_intent_unexpected_state", "succeeded")

    def test_lapses_after_seven_days(self, stripe: Stripe) -> None:
        held = stripe.auth()
        stripe.simulator.act("advance_clock", gateway="stripe", seconds=7 * DAY - 60)
        assert stripe.get(f"payment_intents/{held['id']}")["status"] == "requires_capture"
        stripe.simulator.act("advance_clock", gateway="stripe", seconds=120)

        lapsed = stripe.get(f"payment_intents/{held['id']}")
        assert (lapsed["status"], lapsed["cancellation_reason"]) == ("canceled", "expired")
        assert {"charge.expired", "payment_intent.canceled"} <= stripe.types()
        assert stripe.kinds("ref-1") == [("authorisation", 1234)]
        assert stripe.simulator.books("ref-1", "stripe")["holds_open"] == []

    def test_tells_of_a_lapse_without_being_asked(self, stripe: Stripe) -> None:
        stripe.auth()
        stripe.types()
        stripe.simulator.act("advance_clock", gateway="nmi", seconds=8 * DAY)
        for _ in range(100):
            if "charge.expired" in stripe.types():
                return
        pytest.fail("no event of the lapse")


class TestADecline:
    @pytest.mark.parametrize(
        ("word", "code", "decline_code"),
        [
            ("insufficient_funds", "card_declined", "insufficient_funds"),
            ("soft_decline", "card_declined", "generic_decline"),
            ("expired_card", "expired_card", "expired_card"),
            ("incorrect_cvc", "incorrect_cvc", "incorrect_cvc"),
            ("processing_error", "processing_error", "processing_error"),
            ("authentication_required", "authentication_required", "authentication_required"),
            ("card_decline_rate_limit_exceeded", "card_decline_rate_limit_exceeded", None),
        ],
    )
    def test_has_its_own_codes(self, stripe: Stripe, word: str, code: str, decline_code: str | None) -> None:
        error = stripe.error(
            "payment_intents", status=402, **stripe.payment(payment_method=f"stripe_tok_decline_{word}")
        )
        assert (error["type"], error["code"], error.get("decline_code")) == ("card_error", code, decline_code)

    def test_carries_advice_and_network_codes(self, stripe: Stripe) -> None:
        token = "stripe_tok_decline_do_not_honor+advice_03+network_05+do_not_try_again"
        error = stripe.error("payment_intents", status=402, **stripe.payment(payment_method=token))

        assert (error["network_advice_code"], error["network_decline_code"]) == ("03", "05")
        assert error["advice_code"] == "do_not_try_again"
        outcome = stripe.get(f"charges/{error['charge']}")["outcome"]
        assert (outcome["type"], outcome["network_advice_code"]) == ("issuer_declined", "03")

    def test_leaves_the_intent_alive_for_another_card(self, stripe: Stripe) -> None:
        error = stripe.error("payment_intents", status=402, **stripe.payment(payment_method="pm_card_chargeDeclined"))
        intent = error["payment_intent"]
        assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
        assert intent["last_payment_error"]["decline_code"] == "generic_decline"
        assert stripe.types() == {"payment_intent.created", "charge.failed", "payment_intent.payment_failed"}

        done = stripe.done(f"payment_intents/{intent['id']}/confirm", payment_method="pm_card_visa")
        assert done["status"] == "succeeded"
        charges = stripe.get("charges", payment_intent=intent["id"])["data"]
        assert [charge["status"] for charge in charges] == ["succeeded", "failed"]
        assert stripe.kinds("ref-1") == [("capture", 1234)]

    def test_by_stripe_itself_never_reaches_the_network(self, stripe: Stripe) -> None:
        error = stripe.error("payment_intents", status=402, **stripe.payment(payment_method="pm_card_radarBlock"))
        outcome = stripe.get(f"charges/{error['charge']}")["outcome"]
        assert (outcome["type"], outcome["network_status"]) == ("blocked", "not_sent_to_network")
        assert (error["decline_code"], outcome["reason"]) == ("generic_decline", "highest_risk_level")

    @pytest.mark.parametrize(("word", "status"), [("rate_limit", 429), ("lock_timeout", 429), ("invalid_request", 400)])
    def test_a_refusal_that_is_none_of_the_card_leaves_nothing(self, stripe: Stripe, word: str, status: int) -> None:
        form = stripe.payment(payment_method=f"stripe_tok_decline_{word}")
        stripe.error("payment_intents", status=status, **form)
        assert stripe.get("payment_intents")["data"] == []


class TestASingleUseToken:
    def test_is_spent(self, stripe: Stripe) -> None:
        stripe.sale(payment_method="stripe_once_a")
        error = stripe.error("payment_intents", **stripe.payment(payment_method="stripe_once_a"))
        assert error["code"] == "token_already_used"

    def test_becomes_a_method_of_a_customer(self, stripe: Stripe) -> None:
        customer = stripe.done("customers", email="a@example.com")["id"]
        first = stripe.sale(payment_method="stripe_once_a", customer=customer, setup_future_usage="off_session")
        method = first["payment_method"]
        again = stripe.sale("ref-2", payment_method=method, customer=customer, off_session="true")

        assert again["status"] == "succeeded"
        shown = stripe.get(f"payment_methods/{method}")
        assert (shown["customer"], shown["card"]["brand"], len(shown["card"]["last4"])) == (customer, "visa", 4)
        charge = stripe.get(f"charges/{again['latest_charge']}")
        assert charge["payment_method_details"]["card"]["fingerprint"] == shown["card"]["fingerprint"]

    def test_without_a_customer_nothing_is_kept(self, stripe: Stripe) -> None:
        method = stripe.sale(payment_method="stripe_once_a", setup_future_usage="off_session")["payment_method"]
        error = stripe.error("payment_intents", **stripe.payment(payment_method=method))
        assert "attach it to a Customer first" in error["message"]

    def test_a_stored_method_needs_its_customer(self, stripe: Stripe) -> None:
        customer = stripe.done("customers")["id"]
        method = stripe.done("payment_methods/pm_card_visa/attach", customer=customer)["id"]
        error = stripe.error("payment_intents", **stripe.payment(payment_method=method))
        assert error["param"] == "payment_method"
        assert stripe.sale(payment_method=method, customer=customer)["status"] == "succeeded"
        stripe.done(f"payment_methods/{method}/detach")
        stripe.error("payment_intents", **stripe.payment(payment_method=method, customer=customer))

    def test_card_numbers_are_refused(self, stripe: Stripe) -> None:
        form = stripe.payment(**{"payment_method_data[type]": "card", "payment_method_data[card][number]": "4242"})
        del form["payment_method"]
        assert stripe.error("payment_intents", **form)["param"] == "card[number]"


class TestThreeDSecure:
    def asked(self, stripe: Stripe, **more: str) -> dict[str, Any]:
        return stripe.sale(**{"payment_method": "stripe_tok_3ds", "return_url": "http://127.0.0.1:1/back?a=1"} | more)

    def page(self, intent: dict[str, Any]) -> str:
        return str(intent["next_action"]["redirect_to_url"]["url"])

    def test_the_payer_approves_on_a_page(self, stripe: Stripe) -> None:
        intent = self.asked(stripe)
        assert intent["status"] == "requires_action"
        assert "Approve" in httpx.get(self.page(intent), trust_env=False).text
        back = httpx.post(self.page(intent), data={"outcome": "approve"}, trust_env=False)

        assert back.status_code == 303
        assert back.headers["location"].startswith("http://127.0.0.1:1/back?a=1&payment_intent=pi_")
        assert back.headers["location"].endswith("redirect_status=succeeded")
        assert stripe.get(f"payment_intents/{intent['id']}")["status"] == "succeeded"
        assert stripe.types() == {
            "payment_intent.created", "payment_intent.requires_action", "charge.succeeded", "payment_intent.succeeded",
        }  # fmt: skip
        assert httpx.get(self.page(intent), trust_env=False).status_code == 409

    def test_the_payer_fails(self, stripe: Stripe) -> None:
        intent = self.asked(stripe)
        back = httpx.post(self.page(intent), data={"outcome": "fail"}, trust_env=False)

        assert back.headers["location"].endswith("redirect_status=failed")
        failed = stripe.get(f"payment_intents/{intent['id']}")
        assert failed["status"] == "requires_payment_method"
        assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
        assert stripe.kinds() == []
        assert stripe.done(f"payment_intents/{intent['id']}/cancel")["status"] == "canceled"

    def test_the_payer_leaves_and_nothing_happens(self, stripe: Stripe) -> None:
        intent = self.asked(stripe)
        back = httpx.post(self.page(intent), data={"outcome": "abandon"}, trust_env=False)
        assert back.headers["location"].endswith("redirect_status=pending")
        assert stripe.get(f"payment_intents/{intent['id']}")["status"] == "requires_action"
        assert httpx.post(self.page(intent), data={"outcome": "pay"}, trust_env=False).status_code == 400
        assert httpx.get(f"{stripe.url}/_3ds/pi_none", trust_env=False).status_code == 404

    def test_an_abandoned_question_can_be_answered_until_it_is_cancelled(self, stripe: Stripe) -> None:
        first, second = self.asked(stripe), self.asked(stripe, **{"metadata[our_ref]": "ref-2"})
        stripe.simulator.act("abandon", gateway="stripe", reference="ref-1")
        stripe.simulator.act("approve", gateway="stripe", reference="ref-1")
        assert stripe.get(f"payment_intents/{first['id']}")["status"] == "succeeded"

        stripe.done(f"payment_intents/{second['id']}/cancel", cancellation_reason="abandoned")
        late = httpx.post(self.page(second), data={"outcome": "approve"}, trust_env=False)
        assert late.status_code == 409
        assert stripe.kinds("ref-2") == []

    def test_a_hold_waits_for_the_payer_too(self, stripe: Stripe) -> None:
        intent = self.asked(stripe, capture_method="manual")
        done = stripe.simulator.act("approve", gateway="stripe", transaction_id=intent["id"])["transaction"]
        assert done["status"] == "requires_capture"
        assert stripe.kinds("ref-1") == [("authorisation", 1234)]

    def test_the_card_may_decline_after_the_payer_approved(self, stripe: Stripe) -> None:
        intent = self.asked(stripe, payment_method="stripe_tok_3ds_decline_insufficient_funds")
        back = httpx.post(self.page(intent), data={"outcome": "approve"}, trust_env=False)
        assert back.headers["location"].endswith("redirect_status=failed")
        error = stripe.get(f"payment_intents/{intent['id']}")["last_payment_error"]
        assert (error["type"], error["decline_code"]) == ("card_error", "insufficient_funds")

    @pytest.mark.parametrize("wish", [{"off_session": "true"}, {"error_on_requires_action": "true"}])
    def test_a_payer_who_is_not_there_is_not_asked(self, stripe: Stripe, wish: dict[str, Any]) -> None:
        form = stripe.payment(payment_method="pm_card_authenticationRequired", **wish)
        assert stripe.error("payment_intents", status=402, **form)["code"] == "authentication_required"

    def test_a_card_stored_after_a_question_is_not_asked_again(self, stripe: Stripe) -> None:
        customer = stripe.done("customers")["id"]
        intent = self.asked(stripe, customer=customer, setup_future_usage="off_session")
        stripe.simulator.act("approve", gateway="stripe", reference="ref-1")
        later = stripe.sale("ref-2", payment_method=intent["payment_method"], customer=customer, off_session="true")
        assert later["status"] == "succeeded"
