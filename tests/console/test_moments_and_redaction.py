"""Do ages read well, and does no secret or card number reach a page?"""

from datetime import UTC, datetime, timedelta

import pytest

from console.display import grouped
from console.moments import distance_in_words, exact
from console.redaction import HIDDEN, redact

NOW = datetime(2026, 11, 21, 5, 30, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (-4, "just now"),
        (40, "40 s ago"),
        (-89, "in 89 s"),
        (90, "1 min ago"),
        (720, "12 min ago"),
        (7_199, "119 min ago"),
        (7_200, "2 h ago"),
        (172_799, "47 h ago"),
        (172_800, "2 days ago"),
        (-3 * 86_400, "in 3 days"),
        (100 * 86_400, "13 Aug 2026"),
    ],
)
def test_a_distance_is_said_in_the_unit_an_operator_would_use(seconds: int, words: str) -> None:
    assert distance_in_words(NOW - timedelta(seconds=seconds), NOW) == words


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        distance_in_words(datetime(2026, 1, 1), NOW)  # noqa: DTZ001 - the point of the test


def test_the_exact_time_names_its_zone() -> None:
    assert exact(NOW) == "2026-11-21 05:30:09 UTC"


@pytest.mark.parametrize(
    ("number", "text"),
    [("0", "0"), ("1234567.89", "1,234,567.89"), ("-12.34", "\u221212.34"), ("-0.05", "\u22120.05"), ("1200", "1,200")],
)
def test_numbers_are_grouped_without_losing_a_digit(number: str, text: str) -> None:
    assert grouped(number) == text


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ({"security_key": "k", "amount": "1.00"}, {"security_key": HIDDEN, "amount": "1.00"}),
        ({"deep": [{"Authorization": "Bearer x"}]}, {"deep": [{"Authorization": HIDDEN}]}),
        ('{"password": "p", "n": 1}', {"password": HIDDEN, "n": 1}),
        (b"security_key=abc&orderid=att_1&cvv=123", {"security_key": HIDDEN, "orderid": "att_1", "cvv": HIDDEN}),
        ("<t><cc_number>4xxx</cc_number><id>7</id></t>", f"<t><cc_number>{HIDDEN}</cc_number><id>7</id></t>"),
        ("paid with 4111 1111 1111 1111 today", f"paid with {HIDDEN}1111 today"),
        ({"note": 4111111111111111}, {"note": f"{HIDDEN}1111"}),
        ("order 4111111111111112", "order 4111111111111112"),
        (b"\xff\xfe", "2 bytes that are no text"),
        ('{"broken": "4111111111111111"', f'{{"broken": "{HIDDEN}1111"'),
        (
            {"next_action": {"redirect_to_url": {"url": "https://bank"}}, "return_url": "https://shop/pay/key"},
            {"next_action": HIDDEN, "return_url": HIDDEN},
        ),
        ({"actionRequired": {"redirectUrl": "https://bank"}, "id": "ord_1"}, {"actionRequired": HIDDEN, "id": "ord_1"}),
        (
            {"customer": "cus_1", "payment_method": "pm_1", "payment_method_types": ["card"]},
            {"customer": HIDDEN, "payment_method": HIDDEN, "payment_method_types": ["card"]},
        ),
        (
            {"payment_method": {"id": "pm_1", "card": {"last4": "4242"}}, "customer": None},
            {"payment_method": {"id": HIDDEN, "card": {"last4": "4242"}}, "customer": None},
        ),
        ({"customer_vault_id": "77"}, {"customer_vault_id": HIDDEN}),
        (
            "<t><customerid>77</customerid><customer_vault_id>8</customer_vault_id></t>",
            f"<t><customerid>77</customerid><customer_vault_id>{HIDDEN}</customer_vault_id></t>",
        ),
        ({"authorization_code": "123456", "empty_token": None}, {"authorization_code": "123456", "empty_token": None}),
    ],
)
def test_secrets_and_card_numbers_are_hidden_in_every_shape(raw: object, safe: object) -> None:
    assert redact(raw) == safe
