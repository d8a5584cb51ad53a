"""Which texts look like a card number?"""

from __future__ import annotations

import io
import logging
import random
import uuid

import pytest

from payments.card_numbers import WithoutCardNumbers, find_card_number, has_card_number, without_card_numbers


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "4222222222222",  # 13 digits
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "30569309025904",
        "6011111111111117",
        "3566002020360505",
        "6200000000000005",
        "6304000000000000",
        "4000000000000000006",  # 19 digits
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "4111/1111/1111/1111",
        "4111_1111_1111_1111",
        "https://shop.example/back?note=4111+1111+1111+1111",
        "https://shop.example/back?note=4111%201111%2D1111%201111",
        "https://shop.example/back?note=%34111111111111111",
        "4111 - 1111 - 1111 - 1111".replace(" - ", "- "),
        "4111\u00a01111\u00a01111\u00a01111",
        "4111\u20131111\u20131111\u20131111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "3782 822463 10005",
        "card:4111111111111111,cvv 123",
        "abc4111111111111111def",
        "411111111111111100000000000000000000" + " 4111111111111111",
        "order 17 4111 1111 1111 1111 12/29",
        "x4111111111111111x",
        "４１１１１１１１１１１１１１１１",  # noqa: RUF001 - full-width digits are digits
        "4111\u200b1111\u200b1111\u200b1111",
        "٤١١١١١١١١١١١١١١١",
    ],
)
def test_looks_like_a_card_number(text: str) -> None:
    assert has_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "order-17",
        "4111111111111112",  # Luhn fails
        "9111111111111111",  # nobody issues 91
        "411111111111",  # 12 digits
        "41111111111111111111",  # 20 digits in one group
        "1732168023123456",  # microseconds since 1970
        "2026-11-21T05:47:03.123456Z",
        "20261121054703",
        "4111,1111,1111,1111",
        "2026/11/21/000017",
        "100%",
        "100%zz",
        "tok_ok",
        "00000000-0000-4000-8000-00000000000a",
    ],
)
def test_does_not_look_like_a_card_number(text: str) -> None:
    assert not has_card_number(text)


def test_random_identifiers_are_never_taken_for_cards() -> None:
    source = random.Random(7)
    ids = [uuid.UUID(int=source.getrandbits(128), version=4) for _ in range(20_000)]
    texts = [spelling for id_ in ids for spelling in (str(id_), f"order-{id_.hex}", id_.hex.upper())]
    assert [text for text in texts if has_card_number(text)] == []


def test_a_document_is_searched_in_texts_numbers_and_keys() -> None:
    card = "4111111111111111"
    assert find_card_number({"a": {"b": ["x", {"c": f"no {card}"}]}}) == "a.b.1.c"
    assert find_card_number({"metadata": {"n": int(card)}}) == "metadata.n"
    assert find_card_number({"metadata": {"n": float(card)}}) == "metadata.n"
    assert find_card_number({"metadata": {card: 1}}) == "metadata[key]"
    assert find_card_number({card: 1}) == "[key]"
    assert find_card_number({"amount_minor": "4111111111111111"}, amounts={"amount_minor"}) == "amount_minor"


def test_an_amount_is_a_quantity_and_not_text() -> None:
    assert find_card_number({"amount_minor": 4111111111111111, "on": True}, amounts={"amount_minor"}) is None


def test_what_is_said_of_a_card_number_does_not_repeat_it() -> None:
    assert without_card_numbers("a 4111 1111 1111 1111, b") == "a [card number], b"
    assert without_card_numbers("４１１１１１１１１１１１１１１１") == "[card number]"  # noqa: RUF001
    assert without_card_numbers("order-17, 1732168023123456") == "order-17, 1732168023123456"


def test_a_log_handler_writes_no_card_number() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(WithoutCardNumbers())
    log = logging.Logger("test")  # noqa: LOG001 - a logger of its own
    log.addHandler(handler)
    log.warning("Not Found: %s", "/api/v1/payments/4111111111111111")
    log.warning("Not Found: %s", "/api/v1/payments/17")
    assert written.getvalue() == "Not Found: /api/v1/payments/[card number]\nNot Found: /api/v1/payments/17\n"


def test_a_log_handler_writes_no_card_number_that_an_error_quotes() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(WithoutCardNumbers())
    log = logging.Logger("test")  # noqa: LOG001 - a logger of its own
    log.addHandler(handler)
    try:
        int("4111 1111 1111 1111")
    except ValueError:
        log.exception("It failed")
    assert "ValueError: invalid literal for int() with base 10: '[card number]'" in written.getvalue()
    assert "4111" not in written.getvalue().replace('int("4111 1111 1111 1111")', "")


def test_a_body_full_of_digits_is_scanned_in_time() -> None:
    assert not has_card_number("9 " * 32_000)
