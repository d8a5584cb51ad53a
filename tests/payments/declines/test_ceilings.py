"""Is a card left alone once it was declined as often as its network allows, or once the network has barred it?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.money import Money
from payments.models import NetworkCeiling, Payment
from payments.services.declining import ceiling_reached
from tests.payments.declines.rows import card, refused

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
USD = Money(1000, "USD")


@pytest.fixture(params=["rows", "defaults"], autouse=True)
def _where(request: Any) -> None:
    """The published ceilings hold whether the table has them or has none at all."""
    NetworkCeiling.objects.all().delete()
    if request.param == "rows":
        ceiling("visa", 15, 720)
        ceiling("mastercard", 10, 24, calendar_day=True)
        ceiling("mastercard", 35, 720, same_amount=True)
        ceiling("", 15, 720)


def ceiling(network: str, declines: int, hours: int, **fields: Any) -> NetworkCeiling:
    return NetworkCeiling.objects.create(network=network, declines=declines, window_hours=hours, **fields)


def times(number: int, payment: Payment, at: datetime, **told: Any) -> None:
    for _ in range(number):
        refused(payment, at, **told)


class TestPublished:
    @pytest.mark.parametrize("brand", ["visa", "amex", ""])
    def test_fifteen_in_thirty_days(self, brand: str) -> None:
        payment = card(brand)
        times(14, payment, NOW - 5 * DAY)
        assert ceiling_reached(payment.method, USD, NOW) == ""

        times(1, payment, NOW - HOUR)

        assert "declined 15 times within 30 days" in ceiling_reached(payment.method, USD, NOW)
        assert ceiling_reached(payment.method, USD, NOW + 26 * DAY) == ""

    def test_ten_mastercard_declines_on_one_business_day(self, settings: Any) -> None:
        settings.BUSINESS_TIME_ZONE = "America/New_York"
        payment = card("mastercard")
        midnight = datetime(2026, 3, 20, 4, tzinfo=UTC)  # in New York
        times(9, payment, midnight + timedelta(minutes=1))
        times(5, payment, midnight - timedelta(minutes=1))
        assert ceiling_reached(payment.method, USD, NOW) == ""

        times(1, payment, NOW)

        assert "10 times in one business day" in ceiling_reached(payment.method, USD, NOW)
        assert ceiling_reached(payment.method, USD, midnight + DAY) == ""

    def test_thirty_five_mastercard_declines_of_one_amount(self) -> None:
        payment = card("mastercard")
        for day in range(1, 8):
            times(5, payment, NOW - day * DAY)

        assert "35 times of" in ceiling_reached(payment.method, USD, NOW)
        assert ceiling_reached(payment.method, Money(1001, "USD"), NOW) == ""


class TestCounting:
    def test_is_by_card_over_all_its_payments_and_methods(self) -> None:
        one, other, stranger = card(), card(), card(fingerprint="fp_2")
        times(8, one, NOW - DAY)
        times(7, other, NOW - DAY)

        assert ceiling_reached(one.method, USD, NOW) != ""
        assert ceiling_reached(stranger.method, USD, NOW) == ""

    def test_is_by_method_where_no_gateway_has_told_the_card(self) -> None:
        one, other = card(fingerprint=""), card(fingerprint="")
        times(15, one, NOW - DAY)

        assert ceiling_reached(one.method, USD, NOW) != ""
        assert ceiling_reached(other.method, USD, NOW) == ""

    @pytest.mark.parametrize(
        "told",
        [
            {"failure_class": "gateway_unavailable"}, {"failure_class": "gateway_error"},
            {"failure_class": "configuration_error"}, {"failure_class": "invalid_request"},
            {"state": "failed", "certainty": "not_sent"}, {"state": "succeeded", "certainty": "taken"},
            {"kind": "capture"},
        ],
    )  # fmt: skip
    def test_leaves_out_what_never_reached_the_network_or_collects_nothing(self, told: dict[str, str]) -> None:
        payment = card()
        times(20, payment, NOW - DAY, **told)

        assert ceiling_reached(payment.method, USD, NOW) == ""


class TestConfigured:
    def test_a_row_of_the_network_replaces_the_default(self) -> None:
        payment = card("discover")
        ceiling("discover", 2, 48)
        times(2, payment, NOW - DAY)

        assert "Discover allows no more than 2" in ceiling_reached(payment.method, USD, NOW)

    def test_switched_off_it_counts_nothing(self) -> None:
        NetworkCeiling.objects.all().delete()
        payment = card()
        ceiling("visa", 1, 720, enabled=False)
        times(30, payment, NOW - DAY)

        assert ceiling_reached(payment.method, USD, NOW) == ""

    def test_other_ways_to_pay_have_none(self) -> None:
        payment = card()
        payment.method.kind = "upi"
        times(30, payment, NOW - DAY)

        assert ceiling_reached(payment.method, USD, NOW) == ""

    def test_it_costs_three_queries_however_many_declines(self, django_assert_num_queries: Any) -> None:
        payment = card("mastercard")
        times(30, payment, NOW - 2 * DAY)

        with django_assert_num_queries(3):
            ceiling_reached(payment.method, USD, NOW)


class TestBarred:
    @pytest.mark.parametrize(
        ("brand", "told"),
        [
            ("mastercard", {"network_advice": "03"}), ("mastercard", {"network_advice": "21"}),
            ("visa", {"network_code": "14"}), ("visa", {"network_advice": "1"}),
        ],
    )  # fmt: skip
    def test_one_such_answer_bars_the_card_for_thirty_days(self, brand: str, told: dict[str, str]) -> None:
        payment, again = card(brand), card(brand)
        refused(payment, NOW, **told)

        assert "not asked again before 19 Apr 2026" in ceiling_reached(again.method, USD, NOW + HOUR)
        assert ceiling_reached(again.method, USD, NOW + 30 * DAY - HOUR) != ""
        assert ceiling_reached(again.method, USD, NOW + 30 * DAY) == ""

    @pytest.mark.parametrize("told", [{"network_advice": "40"}, {"network_advice": "02"}, {"network_code": "51"}, {}])
    def test_others_do_not(self, told: dict[str, str]) -> None:
        payment = card("mastercard")
        refused(payment, NOW, **told)

        assert ceiling_reached(payment.method, USD, NOW + HOUR) == ""

    @pytest.mark.parametrize("code", ["R0", "R1", "R3"])
    def test_withdrawn_consent_bars_only_charges_without_the_payer(self, code: str) -> None:
        payment = card("visa")
        refused(payment, NOW, network_code=code)

        assert ceiling_reached(payment.method, USD, NOW + HOUR) == ""
        assert ceiling_reached(payment.method, USD, NOW + HOUR, initiated_by="merchant") != ""
