"""Is money exact, in one currency at a time, and never rounded?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.money import BIGINT_MAX, MINOR_DIGITS, AmountError, CurrencyMismatch, Money, UnknownCurrency, minor_digits


class TestCurrencies:
    @pytest.mark.parametrize(
        ("code", "digits"),
        [("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("CLF", 4), ("XOF", 0), ("BTC", 8)],
    )
    def test_have_the_decimals_of_iso_4217(self, code: str, digits: int) -> None:
        assert minor_digits(code) == digits

    @pytest.mark.parametrize("code", ["usd", "US", "", "XXX", "XAU", "XTS", "EURO", None, 840])
    def test_unknown_ones_are_refused_by_name(self, code: object) -> None:
        with pytest.raises(UnknownCurrency, match=repr(code)):
            Money(1, code)  # type: ignore[arg-type]


class TestParse:
    @pytest.mark.parametrize(
        ("text", "currency", "minor"),
        [
            ("12.34", "USD", 1234),
            ("12.3", "USD", 1230),
            ("12", "USD", 1200),
            ("0.05", "USD", 5),
            ("-0.05", "USD", -5),
            ("007.10", "USD", 710),
            ("1200", "JPY", 1200),
            ("1.234", "KWD", 1234),
            ("0.00000001", "BTC", 1),
            ("92233720368547758.07", "USD", BIGINT_MAX),
        ],
    )
    def test_reads_exactly(self, text: str, currency: str, minor: int) -> None:
        assert Money.parse(text, currency) == Money(minor, currency)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            " 1",
            "1 ",
            "1\n",
            "+1",
            "--1",
            "-",
            ".",
            ".5",
            "5.",
            "1,000.00",
            "1_000",
            "1e3",
            "NaN",
            "Infinity",
            "٣",
            "0x1",
        ],
    )
    def test_refuses_what_is_no_plain_amount(self, text: str) -> None:
        with pytest.raises(AmountError, match="is not an amount"):
            Money.parse(text, "USD")

    @pytest.mark.parametrize(
        ("text", "currency"), [("1.234", "USD"), ("1.230", "USD"), ("1.0", "JPY"), ("0.0001", "KWD")]
    )
    def test_refuses_too_many_decimals_instead_of_rounding(self, text: str, currency: str) -> None:
        with pytest.raises(AmountError, match=f"decimals?, but {currency} has {minor_digits(currency) or 'none'}"):
            Money.parse(text, currency)

    @pytest.mark.parametrize("text", ["92233720368547758.08", "-92233720368547758.08", "9" * 5000])
    def test_refuses_more_than_the_books_hold(self, text: str) -> None:
        with pytest.raises(AmountError, match="more than the books can hold"):
            Money.parse(text, "USD")

    @settings(deadline=None)
    @given(st.integers(-BIGINT_MAX, BIGINT_MAX), st.sampled_from(sorted(MINOR_DIGITS)))
    def test_reads_back_what_was_written(self, minor: int, currency: str) -> None:
        money = Money(minor, currency)

        assert Money.parse(money.to_decimal_string(), currency) == money


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1234, "USD"), "12.34"),
        (Money(5, "USD"), "0.05"),
        (Money(-5, "USD"), "-0.05"),
        (Money(0, "USD"), "0.00"),
        (Money(1200, "JPY"), "1200"),
        (Money(-7, "JPY"), "-7"),
        (Money(1234, "KWD"), "1.234"),
        (Money(1, "BTC"), "0.00000001"),
    ],
)
def test_is_written_with_the_decimals_of_its_currency(money: Money, text: str) -> None:
    assert money.to_decimal_string() == text
    assert str(money) == f"{text} {money.currency}"


@pytest.mark.parametrize("amount", [True, 1.0, "1", None, BIGINT_MAX + 1, -BIGINT_MAX - 1])
def test_holds_only_whole_numbers_inside_bigint(amount: object) -> None:
    with pytest.raises(AmountError, match=r"minor units|books can hold"):
        Money(amount, "USD")  # type: ignore[arg-type]


class TestArithmetic:
    def test_adds_subtracts_and_negates_in_one_currency(self) -> None:
        assert Money(5, "USD") + Money(7, "USD") == Money(12, "USD")
        assert Money(5, "USD") - Money(7, "USD") == Money(-2, "USD")
        assert -Money(5, "USD") == Money(-5, "USD")

    def test_compares_in_one_currency(self) -> None:
        assert Money(1, "USD") < Money(2, "USD") <= Money(2, "USD")
        assert max(Money(3, "USD"), Money(9, "USD")) == Money(9, "USD")
        assert Money(1, "USD") != Money(1, "EUR")

    def test_refuses_two_currencies(self) -> None:
        for mix in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a < b, lambda a, b: a >= b):
            with pytest.raises(CurrencyMismatch, match="USD and EUR"):
                mix(Money(1, "USD"), Money(1, "EUR"))

    def test_refuses_bare_numbers(self) -> None:
        with pytest.raises(TypeError, match="only Money, not int"):
            Money(1, "USD") + 1  # type: ignore[operator]

    def test_refuses_a_sum_beyond_bigint(self) -> None:
        with pytest.raises(AmountError, match="books can hold"):
            Money(BIGINT_MAX, "USD") + Money(1, "USD")

    def test_knows_zero_and_positive(self) -> None:
        assert Money(0, "USD").is_zero
        assert not Money(0, "USD").is_positive
        assert Money(1, "USD").is_positive
        assert not Money(-1, "USD").is_positive
