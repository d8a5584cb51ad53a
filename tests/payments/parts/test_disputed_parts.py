"""A dispute over a part: while it is argued about the part stands; lost, it is gone and was never a loss of ours."""

from __future__ import annotations

import hashlib
import hmac

from django.db import transaction

from ledger.money import Money
from ledger.services import post_entries
from payments.accounting import Booking, part_owed
from payments.models import InboundEvent, Payment
from payments.queries.proofs import completeness_findings
from payments.services.actors import SYSTEM
from payments.services.inbox import drain_inbox, store_event
from payments.services.short import preview_short
from payments.states import PaymentState
from tests.payments.flows.books import balance, open_reviews
from tests.payments.parts.conftest import Shop
from tests.payments.parts.test_endings import decide
from tests.payments.parts.test_taking_parts import assert_sound

S = PaymentState


def hear(shop: Shop) -> None:
    """Every webhook made so far, signed anew."""
    shop.simulator.wait_until_quiet()
    for delivery in shop.simulator.webhooks(gateway="stripe"):
        body = str(delivery["body"]).encode()
        stamp = str(int(shop.clock().timestamp()))
        mac = hmac.new(b"whsec_demo", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        store_event("stripe", {"stripe-signature": f"t={stamp},v1={mac}"}, body, now=shop.clock())
    for _ in range(4):  # what was parked is heard again
        drain_inbox(shop.clock)
        InboundEvent.objects.filter(state="parked").update(next_check_at=shop.clock())


def says(shop: Shop, payment: Payment, action: str) -> Payment:
    """The issuer's doing, an hour after the last."""
    shop.clock.pass_(hours=1)
    shop.simulator.act("advance_clock", gateway="stripe", seconds=3600)
    shop.act(payment, action)
    hear(shop)
    return shop.follows(payment)


class TestADispute:
    def test_while_it_is_argued_about_the_part_stands_and_is_not_accepted_short(self, stripe: Shop) -> None:
        payment = says(stripe, stripe.sells_half(), "dispute")

        assert (payment.state, payment.money_in_doubt) == (S.PARTIALLY_PAID, True)
        assert (balance("2025"), balance("1130")) == (-500, 500)
        assert preview_short(payment.public_id, actor=SYSTEM, now=stripe.clock()).refused
        assert_sound()

    def test_won_the_part_stands_as_before(self, stripe: Shop) -> None:
        payment = says(stripe, says(stripe, stripe.sells_half(), "dispute"), "dispute_win")

        assert (payment.state, payment.money_in_doubt) == (S.PARTIALLY_PAID, False)
        assert (balance("2025"), balance("1130"), balance("5020")) == (-500, 0, 0)
        assert_sound()

    def test_lost_the_part_is_gone_and_the_payment_is_where_it_was_before(self, stripe: Shop) -> None:
        payment = says(stripe, says(stripe, stripe.sells_half(), "dispute"), "dispute_lose")

        assert payment.state == S.PENDING
        assert (balance("2025"), balance("1130"), balance("5020"), balance("2020")) == (0, 0, 0, 0)
        assert open_reviews() == ["dispute_lost"]
        assert_sound()

        decide(stripe, "noted")
        payment = stripe.follows(payment)
        assert payment.state in {S.PENDING, S.FAILED}


class TestTheProof:
    def test_notices_held_money_that_no_partially_paid_payment_explains(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        assert [*map(str, completeness_findings())] == []
        booking = Booking("damage:1", payment.public_id, "damage", nmi.clock(), "nmi", payment.public_id)

        with transaction.atomic():
            post_entries([part_owed(Money(100, "USD"), booking)], now=nmi.clock())

        found = [finding for finding in completeness_findings() if finding.kind == "part_without_payment"]
        assert len(found) == 1
        assert "400 minor units are held, partially paid payments explain 500" in str(found[0])
