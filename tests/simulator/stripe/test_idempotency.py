"""Is the first answer to a key kept, for a day, refusals included, and is everything else told apart from it?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from tests.simulator.stripe.conftest import Stripe

HOUR = 3600


class TestARepetition:
    def test_gets_the_same_bytes_and_moves_nothing(self, stripe: Stripe) -> None:
        first = stripe.post("payment_intents", "op-1", **stripe.payment())
        again = stripe.post("payment_intents", "op-1", **stripe.payment())

        assert again.content == first.content
        assert (again.headers.get("idempotent-replayed"), first.headers.get("idempotent-replayed")) == ("true", None)
        assert stripe.kinds() == [("capture", 1234)]

    def test_of_a_decline_is_declined_even_if_the_card_is_better_now(self, stripe: Stripe) -> None:
        stripe.simulator.fault("decline:insufficient_funds", "sale", "stripe")
        first = stripe.post("payment_intents", "op-1", **stripe.payment())
        again = stripe.post("payment_intents", "op-1", **stripe.payment())
        assert (first.status_code, again.status_code) == (402, 402)
        assert again.content == first.content
        assert stripe.sale()["status"] == "succeeded"

    def test_with_other_parameters_is_an_error(self, stripe: Stripe) -> None:
        stripe.done("payment_intents", "op-1", **stripe.payment())
        error = stripe.error("payment_intents", "op-1", **stripe.payment(amount=1235))
        assert error["type"] == "idempotency_error"
        assert stripe.error("customers", "op-1")["type"] == "idempotency_error"

    def test_after_a_day_is_a_new_request(self, stripe: Stripe) -> None:
        first = stripe.done("payment_intents", "op-1", **stripe.payment())
        stripe.simulator.act("advance_clock", "stripe", seconds=23 * HOUR)
        assert stripe.done("payment_intents", "op-1", **stripe.payment())["id"] == first["id"]
        stripe.simulator.act("advance_clock", "stripe", seconds=2 * HOUR)
        assert stripe.done("payment_intents", "op-1", **stripe.payment())["id"] != first["id"]

    def test_of_many_at_once_moves_the_money_once(self, stripe: Stripe) -> None:
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: stripe.post("payment_intents", "op-1", **stripe.payment()), range(24)))
        assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
        assert stripe.kinds() == [("capture", 1234)]


class TestWhatIsNotKept:
    def test_a_parameter_that_fails_validation(self, stripe: Stripe) -> None:
        stripe.error("payment_intents", "op-1", **stripe.payment(amount="x"))
        assert stripe.done("payment_intents", "op-1", **stripe.payment())["status"] == "succeeded"

    def test_a_wrong_key(self, stripe: Stripe) -> None:
        stripe.client.headers["Authorization"] = "Bearer sk_test_wrong"
        stripe.error("payment_intents", "op-1", 401, **stripe.payment())
        stripe.client.headers["Authorization"] = "Bearer sk_test_demo"
        assert stripe.done("payment_intents", "op-1", **stripe.payment())["status"] == "succeeded"

    @pytest.mark.parametrize("fault", ["rate_limited", "decline:rate_limit", "dropped_request", "server_error"])
    def test_what_was_never_begun(self, stripe: Stripe, fault: str) -> None:
        stripe.simulator.fault(fault, "sale", "stripe")
        with suppress(httpx.HTTPError):
            stripe.post("payment_intents", "op-1", **stripe.payment())
        again = stripe.post("payment_intents", "op-1", **stripe.payment())
        assert (again.status_code, again.headers.get("idempotent-replayed")) == (200, None)


class TestALostAnswer:
    def test_is_told_to_who_asks_again(self, stripe: Stripe) -> None:
        stripe.simulator.fault("lost_response", "sale", "stripe")
        with pytest.raises(httpx.HTTPError, match="disconnected"):
            stripe.post("payment_intents", "op-1", **stripe.payment())
        again = stripe.post("payment_intents", "op-1", **stripe.payment())
        assert (again.json()["status"], again.headers["idempotent-replayed"]) == ("succeeded", "true")
        assert stripe.kinds() == [("capture", 1234)]

    def test_a_500_after_the_work_stays_a_500(self, stripe: Stripe) -> None:
        stripe.simulator.fault("server_error_after", "sale", "stripe")
        for _ in range(2):
            error = stripe.error("payment_intents", "op-1", 500, **stripe.payment())
            assert error["type"] == "api_error"
        assert stripe.kinds() == [("capture", 1234)]
        assert stripe.get("payment_intents")["data"][0]["status"] == "succeeded"

    def test_while_the_first_is_worked_on_the_key_is_in_use(self, stripe: Stripe) -> None:
        stripe.simulator.fault("late_authorisation:600", "sale", "stripe")
        with pytest.raises(httpx.HTTPError, match="disconnected"):
            stripe.post("payment_intents", "op-1", **stripe.payment())
        busy = stripe.post("payment_intents", "op-1", **stripe.payment())
        assert (busy.status_code, busy.json()["error"]["code"]) == (409, "idempotency_key_in_use")
        assert busy.headers["stripe-should-retry"] == "true"

        stripe.simulator.act("advance_clock", "stripe", seconds=601)
        stripe.simulator.wait_until_quiet()
        assert stripe.done("payment_intents", "op-1", **stripe.payment())["status"] == "succeeded"
        assert stripe.kinds() == [("capture", 1234)]
