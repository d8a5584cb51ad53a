"""What does a person see of a payment method, and how do they block it and have the block lifted? Never a credential."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from payments.models import Approval, Credential, GatewayAccount, MethodBlock, Payer, Payment, PaymentMethod
from payments.services.methods import record_block
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.factories import Clock, new_payment, nmi_account

pytestmark = pytest.mark.django_db
LIST = reverse("admin:payments_paymentmethod_changelist")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def olga() -> Client:
    return signed_in("operator", "olga")


@pytest.fixture
def method() -> PaymentMethod:
    payer = Payer.objects.create(name="Emmy Noether", email="emmy@example.com", external_id="emmy")
    row = PaymentMethod.objects.create(kind="card", brand="visa", last_four="4242", payer=payer)
    Credential.objects.create(method=row, gateway_account=nmi_account(), token="tok_secret_of_emmy")
    return row


def address(method: PaymentMethod, command: str = "change") -> str:
    return reverse(f"admin:payments_paymentmethod_{command}", args=(method.public_id,))


def other_account() -> GatewayAccount:
    return GatewayAccount.objects.create(slug="second", provider="nmi", name="Second")


class TestLooking:
    def test_the_list_is_masked(self, olga: Client, method: PaymentMethod) -> None:
        words = text_of(olga.get(LIST))
        for word in ("visa •••• 4242", method.public_id, "Emmy N.", "NMI", "accepted"):
            assert word in words
        assert "Noether" not in words

    def test_no_credential_stands_on_any_page(self, olga: Client, method: PaymentMethod) -> None:
        Credential.objects.update(customer="cus_secret", network_transaction_id="ntid_secret")
        for path in (LIST, address(method), address(method, "block")):
            assert "secret" not in olga.get(path).content.decode()

    @pytest.mark.parametrize(
        ("fields", "chip", "sentence"),
        [
            ({}, "single-use, not used yet", "No failover: only NMI can be asked."),
            (
                {"used_at": NOW},
                "single-use, spent",
                "No retry and no failover: the single-use token of NMI is spent, and no stored credential was issued.",
            ),
            ({"used_at": NOW, "reusable": True, "exchanged_at": NOW}, "stored", "No failover: only NMI can be asked."),
        ],
    )
    def test_says_in_which_state_each_credential_is(
        self, olga: Client, method: PaymentMethod, fields: dict[str, object], chip: str, sentence: str
    ) -> None:
        Credential.objects.update(**fields)
        words = text_of(olga.get(address(method)))
        assert chip in words
        assert sentence in words

    def test_with_two_gateways_it_names_both(self, olga: Client, method: PaymentMethod) -> None:
        Credential.objects.create(method=method, gateway_account=other_account(), token="x")
        assert "NMI and Second can be asked." in text_of(olga.get(address(method)))
        Credential.objects.filter(gateway_account__slug="nmi").update(used_at=NOW)
        words = text_of(olga.get(address(method)))
        assert "No failover: only Second can be asked; the single-use token of NMI is spent." in words

    def test_without_any_it_says_so(self, olga: Client, method: PaymentMethod) -> None:
        Credential.objects.all().delete()
        assert "no gateway account holds a credential" in text_of(olga.get(address(method)))
        assert "spent" in text_of(olga.get(LIST))

    def test_names_the_same_card_under_other_methods(self, olga: Client, method: PaymentMethod) -> None:
        PaymentMethod.objects.update(fingerprint="nmi:1")
        twin = PaymentMethod.objects.create(kind="card", fingerprint="nmi:1")
        record_block(twin, because="stolen", by="", now=NOW)
        words = text_of(olga.get(address(method)))
        assert f"The same card is blocked as {twin.public_id}: stolen" in words
        assert "blocked" in words

    def test_the_filter_finds_what_is_blocked(self, olga: Client, method: PaymentMethod) -> None:
        blocked = PaymentMethod.objects.create(kind="card")
        record_block(blocked, because="stolen", by="", now=NOW)
        words = text_of(olga.get(f"{LIST}?blocked=yes"))
        assert blocked.public_id in words
        assert method.public_id not in words

    def test_the_list_asks_the_same_number_of_questions_however_long(
        self, olga: Client, method: PaymentMethod, django_assert_max_num_queries: object
    ) -> None:
        olga.get(LIST)
        for n in range(30):
            row = PaymentMethod.objects.create(kind="card", payer=method.payer, last_four=f"{n:04}")
            Credential.objects.create(method=row, gateway_account=nmi_account(), token=f"t{n}")
        with django_assert_max_num_queries(12):  # type: ignore[operator]
            olga.get(LIST)


class TestBlocking:
    def test_takes_a_reason_and_holds_at_once(self, olga: Client, method: PaymentMethod) -> None:
        shown, confirmed = prepare(olga, address(method, "block"), reason="the payer lost it")
        assert "every payment with it is refused" in text_of(shown)
        method.refresh_from_db()
        assert method.blocked_at is None
        done = olga.post(address(method, "block"), confirmed)
        words = text_of(olga.get(done.url))
        assert "It is blocked since" in words and "the payer lost it" in words
        assert MethodBlock.objects.get().blocked_by == "olga"

    def test_twice_is_refused(self, olga: Client, method: PaymentMethod) -> None:
        _, confirmed = prepare(olga, address(method, "block"), reason="the payer lost it")
        assert olga.post(address(method, "block"), confirmed).status_code == 302
        again = olga.post(address(method, "block"), confirmed)
        assert again.status_code == 422
        assert "It is blocked since" in text_of(again)
        assert MethodBlock.objects.count() == 1

    def test_support_sees_who_could(self, method: PaymentMethod) -> None:
        support = signed_in("support")
        assert "Block it everywhere finance, operator could" in text_of(support.get(address(method)))
        assert support.post(address(method, "block"), {"reason": "stolen card"}).status_code == 403


class TestLifting:
    def test_goes_from_the_method_over_a_second_person_back(self, olga: Client, method: PaymentMethod) -> None:
        record_block(method, because="NMI answered 253", by="", now=NOW)
        shown, confirmed = prepare(olga, address(method, "lift"), reason="the card was found")
        assert "Blocked because NMI answered 253" in text_of(shown)
        olga.post(address(method, "lift"), confirmed)
        words = text_of(olga.get(address(method)))
        assert "olga asked for the block to be lifted" in words
        assert "It has been asked for already" in words

        carl = signed_in("finance", "carl")
        approve = reverse("admin:payments_approval_approve", args=(Approval.objects.get().public_id,))
        _, agreed = prepare(carl, approve)
        carl.post(approve, agreed)
        words = text_of(carl.get(address(method)))
        assert "olga, carl the card was found" in words
        assert "accepted" in words

    def test_of_what_is_not_blocked_is_refused_in_words(self, olga: Client, method: PaymentMethod) -> None:
        shown = olga.post(address(method, "lift"), {"reason": "the card was found", "step": "preview"})
        assert shown.status_code == 422
        assert "not blocked" in text_of(shown)


class TestThePaymentsPage:
    def words(self, client: Client, payment: Payment) -> str:
        return text_of(client.get(reverse("admin:payments_payment_change", args=(payment.public_id,))))

    def test_says_that_no_other_try_is_possible(self, olga: Client) -> None:
        nmi_account()
        payment = new_payment(Clock(), token="nmi_once_1")
        assert "No failover: only NMI can be asked." in self.words(olga, payment)
        Credential.objects.update(used_at=NOW)
        assert "No retry and no failover: the single-use token of NMI is spent" in self.words(olga, payment)

    def test_says_nothing_of_it_where_two_gateways_could_be_asked(self, olga: Client) -> None:
        nmi_account()
        payment = new_payment(Clock(), token="nmi_once_1")
        Credential.objects.create(method=payment.method, gateway_account=other_account(), token="x")
        assert "failover" not in self.words(olga, payment)

    def test_says_that_the_method_is_blocked(self, olga: Client) -> None:
        nmi_account()
        payment = new_payment(Clock())
        record_block(payment.method, because="NMI answered 253", by="", now=NOW)
        assert "Blocked, at no gateway taken: NMI answered 253" in self.words(olga, payment)
