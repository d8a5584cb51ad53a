"""What becomes of a payment method? Credentials are kept and never lost, blocks hold everywhere, two people lift them."""

from __future__ import annotations

import logging
from datetime import date
from functools import partial
from threading import Event
from time import sleep

import pytest
from django.db import connection, transaction

from payments.errors import Forbidden, InvalidInput, NotAllowedNow, NotFound
from payments.gateways.base import CardShown, Issued
from payments.models import Approval, Attempt, Credential, MethodBlock, Operation, Payment, PaymentMethod
from payments.services.actors import SYSTEM
from payments.services.intake import MethodRequest, PaymentRequest, create_payment
from payments.services.methods import (
    ask_lift,
    block_method,
    keep_issued,
    record_block,
    stored_flags,
    why_blocked,
    why_unusable,
)
from tests.payments.approvals.people import REASON, agree, at_once, method, person
from tests.payments.factories import Clock, new_payment, nmi_account

pytestmark = pytest.mark.django_db(transaction=True)
CARD = CardShown("visa", "4242", (2030, 2), "fp_1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def payment(clock: Clock) -> Payment:
    nmi_account()
    return new_payment(clock, token="nmi_once_1")


@pytest.fixture
def operation(payment: Payment, clock: Clock) -> Operation:
    """The first call of the payment, sent."""
    account = nmi_account()
    attempt = Attempt.objects.create(
        payment=payment, number=1, gateway_account=account, reference="cf-1", created_at=clock()
    )
    payment.method.credentials.update(used_at=clock())
    return Operation.objects.create(
        payment=payment, attempt=attempt, gateway_account=account, kind="sale", reference="cf-1",
        amount_minor=1000, currency="USD", request={}, planned_at=clock(),
    )  # fmt: skip


def credential() -> Credential:
    return Credential.objects.select_related("method", "gateway_account").get()


def pay_with(method: PaymentMethod, clock: Clock, gateway: str = "") -> Payment:
    again = MethodRequest("card", payment_method=method.public_id)
    request = PaymentRequest(1000, "USD", "again", again, gateway=gateway, allow_another=True)
    return create_payment(request, actor=SYSTEM, now=clock())


class TestKeeping:
    def test_a_token_becomes_a_stored_credential(self, operation: Operation, clock: Clock) -> None:
        keep_issued(operation.pk, Issued("vault_1", "cus_1", "ntid_1", CARD), clock())
        kept = credential()
        assert (kept.token, kept.customer, kept.network_transaction_id) == ("vault_1", "cus_1", "ntid_1")
        assert kept.reusable and kept.usable and kept.exchanged_at is not None
        told = kept.method
        assert (told.brand, told.last_four, told.expires_on) == ("visa", "4242", date(2030, 2, 28))
        assert told.fingerprint == "nmi:fp_1"

    def test_the_same_answer_twice_changes_nothing(self, operation: Operation, clock: Clock) -> None:
        issued = Issued("vault_1", "cus_1", "ntid_1", CARD)
        keep_issued(operation.pk, issued, clock())
        before = Credential.objects.values().get()
        clock.pass_(hours=1)
        keep_issued(operation.pk, issued, clock())
        assert Credential.objects.values().get() == before

    @pytest.mark.parametrize(
        "later",
        [
            Issued(),
            Issued("vault_2", "cus_2", "ntid_2"),
            Issued(customer="cus_2"),
            Issued(card=CardShown("amex", "0005")),
        ],
    )
    def test_a_stored_one_is_never_lost(self, operation: Operation, clock: Clock, later: Issued) -> None:
        keep_issued(operation.pk, Issued("vault_1", "cus_1", "ntid_1", CARD), clock())
        keep_issued(operation.pk, later, clock())
        kept = credential()
        assert (kept.token, kept.customer, kept.network_transaction_id) == ("vault_1", "cus_1", "ntid_1")
        assert (kept.method.brand, kept.method.last_four) == ("visa", "4242")

    def test_an_answer_about_the_card_alone_leaves_the_token(self, operation: Operation, clock: Clock) -> None:
        before = credential().token
        keep_issued(operation.pk, Issued(network_transaction_id="ntid_1", card=CARD), clock())
        kept = credential()
        assert (kept.token, kept.reusable, kept.usable) == (before, False, False)
        assert (kept.network_transaction_id, kept.method.last_four) == ("ntid_1", "4242")

    @pytest.mark.parametrize(
        "odd", [CardShown("x" * 90, "42", (2030, 13)), CardShown(last_four="abcd", expires=(1, 1))]
    )
    def test_odd_words_about_a_card_do_no_harm(self, operation: Operation, clock: Clock, odd: CardShown) -> None:
        keep_issued(operation.pk, Issued(card=odd), clock())
        told = credential().method
        assert (told.last_four, told.expires_on) == ("", None)

    def test_no_credential_stands_in_a_log_or_a_text(
        self, operation: Operation, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        issued = Issued("vault_secret", "cus_secret", "ntid_1")
        with caplog.at_level(logging.DEBUG, logger="payments"):
            keep_issued(operation.pk, issued, clock())
        shown = f"{caplog.text} {issued} {credential()} {credential()!r}"
        assert "secret" not in shown

    def test_of_two_answers_at_once_the_first_stays(self, operation: Operation, clock: Clock) -> None:
        """The first has written and not committed when the second comes: it has to wait, and then leave it."""
        written = Event()

        def first() -> str:
            with transaction.atomic():
                keep_issued(operation.pk, Issued("vault_1", "cus_1"), clock())
                written.set()
                sleep(0.5)
            return "done"

        def second() -> str:
            written.wait(60)
            keep_issued(operation.pk, Issued("vault_2", "cus_2"), clock())
            return "done"

        at_once([first, second])
        assert (credential().token, credential().customer) == ("vault_1", "cus_1")


class TestFlags:
    def test_a_single_use_token_is_stored_along_with_its_first_use(self, payment: Payment) -> None:
        assert stored_flags(payment, credential()) == {
            "reusable": False,
            "store": True,
            "initiated_by": "customer",
            "stored_credential": "stored",
            "network_transaction_id": "",
            "customer": "",
        }

    def test_a_stored_one_refers_to_its_first_use(self, payment: Payment, operation: Operation, clock: Clock) -> None:
        keep_issued(operation.pk, Issued("vault_1", "cus_1", "ntid_1"), clock())
        payment.initiated_by = "merchant"
        assert stored_flags(payment, credential()) == {
            "reusable": True,
            "store": False,
            "initiated_by": "merchant",
            "stored_credential": "used",
            "network_transaction_id": "ntid_1",
            "customer": "cus_1",
        }


class TestPayingAgain:
    def test_with_a_stored_credential(self, operation: Operation, clock: Clock) -> None:
        keep_issued(operation.pk, Issued("vault_1"), clock())
        assert pay_with(operation.payment.method, clock).method == operation.payment.method
        assert pay_with(operation.payment.method, clock, "nmi").wanted_gateway == "nmi"

    def test_with_a_spent_token_is_refused_in_a_sentence(self, operation: Operation, clock: Clock) -> None:
        with pytest.raises(InvalidInput, match="its single-use token is spent") as refused:
            pay_with(operation.payment.method, clock)
        assert refused.value.field == "method.payment_method"
        assert Payment.objects.count() == 1

    def test_at_a_gateway_that_holds_nothing_is_refused(self, payment: Payment, clock: Clock) -> None:
        payment.method.credentials.all().delete()
        with pytest.raises(InvalidInput, match="Gateway account nmi holds no credential"):
            pay_with(payment.method, clock, "nmi")
        assert why_unusable(payment.method) == "Gateway accounts hold no credential for it."

    def test_with_a_blocked_one_is_refused(self, payment: Payment, clock: Clock) -> None:
        record_block(payment.method, because="NMI answered 253: fraud", by="", now=clock())
        with pytest.raises(InvalidInput, match=r"blocked since .*NMI answered 253: fraud"):
            pay_with(payment.method, clock)
        assert Payment.objects.count() == 1

    def test_with_the_same_card_under_another_name_is_refused(self, payment: Payment, clock: Clock) -> None:
        PaymentMethod.objects.update(fingerprint="nmi:fp_1")
        twin = method(fingerprint="nmi:fp_1")
        record_block(twin, because="stolen", by="olga", now=clock())
        with pytest.raises(InvalidInput, match=f"same card is blocked as {twin.public_id}: stolen"):
            pay_with(payment.method, clock)


class TestBlocking:
    def test_a_person_blocks_with_a_reason(self, clock: Clock) -> None:
        row = method()
        block_method(
            row.public_id, reason="the payer reported it stolen", actor=person("olga", "operator"), now=clock()
        )
        block = MethodBlock.objects.get()
        assert (block.method, block.because, block.blocked_by) == (row, "the payer reported it stolen", "olga")
        row.refresh_from_db()
        assert "reported it stolen" in why_blocked(row)

    def test_every_refusal_writes_nothing(self, clock: Clock) -> None:
        row = method()
        with pytest.raises(Forbidden):
            block_method(row.public_id, reason="stolen card", actor=person("sue", "support"), now=clock())
        with pytest.raises(InvalidInput):
            block_method(row.public_id, reason="  no", actor=person("olga", "operator"), now=clock())
        with pytest.raises(NotFound):
            block_method("pm_nobody", reason="stolen card", actor=person("olga", "operator"), now=clock())
        row.refresh_from_db()
        assert row.blocked_at is None
        assert not MethodBlock.objects.exists()

    def test_a_blocked_one_keeps_its_first_reason(self, clock: Clock) -> None:
        row = method()
        record_block(row, because="first", by="", now=clock())
        record_block(PaymentMethod.objects.get(), because="second", by="", now=clock())
        with pytest.raises(NotAllowedNow, match="first"):
            block_method(row.public_id, reason="a third one", actor=person("olga", "operator"), now=clock())
        assert [block.because for block in MethodBlock.objects.all()] == ["first"]

    def test_of_many_at_once_one_is_kept(self, clock: Clock) -> None:
        row = method()

        def block(n: int) -> str:
            record_block(PaymentMethod.objects.get(pk=row.pk), because=f"reason {n}", by="", now=clock())
            return "done"

        at_once([partial(block, n) for n in range(6)])
        row.refresh_from_db()
        assert [block.because for block in MethodBlock.objects.all()] == [row.blocked_because]


class TestLifting:
    @pytest.fixture
    def blocked(self, clock: Clock) -> PaymentMethod:
        row = method(fingerprint="nmi:fp_1")
        record_block(row, because="NMI answered 253", by="", now=clock())
        return row

    def ask(self, row: PaymentMethod, clock: Clock) -> Approval:
        return ask_lift(row.public_id, reason=REASON, actor=person("mia", "operator"), now=clock())

    def test_takes_two_people_and_keeps_who_and_why(self, blocked: PaymentMethod, clock: Clock) -> None:
        asked = self.ask(blocked, clock)
        assert ["Blocked because", "NMI answered 253"] in asked.shown
        blocked.refresh_from_db()
        assert blocked.blocked_at is not None
        assert agree(asked, person("carl"), clock).state == "executed"
        lifted = PaymentMethod.objects.get(pk=blocked.pk)
        assert (lifted.blocked_at, lifted.blocked_because, why_blocked(lifted)) == (None, "", "")
        block = MethodBlock.objects.get()
        assert (block.asked_by, block.approved_by, block.lifted_because) == ("mia", "carl", REASON)
        assert block.lifted_at is not None

    def test_a_twin_s_block_stays_and_both_are_told(self, blocked: PaymentMethod, clock: Clock) -> None:
        twin = method(fingerprint="nmi:fp_1")
        record_block(twin, because="stolen", by="olga", now=clock())
        asked = self.ask(blocked, clock)
        assert ["Stays refused", f"the same card is blocked as {twin.public_id} too"] in asked.shown
        agree(asked, person("carl"), clock)
        blocked.refresh_from_db()
        assert twin.public_id in why_blocked(blocked)

    def test_another_block_meanwhile_voids_the_request(self, blocked: PaymentMethod, clock: Clock) -> None:
        asked = self.ask(blocked, clock)
        PaymentMethod.objects.filter(pk=blocked.pk).update(blocked_because="worse")
        assert agree(asked, person("carl"), clock).state == "outdated"
        blocked.refresh_from_db()
        assert blocked.blocked_at is not None

    def test_what_changes_at_this_very_moment_voids_the_request(self, blocked: PaymentMethod, clock: Clock) -> None:
        """The other transaction has written and not committed: reading before the lock would still see the old words."""
        asked, carl, written = self.ask(blocked, clock), person("carl"), Event()

        def worse() -> str:
            with transaction.atomic():
                PaymentMethod.objects.filter(pk=blocked.pk).update(blocked_because="worse")
                written.set()
                sleep(0.5)
            return "written"

        def lift() -> str:
            written.wait(60)
            return agree(asked, carl, clock).outcome

        _, outcome = at_once([worse, lift])
        assert outcome == "Not carried out: Blocked because was NMI answered 253, is worse."
        blocked.refresh_from_db()
        assert blocked.blocked_at is not None

    def test_what_is_not_blocked_can_not_be_lifted(self, clock: Clock) -> None:
        with pytest.raises(NotAllowedNow, match="not blocked"):
            self.ask(method(), clock)
        with pytest.raises(NotFound):
            ask_lift("pm_nobody", reason=REASON, actor=person("mia", "operator"), now=clock())
        assert not Approval.objects.exists()

    def test_blocked_again_it_has_two_lines_of_history(self, blocked: PaymentMethod, clock: Clock) -> None:
        agree(self.ask(blocked, clock), person("carl"), clock)
        record_block(blocked, because="again", by="", now=clock())
        assert [(b.because, b.lifted_at is None) for b in blocked.blocks.all()] == [
            ("again", True),
            ("NMI answered 253", False),
        ]
        asked = self.ask(blocked, clock)
        assert ["Blocked how often", "2 times"] in asked.shown


def test_the_lock_of_a_method_lets_payments_with_it_be_stored(clock: Clock, payment: Payment) -> None:
    """A payment's foreign key takes a share lock on its method: keeping a credential must not stop intake."""
    keeper = "SELECT id FROM payments_paymentmethod WHERE id = %s FOR NO KEY UPDATE"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(keeper, [payment.method_id])
        assert at_once([lambda: pay_with(payment.method, clock).reference]) == ["again"]
