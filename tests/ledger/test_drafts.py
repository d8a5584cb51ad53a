"""Worked examples in accounting language, and every draft that may not exist."""

from __future__ import annotations

from datetime import datetime

import pytest

from ledger import chart
from ledger.chart import CHART, AccountRef, AccountSpec, Side
from ledger.drafts import EntryDraft, PostingDraft, credit, debit
from ledger.errors import DraftRefused, UnbalancedDraft, UnknownAccount, WrongDimensions
from ledger.money import AmountError, Money
from tests.ledger.books import NOON, capture, entry, receivable, sales, wallet


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def on(spec: AccountSpec, currency: str = "USD", gateway: str = "nmi", customer: str = "cus_1") -> AccountRef:
    """The account with the dimensions its line of the chart asks for."""
    given = {"gateway": gateway, "customer": customer}
    return AccountRef(spec.code, currency, **{name: given[name] for name in spec.dimensions})


class TestChart:
    def test_has_every_account_of_the_foundation(self) -> None:
        wanted = "1110 1150 1190 2010 2020 2025 2030 2040 2050 3010 4015 5035 5040 5050 9010 9020"

        assert set(wanted.split()) <= CHART.keys()

    def test_only_the_wallet_has_a_floor(self) -> None:
        assert [(spec.code, spec.min_balance) for spec in CHART.values() if spec.min_balance is not None] == [
            ("2010", 0)
        ]

    def test_holds_are_memo_and_nothing_else_is(self) -> None:
        assert [spec.code for spec in CHART.values() if spec.memo] == ["9010", "9020"]

    def test_assets_and_expenses_grow_by_debit_liabilities_by_credit(self) -> None:
        assert {spec.code[0] for spec in CHART.values() if spec.normal_side is Side.DEBIT} == set("1459")
        assert {spec.code[0] for spec in CHART.values() if spec.normal_side is Side.CREDIT} == set("2349")

    def test_unknown_codes_are_refused(self) -> None:
        with pytest.raises(UnknownAccount, match="no account '7777'"):
            AccountRef("7777", "USD")

    @pytest.mark.parametrize(
        ("code", "dimensions", "message"),
        [
            ("1110", {}, "kept per gateway .* nothing was given"),
            ("1110", {"customer": "cus_1"}, "kept per gateway .* customer was given"),
            ("2020", {"gateway": "nmi"}, "kept per nothing .* gateway was given"),
            ("2010", {"gateway": "nmi", "customer": "c"}, "gateway and customer was given"),
        ],
    )
    def test_accounts_take_exactly_their_dimensions(self, code: str, dimensions: dict[str, str], message: str) -> None:
        with pytest.raises(WrongDimensions, match=message):
            AccountRef(code, "USD", **dimensions)

    @pytest.mark.parametrize("customer", [" cus", "cus\x00", "a\nb", "x" * 201])
    def test_dimensions_are_names_one_can_find_again(self, customer: str) -> None:
        with pytest.raises(DraftRefused, match="customer of account 2010"):
            AccountRef("2010", "USD", customer=customer)


WORKED_EXAMPLES = {
    "a capture is owed by the gateway and collected for sales": [
        debit(on(chart.GATEWAY_RECEIVABLE), usd(10_000), "pay_1"),
        credit(on(chart.SALES_CLEARING), usd(10_000)),
    ],
    "a capture releases its hold among the memo lines": [
        debit(on(chart.GATEWAY_RECEIVABLE), usd(10_000), "pay_1"),
        credit(on(chart.SALES_CLEARING), usd(10_000)),
        debit(on(chart.HOLDS_CONTRA), usd(10_000)),
        credit(on(chart.HOLDS), usd(10_000), "pay_1"),
    ],
    "an approved refund is payable until the gateway confirms it": [
        debit(on(chart.SALES_CLEARING), usd(4_000)),
        credit(on(chart.REFUNDS_PAYABLE), usd(4_000), "rfnd_1"),
    ],
    "a confirmed refund lowers what the gateway owes": [
        debit(on(chart.REFUNDS_PAYABLE), usd(4_000), "rfnd_1"),
        credit(on(chart.GATEWAY_RECEIVABLE), usd(4_000), "rfnd_1"),
    ],
    "an overpayment is split": [
        debit(on(chart.GATEWAY_RECEIVABLE), usd(11_000), "pay_1"),
        credit(on(chart.SALES_CLEARING), usd(10_000)),
        credit(on(chart.OVERPAYMENTS), usd(1_000), "pay_1"),
    ],
    "a short payment is accepted inside tolerance": [
        debit(on(chart.PARTIAL_PAYMENTS), usd(9_000), "order_17"),
        debit(on(chart.ROUNDING), usd(1_000)),
        credit(on(chart.SALES_CLEARING), usd(10_000)),
    ],
    "money of unknown purpose waits in suspense": [
        debit(on(chart.GATEWAY_RECEIVABLE), usd(10_000), "mov_1"),
        credit(on(chart.SUSPENSE), usd(10_000), "mov_1"),
    ],
    "euros settled in dollars balance in each currency through the FX position": [
        debit(on(chart.FX_POSITION, "EUR"), Money(10_000, "EUR")),
        credit(on(chart.GATEWAY_RECEIVABLE, "EUR"), Money(10_000, "EUR"), "pay_1"),
        debit(on(chart.GATEWAY_RECEIVABLE), usd(10_800), "pay_1"),
        credit(on(chart.FX_POSITION), usd(10_800)),
    ],
    "goodwill is credited to a wallet": [
        debit(on(chart.GOODWILL), usd(500)),
        credit(on(chart.WALLET), usd(500)),
    ],
}


@pytest.mark.parametrize("lines", WORKED_EXAMPLES.values(), ids=WORKED_EXAMPLES.keys())
def test_worked_examples_balance(lines: list[PostingDraft]) -> None:
    assert len(entry("mov_1", *lines).postings) == len(lines)


class TestRefusals:
    def test_unbalanced(self) -> None:
        with pytest.raises(UnbalancedDraft, match="debits exceed credits by 1 minor units on its USD lines"):
            entry("mov_1", debit(receivable(), usd(1001), "p"), credit(sales(), usd(1000)))

    def test_balanced_in_sum_but_not_in_each_currency(self) -> None:
        with pytest.raises(UnbalancedDraft, match="credits exceed debits by 5 minor units on its EUR lines"):
            entry("mov_1", debit(receivable("USD"), usd(5), "p"), credit(sales("EUR"), Money(5, "EUR")))

    def test_memo_lines_paying_for_real_ones(self) -> None:
        with pytest.raises(UnbalancedDraft, match="USD"):
            entry("mov_1", debit(on(chart.HOLDS), usd(5), "p"), credit(sales(), usd(5)))

    def test_fewer_than_two_lines(self) -> None:
        with pytest.raises(DraftRefused, match="has 0 lines; double entry needs at least two"):
            entry("mov_1")

    def test_a_line_of_zero(self) -> None:
        with pytest.raises(DraftRefused, match="2020 USD says nothing"):
            PostingDraft(sales(), 0)

    @pytest.mark.parametrize("amount", [True, 1.5, 2**63])
    def test_a_line_that_is_no_whole_number_of_bigint(self, amount: int) -> None:
        with pytest.raises(AmountError):
            PostingDraft(sales(), amount)

    @pytest.mark.parametrize("side", [debit, credit])
    @pytest.mark.parametrize("minor", [0, -5])
    def test_a_side_with_an_amount_that_is_not_positive(self, side: object, minor: int) -> None:
        with pytest.raises(DraftRefused, match="must be positive: the side says the direction"):
            side(sales(), usd(minor))  # type: ignore[operator]

    def test_money_on_an_account_of_another_currency(self) -> None:
        with pytest.raises(DraftRefused, match="an account has one currency"):
            debit(sales("EUR"), usd(5))

    def test_an_open_item_without_its_key(self) -> None:
        with pytest.raises(DraftRefused, match="match key of account 1110 nmi USD is empty"):
            debit(receivable(), usd(5))

    @pytest.mark.parametrize("key", ["", " mov", "mov ", "mov\n", "mov\x00", "x" * 201])
    def test_a_key_nobody_could_find_again(self, key: str) -> None:
        with pytest.raises(DraftRefused, match="source key"):
            capture(key)

    def test_an_empty_subject(self) -> None:
        with pytest.raises(DraftRefused, match="subject of entry 'mov_1' is empty"):
            entry("mov_1", debit(wallet(), usd(5)), credit(sales(), usd(5)), subject="")

    def test_a_description_postgresql_cannot_store(self) -> None:
        with pytest.raises(DraftRefused, match="NUL"):
            entry("mov_1", debit(wallet(), usd(5)), credit(sales(), usd(5)), description="a\x00b")

    def test_a_moment_without_time_zone(self) -> None:
        with pytest.raises(DraftRefused, match="no time zone"):
            capture("mov_1", at=datetime(2026, 1, 1))  # noqa: DTZ001


class TestContentHash:
    def test_is_the_same_for_the_same_content_in_any_order_and_at_any_time(self) -> None:
        draft = capture("mov_1")
        told_again = EntryDraft(
            "mov_other", "pay_1", NOON.replace(hour=3), "other words", tuple(reversed(draft.postings)), actor="olga"
        )

        assert told_again.content_hash == draft.content_hash
        assert told_again.content == draft.content

    @pytest.mark.parametrize(
        "other",
        [
            capture("mov_1", 1001),
            capture("mov_1", currency="EUR"),
            capture("mov_1", subject="pay_2"),
            entry("mov_1", debit(receivable(), usd(1000), "pay_9"), credit(sales(), usd(1000))),
            entry("mov_1", debit(receivable(), usd(1000), "pay_1"), credit(wallet(), usd(1000))),
            entry("mov_1", debit(receivable(), usd(1000), "pay_1"), credit(sales(), usd(1000)), reverses="je_1"),
        ],
        ids=["amount", "currency", "subject", "match key", "account", "reverses"],
    )
    def test_differs_where_the_content_differs(self, other: EntryDraft) -> None:
        assert other.content_hash != capture("mov_1").content_hash
        assert other.content != capture("mov_1").content
