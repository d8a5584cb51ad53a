"""Does a payment go where the rows send it, and does each account passed over say why?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger.money import Money
from payments.models import Credential, GatewayAccount, GatewayHealth, Payment, Route
from payments.services.accounts import ensure_gateway_account
from payments.services.routing import choose_route
from tests.payments.factories import Clock, new_payment, nmi_account

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def first(account: GatewayAccount) -> GatewayAccount:
    return account


@pytest.fixture
def second(first: GatewayAccount, monkeypatch: pytest.MonkeyPatch) -> GatewayAccount:
    """Another merchant account, asked after the first."""
    for field in ("BASE_URL", "SECURITY_KEY", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"GATEWAY_NMI_TWO_{field}", "http://127.0.0.1:9/nmi" if field == "BASE_URL" else "secret")
    return ensure_gateway_account("nmi-two", "nmi", "NMI two", priority=200)


@pytest.fixture
def payment(clock: Clock, second: GatewayAccount) -> Payment:
    """1000 minor units of USD by a card with a token at both accounts."""
    made = new_payment(clock)
    for account in (nmi_account(), second):
        Credential.objects.update_or_create(
            method=made.method, gateway_account=account, defaults={"token": f"tok_{account.slug}", "reusable": False}
        )
    return made


def why(payment: Payment, **more: object) -> str:
    return " ".join(choose_route(payment, now=NOW, **more).why)  # type: ignore[arg-type]


def chosen(payment: Payment, **more: object) -> str:
    account = choose_route(payment, now=NOW, **more).account  # type: ignore[arg-type]
    return account.slug if account else "none"


class TestChoosing:
    def test_the_first_route_by_priority_is_taken_with_its_credential(self, payment: Payment) -> None:
        choice = choose_route(payment, now=NOW)

        assert (choice.account, choice.credential and choice.credential.token) == (nmi_account(), "tok_nmi")
        assert choice.why == ("NMI: first that can take it.",)

    def test_the_priority_of_routes_decides_and_not_that_of_accounts(self, payment: Payment) -> None:
        Route.objects.filter(gateway_account__slug="nmi-two").update(priority=1)

        assert chosen(payment) == "nmi-two"

    def test_a_wanted_gateway_is_the_only_one_that_is_asked(self, payment: Payment) -> None:
        payment.wanted_gateway = "nmi-two"
        assert chosen(payment) == "nmi-two"

        Route.objects.filter(gateway_account__slug="nmi-two").delete()
        assert why(payment) == "No route leads to nmi-two, and no other gateway may be asked."

    def test_without_routes_nothing_is_asked(self, payment: Payment) -> None:
        Route.objects.all().delete()

        assert why(payment) == "No route is set up."

    def test_an_account_with_several_routes_stands_where_its_first_fitting_one_does(self, payment: Payment) -> None:
        Route.objects.filter(gateway_account__slug="nmi").update(currency="EUR")
        Route.objects.create(name="Late", gateway_account=nmi_account(), priority=900)

        choice = choose_route(payment, now=NOW)
        assert choice.account is not None and choice.account.slug == "nmi-two"
        assert choice.why == ("NMI two: first that can take it.",)

    def test_the_band_is_judged_by_what_is_to_be_collected(self, payment: Payment) -> None:
        Route.objects.filter(gateway_account__slug="nmi").update(currency="USD", min_minor=500, max_minor=1000)

        assert chosen(payment) == "nmi"
        assert chosen(payment, amount=Money(500, "USD")) == "nmi"
        assert chosen(payment, amount=Money(499, "USD")) == "nmi-two"
        assert chosen(payment, amount=Money(1001, "USD")) == "nmi-two"


class TestRefusals:
    """Each makes the first account unfit, and the second is taken with the reason written down."""

    @pytest.fixture(autouse=True)
    def _second_takes_it(self, payment: Payment) -> None:
        self.payment = payment

    def refused(self, sentence: str, **more: object) -> None:
        choice = choose_route(self.payment, now=NOW, **more)  # type: ignore[arg-type]
        assert choice.why == (f"NMI: {sentence}", "NMI two: next that can take it.")
        assert choice.account is not None and choice.account.slug == "nmi-two"

    def route(self, **fields: object) -> None:
        Route.objects.filter(gateway_account__slug="nmi").update(**fields)

    def account(self, **fields: object) -> None:
        GatewayAccount.objects.filter(slug="nmi").update(**fields)

    def credential(self, **fields: object) -> None:
        Credential.objects.filter(gateway_account__slug="nmi").update(**fields)

    def test_asked_already(self) -> None:
        self.refused("asked already.", tried=[nmi_account().pk])

    def test_route_switched_off(self) -> None:
        self.route(enabled=False)
        self.refused("its route “Everything to NMI” is switched off.")

    def test_other_currency(self) -> None:
        self.route(currency="EUR")
        self.refused("its route “Everything to NMI” is for EUR.")

    def test_other_kind_of_method(self) -> None:
        self.route(method_kind="upi")
        self.refused("its route “Everything to NMI” is for upi.")

    def test_too_small(self) -> None:
        self.route(currency="USD", min_minor=1001)
        self.refused("its route “Everything to NMI” begins at 10.01 USD.")

    def test_too_large(self) -> None:
        self.route(currency="USD", max_minor=999)
        self.refused("its route “Everything to NMI” ends at 9.99 USD.")

    def test_account_switched_off(self) -> None:
        self.account(enabled=False)
        self.refused("switched off.")

    def test_account_of_other_currencies(self) -> None:
        self.account(currencies=["EUR", "GBP"])
        self.refused("takes no USD.")

    def test_account_paused(self) -> None:
        self.account(paused_at=NOW, paused_by="olga", paused_because="maintenance")
        self.refused("paused by olga: maintenance.")

    def test_breaker_open(self) -> None:
        GatewayHealth.objects.create(
            gateway_account=nmi_account(), state="open", failures=3, last_failure="no connection could be made",
            next_check_at=NOW + timedelta(minutes=4),
        )  # fmt: skip
        self.refused("no answer 3 times in a row (no connection could be made), breaker open, not before 12:04 UTC.")

    def test_no_credential(self) -> None:
        Credential.objects.filter(gateway_account__slug="nmi").delete()
        self.refused("the payer's method has no credential for it.")

    def test_spent_token(self) -> None:
        self.credential(used_at=NOW)
        self.refused("its single-use token is spent.")

    def test_a_stored_credential_is_never_spent(self) -> None:
        self.credential(used_at=NOW, reusable=True)
        assert chosen(self.payment) == "nmi"

    def test_credentials_of_ours_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GATEWAY_NMI_SECURITY_KEY")
        self.refused("GATEWAY_NMI_SECURITY_KEY is not set.")

    def test_everybody_refuses_and_every_reason_is_told(self) -> None:
        self.account(enabled=False)
        GatewayAccount.objects.filter(slug="nmi-two").update(currencies=["EUR"])

        assert why(self.payment) == "NMI: switched off. NMI two: takes no USD."
        assert chosen(self.payment) == "none"


def test_a_blocked_method_goes_nowhere(payment: Payment) -> None:
    payment.method.blocked_at = NOW
    payment.method.save()
    payment.refresh_from_db()

    assert chosen(payment) == "none"
    assert "blocked" in why(payment)
