"""Does money come back as at Stripe: refunds that wait and fail, disputes in all their turns, payouts and their lines?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.stripe.conftest import Stripe
from tests.simulator_fixture import SimulatorError, wait_for

DAY = 86_400


class TestRefunds:
    def test_in_parts_until_nothing_is_left(self, stripe: Stripe) -> None:
        sold = stripe.sale()
        first = stripe.done("refunds", payment_intent=sold["id"], amount=1000, **{"metadata[our_ref]": "back-1"})
        too_much = stripe.error("refunds", payment_intent=sold["id"], amount=235)
        stripe.done("refunds", charge=sold["latest_charge"])
        over = stripe.error("refunds", payment_intent=sold["id"])

        assert (first["status"], too_much["code"], over["code"]) == (
            "succeeded",
            "amount_too_large",
            "charge_already_refunded",
        )
        assert stripe.kinds("ref-1") == [("capture", 1234), ("refund", 1000), ("refund", 234)]
        charge = stripe.get(f"charges/{sold['latest_charge']}", **{"expand[]": "refunds"})
        assert (charge["amount_refunded"], charge["refunded"]) == (1234, True)
        assert [refund["amount"] for refund in charge["refunds"]["data"]] == [234, 1000]
        moved = stripe.simulator.movements("back-1", "stripe")
        assert [m["original_reference"] for m in moved if m["gateway_id"] == first["id"]] == ["ref-1"]

    def test_the_fee_is_not_given_back(self, stripe: Stripe) -> None:
        sold = stripe.sale()
        refund = stripe.done("refunds", payment_intent=sold["id"], **{"expand[]": "balance_transaction"})
        line = refund["balance_transaction"]
        assert (line["type"], line["amount"], line["fee"], line["net"]) == ("refund", -1234, 0, -1234)

    def test_of_a_hold_is_refused(self, stripe: Stripe) -> None:
        held = stripe.auth()
        assert stripe.error("refunds", payment_intent=held["id"])["code"] == "charge_not_refundable"

    def test_of_a_declined_intent_is_refused(self, stripe: Stripe) -> None:
        error = stripe.error("payment_intents", status=402, **stripe.payment(payment_method="stripe_tok_decline_fraud"))
        refused = stripe.error("refunds", payment_intent=error["payment_intent"]["id"])
        assert refused["code"] == "payment_intent_unexpected_state"

    def test_may_wait_and_then_succeed(self, stripe: Stripe) -> None:
        sold = stripe.sale(payment_method="pm_card_pendingRefund")
        refund = stripe.done("refunds", payment_intent=sold["id"])
        assert (refund["status"], refund["pending_reason"]) == ("pending", "processing")
        assert {"refund.created", "refund.updated"} <= stripe.types()
        assert stripe.get(f"refunds/{refund['id']}")["status"] == "succeeded"

    def test_a_waiting_one_can_be_cancelled(self, stripe: Stripe) -> None:
        sold = stripe.sale(payment_method="stripe_tok_refund_waits")
        refund = stripe.done("refunds", payment_intent=sold["id"])
        assert stripe.done(f"refunds/{refund['id']}/cancel")["status"] == "canceled"
        stripe.types()
        assert stripe.get(f"refunds/{refund['id']}")["status"] == "canceled"
        assert stripe.kinds("ref-1") == [("capture", 1234), ("refund", 1234), ("refund_return", 1234)]

    def test_may_fail_after_it_succeeded(self, stripe: Stripe) -> None:
        sold = stripe.sale(payment_method="pm_card_refundFail")
        refund = stripe.done("refunds", payment_intent=sold["id"], amount=500)
        assert refund["status"] == "succeeded"
        assert {"refund.failed", "charge.refund.updated"} <= stripe.types()

        failed = stripe.get(f"refunds/{refund['id']}", **{"expand[]": "failure_balance_transaction"})
        assert (failed["status"], failed["failure_reason"]) == ("failed", "declined")
        assert failed["failure_balance_transaction"]["net"] == 500
        assert stripe.get(f"charges/{sold['latest_charge']}")["amount_refunded"] == 0
        assert stripe.kinds("ref-1") == [("capture", 1234), ("refund", 500), ("refund_return", 500)]

    def test_the_bank_may_send_any_back(self, stripe: Stripe) -> None:
        sold = stripe.sale()
        stripe.done("refunds", payment_intent=sold["id"])
        failed = stripe.simulator.act("refund_fail", "stripe", reference="ref-1", reason="lost_or_stolen_card")[
            "refund"
        ]
        assert failed["failure_reason"] == "lost_or_stolen_card"
        with pytest.raises(SimulatorError, match="the refund is failed"):
            stripe.simulator.act("refund_fail", "stripe", reference="ref-1")

    def test_made_in_the_dashboard_has_no_reference_of_ours(self, stripe: Stripe) -> None:
        stripe.sale()
        stripe.simulator.act("refund_from_dashboard", "stripe", reference="ref-1", amount_minor=400)
        moved = stripe.simulator.movements("ref-1", "stripe")[-1]
        assert (moved["kind"], moved["amount_minor"], moved["reference"], moved["origin"]) == (
            "refund",
            400,
            "",
            "dashboard",
        )


class TestDisputes:
    def disputed(self, stripe: Stripe, **wish: Any) -> dict[str, Any]:
        stripe.sale()
        made: dict[str, Any] = stripe.simulator.act("dispute", "stripe", reference="ref-1", **wish)["dispute"]
        return made

    def test_a_chargeback_takes_money_and_a_fee(self, stripe: Stripe) -> None:
        dispute = self.disputed(stripe, reason="product_not_received")

        assert (dispute["status"], dispute["reason"]) == ("needs_response", "product_not_received")
        [line] = dispute["balance_transactions"]
        assert (line["type"], line["amount"], line["fee"], line["net"]) == ("adjustment", -1234, 1500, -2734)
        assert {"charge.dispute.created", "charge.dispute.funds_withdrawn"} <= stripe.types()
        assert stripe.kinds("ref-1") == [("capture", 1234), ("chargeback", 1234)]
        moved = stripe.simulator.movements("ref-1", "stripe")
        assert [m["amount_minor"] for m in moved if m["gateway_id"] == dispute["id"]] == [1500, 1234]
        charge = stripe.get(f"charges/{dispute['charge']}")
        assert charge["disputed"] is True
        assert stripe.error("refunds", charge=charge["id"])["code"] == "charge_disputed"

    def test_is_answered_and_won(self, stripe: Stripe) -> None:
        dispute = self.disputed(stripe, amount_minor=600)
        kept = stripe.done(f"disputes/{dispute['id']}", submit="false", evidence__customer_name="Ada")
        sent = stripe.done(f"disputes/{dispute['id']}", evidence__uncategorized_text="They came twice")
        won = stripe.simulator.act("dispute_win", "stripe", reference="ref-1")["dispute"]

        assert (kept["status"], kept["evidence_details"]["submission_count"]) == ("needs_response", 0)
        assert (sent["status"], sent["evidence"]["customer_name"]) == ("under_review", "Ada")
        assert (won["status"], len(won["balance_transactions"])) == ("won", 2)
        assert stripe.kinds("ref-1") == [("capture", 1234), ("chargeback", 600), ("chargeback_return", 600)]
        assert {"charge.dispute.closed", "charge.dispute.funds_reinstated"} <= stripe.types()

    def test_is_lost(self, stripe: Stripe) -> None:
        self.disputed(stripe)
        assert stripe.simulator.act("dispute_lose", "stripe", reference="ref-1")["dispute"]["status"] == "lost"
        assert stripe.kinds("ref-1") == [("capture", 1234), ("chargeback", 1234)]
        with pytest.raises(SimulatorError, match="the dispute is lost"):
            stripe.simulator.act("dispute_win", "stripe", reference="ref-1")

    def test_is_given_up(self, stripe: Stripe) -> None:
        dispute = self.disputed(stripe)
        assert stripe.done(f"disputes/{dispute['id']}/close")["status"] == "lost"
        stripe.error(f"disputes/{dispute['id']}", evidence__customer_name="Ada")

    def test_is_lost_when_nobody_answers(self, stripe: Stripe) -> None:
        dispute = self.disputed(stripe)
        stripe.simulator.act("advance_clock", "stripe", seconds=15 * DAY)
        late = stripe.get(f"disputes/{dispute['id']}")
        assert (late["status"], late["evidence_details"]["past_due"]) == ("lost", True)

    def test_an_inquiry_moves_no_money_until_it_escalates(self, stripe: Stripe) -> None:
        dispute = self.disputed(stripe, kind="inquiry")
        assert (dispute["status"], dispute["is_charge_refundable"]) == ("warning_needs_response", True)
        assert stripe.kinds("ref-1") == [("capture", 1234)]
        escalated = stripe.simulator.act("dispute_escalate", "stripe", transaction_id=dispute["id"])["dispute"]

        assert escalated["status"] == "needs_response"
        assert stripe.kinds("ref-1") == [("capture", 1234), ("chargeback", 1234)]

    def test_an_inquiry_may_be_closed_without_money(self, stripe: Stripe) -> None:
        self.disputed(stripe, kind="inquiry")
        assert stripe.simulator.act("dispute_win", "stripe", reference="ref-1")["dispute"]["status"] == "warning_closed"
        assert stripe.kinds("ref-1") == [("capture", 1234)]

    def test_pre_arbitration_takes_the_money_once_more(self, stripe: Stripe) -> None:
        self.disputed(stripe)
        stripe.simulator.act("dispute_win", "stripe", reference="ref-1")
        again = stripe.simulator.act("pre_arbitration", "stripe", reference="ref-1")["dispute"]
        stripe.simulator.act("dispute_lose", "stripe", reference="ref-1")

        assert again["status"] == "appeal_needs_response"
        assert [line["net"] for line in again["balance_transactions"]] == [-2734, 1234, -1234]
        assert [kind for kind, _ in stripe.kinds("ref-1")] == [
            "capture",
            "chargeback",
            "chargeback_return",
            "chargeback",
        ]

    def test_follows_certain_cards_by_itself(self, stripe: Stripe) -> None:
        stripe.sale(payment_method="pm_card_createDispute")
        assert "charge.dispute.created" in stripe.types()
        assert len(stripe.get("disputes")["data"]) == 1

    def test_needs_captured_money(self, stripe: Stripe) -> None:
        stripe.auth()
        with pytest.raises(SimulatorError, match="nothing to dispute"):
            stripe.simulator.act("dispute", "stripe", reference="ref-1")


class TestPayouts:
    def test_the_lines_of_a_payout_add_up_to_it(self, stripe: Stripe) -> None:
        sold = stripe.sale(amount=10_000)
        stripe.sale("ref-2", amount=5_000, currency="eur")
        stripe.done("refunds", payment_intent=sold["id"], amount=1_000)
        payout = stripe.simulator.act("settle", "stripe")["payout"]
        early = stripe.refused("balance_transactions", 400, payout=payout["id"])
        assert early["code"] == "payout_reconciliation_not_ready"
        assert {"payout.created", "payout.paid", "payout.reconciliation_completed"} <= stripe.types()

        paid = stripe.get(f"payouts/{payout['id']}")
        assert (paid["status"], paid["reconciliation_status"]) == ("paid", "completed")
        lines = stripe.get("balance_transactions", payout=payout["id"])["data"]
        assert sum(line["net"] for line in lines if line["type"] != "payout") == paid["amount"]
        assert [line["net"] for line in lines if line["type"] == "payout"] == [-paid["amount"]]
        assert paid["amount"] == 10_000 - 320 + 5_400 - 187 - 1_000
        assert all(m["settled"] for m in stripe.simulator.movements(gateway="stripe"))
        assert stripe.simulator.act("settle", "stripe")["payout"] is None

    def test_may_fail_after_it_was_paid(self, stripe: Stripe) -> None:
        stripe.sale()
        payout = stripe.simulator.act("settle", "stripe")["payout"]
        stripe.types()
        failed = stripe.simulator.act("payout_fail", "stripe")["payout"]
        assert (failed["status"], failed["failure_code"]) == ("failed", "account_closed")
        assert "payout.failed" in stripe.types()
        again = stripe.simulator.act("settle", "stripe")["payout"]
        assert again["amount"] == payout["amount"]

    def test_becomes_available_after_two_days(self, stripe: Stripe) -> None:
        stripe.sale()
        assert stripe.get("balance")["pending"][0]["amount"] == 1168
        stripe.simulator.act("advance_clock", "stripe", seconds=2 * DAY + 1)
        assert stripe.get("balance")["available"][0]["amount"] == 1168


class TestOddities:
    def test_a_foreign_sale_is_none_of_ours(self, stripe: Stripe) -> None:
        stripe.simulator.act("foreign_sale", "stripe")
        [moved, _] = stripe.simulator.movements(gateway="stripe")
        assert (moved["origin"], moved["reference"]) == ("foreign", "")

    def test_a_hold_that_was_let_go_may_be_captured_after_all(self, stripe: Stripe) -> None:
        held = stripe.auth()
        stripe.done(f"payment_intents/{held['id']}/cancel")
        stripe.simulator.act("capture_after_all", "stripe", reference="ref-1")
        assert stripe.kinds("ref-1") == [("authorisation", 1234), ("void", 1234), ("capture", 1234)]

    def test_every_act_is_refused_for_nothing(self, stripe: Stripe) -> None:
        for action in (
            "capture",
            "void",
            "refund",
            "approve",
            "dispute",
            "dispute_win",
            "expire_hold",
            "resend_webhook",
        ):
            with pytest.raises(SimulatorError, match=r"400: .*field"):
                stripe.simulator.act(action, "stripe", reference="nobody")

    def test_reset_forgets_everything(self, stripe: Stripe) -> None:
        stripe.sale()
        stripe.simulator.reset()
        assert stripe.get("payment_intents")["data"] == []
        wait_for(lambda: stripe.simulator.books(gateway="stripe")["movements"] == [])
