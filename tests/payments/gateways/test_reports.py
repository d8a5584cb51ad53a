"""Are the gateways' own books read whole, or not at all? Every adapter's promise, and what each page becomes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.money import Money
from payments.gateways.base import ReportPage, ReportQuestion, WireAnswer
from payments.gateways.errors import Unreadable
from payments.gateways.registry import ADAPTERS, get_adapter
from payments.states import PayoutState
from tests.exploring import examples
from tests.payments.gateways.payloads import AT, SECRET, spoken, written

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
KINDS = ("balance", "payouts", "window")
CARD = "4111111111111111"
of_each = pytest.mark.parametrize("provider", sorted(ADAPTERS))


def question(what: str, **more: Any) -> ReportQuestion:
    return ReportQuestion(what, START, END, **more)


def read(provider: str, what: str, body: object, status: int = 200, **more: Any) -> ReportPage:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return get_adapter(provider).report_answer(question(what, **more), WireAnswer(status, "", content), at=AT)


class TestEveryAdapter:
    @of_each
    def test_is_asked_only_what_it_says_it_tells_and_without_a_secret_in_the_question(self, provider: str) -> None:
        adapter = get_adapter(provider)
        for what in KINDS:
            if what not in adapter.capabilities.reports:
                with pytest.raises(ValueError, match=r"\w{4}"):
                    adapter.report_request(question(what))
                continue
            plain = adapter.report_request(question(what))
            assert SECRET not in written(plain)
            assert SECRET in written(spoken(provider, plain))

    @of_each
    @settings(deadline=None, max_examples=examples(40))
    @given(body=st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.text(), st.lists).map(json.dumps)))
    def test_reads_no_page_out_of_other_bytes(self, provider: str, body: bytes | str) -> None:
        for what in KINDS:
            with pytest.raises(Unreadable):
                read(provider, what, body.encode() if isinstance(body, str) else body)

    @of_each
    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    def test_takes_no_error_for_an_empty_page(self, provider: str, status: int) -> None:
        for what in KINDS:
            empty = b"<nm_response/>" if provider == "nmi" else b'{"object":"list","data":[],"has_more":false}'
            with pytest.raises(Unreadable):
                read(provider, what, empty, status)


LINE: dict[str, Any] = {
    "id": "txn_1",
    "object": "balance_transaction",
    "amount": 5400,
    "available_on": 1772582400,
    "created": 1772366280,
    "currency": "usd",
    "description": f"Order of Jane Roe {CARD}",
    "exchange_rate": 1.08,
    "fee": 187,
    "fee_details": [{"amount": 187, "currency": "usd", "type": "stripe_fee", "description": "…", "application": None}],
    "net": 5213,
    "reporting_category": "charge",
    "status": "pending",
    "type": "charge",
    "source": {
        "id": "ch_1",
        "object": "charge",
        "amount": 5000,
        "amount_captured": 5000,
        "billing_details": {"email": "jane@example.com", "name": "Jane Roe"},
        "currency": "eur",
        "metadata": {"our_ref": "att_7Fq", "secret_of_a_plugin": "s3cret"},
        "payment_intent": "pi_1",
        "payment_method_details": {"card": {"brand": "visa", "last4": "1111"}, "type": "card"},
        "receipt_email": "jane@example.com",
        "status": "succeeded",
    },
}


def listed(*data: object, more: bool = False) -> dict[str, object]:
    return {"object": "list", "data": list(data), "has_more": more, "url": "/v1/x"}


class TestStripe:
    def test_asks_for_a_window_in_whole_seconds_and_for_what_it_is_about(self) -> None:
        wire = get_adapter("stripe").report_request(question("balance", cursor="txn_0"))

        assert (wire.method, wire.path) == ("GET", "/v1/balance_transactions")
        assert wire.form == {
            "limit": "100",
            "created[gte]": "1772323200",
            "created[lte]": "1772409599",
            "starting_after": "txn_0",
            "expand[0]": "data.source",
        }

    def test_asks_for_one_payout_by_an_id_of_stripes_form_only(self) -> None:
        adapter = get_adapter("stripe")

        assert adapter.report_request(ReportQuestion("balance", payout_id="po_1")).form["payout"] == "po_1"
        with pytest.raises(ValueError, match="payout"):
            adapter.report_request(ReportQuestion("balance", payout_id="po_1&expand=all"))

    def test_keeps_of_a_line_what_a_comparison_needs_and_nothing_of_the_payer(self) -> None:
        page = read("stripe", "balance", listed(LINE, more=True))

        [row] = page.rows
        assert (page.next_cursor, page.last) == ("txn_1", False)
        assert (row["amount"], row["fee"], row["net"], row["exchange_rate"]) == (5400, 187, 5213, "1.08")
        assert row["source"] == {
            "id": "ch_1", "object": "charge", "amount": 5000, "amount_captured": 5000, "currency": "eur",
            "payment_intent": "pi_1", "our_ref": "att_7Fq", "brand": "visa",
        }  # fmt: skip
        told = json.dumps(page.rows)
        assert not any(word in told for word in ("jane@", "s3cret", CARD))

    @pytest.mark.parametrize(
        "body",
        [
            listed({**LINE, "object": "charge"}),
            listed({**LINE, "id": None}),
            {"object": "list", "data": [LINE]},
            {"object": "list", "has_more": False},
            listed(more=True),
        ],
        ids=["another kind", "no id", "no word of more", "no data", "more, but not where"],
    )
    def test_a_list_that_is_not_whole_is_no_page(self, body: dict[str, object]) -> None:
        with pytest.raises(Unreadable):
            read("stripe", "balance", body)

    @pytest.mark.parametrize(
        ("status", "state", "itemised"),
        [
            ("pending", PayoutState.EXPECTED, False),
            ("in_transit", PayoutState.IN_TRANSIT, False),
            ("paid", PayoutState.PAID, True),
            ("failed", PayoutState.FAILED, True),
            ("canceled", PayoutState.FAILED, False),
        ],
    )
    def test_tells_where_each_payout_stands(self, status: str, state: PayoutState, itemised: bool) -> None:
        payout = {
            "id": "po_1", "object": "payout", "amount": -150, "currency": "usd", "created": 1772366280, "status": status,
            "arrival_date": 1772409600, "automatic": True, "failure_code": "account_closed" if status == "failed" else None,
            "reconciliation_status": "completed" if itemised else "in_progress",
            "trace_id": {"status": "supported", "value": "TRACE1"},
        }  # fmt: skip

        [told] = read("stripe", "payouts", listed(payout)).payouts

        assert (told.gateway_id, told.state, told.money, told.itemised) == ("po_1", state, Money(-150, "USD"), itemised)
        assert (told.arrives_on, told.bank_ref, told.occurred_at) == (date(2026, 3, 2), "TRACE1", AT)
        assert told.failure == {"failed": "account_closed", "canceled": "canceled"}.get(status, "")


def transaction(number: int, *dates: str) -> str:
    actions = "".join(
        f"<action><action_type>sale</action_type><amount>10.00</amount><date>{one}</date><success>1</success>"
        "<batch_id>0</batch_id><response_code>100</response_code></action>"
        for one in dates
    )
    return (
        f"<transaction><transaction_id>{number}</transaction_id><order_id>att_{number}</order_id>"
        f"<condition>complete</condition><currency>USD</currency><cc_number>4xxxxxxxxxxx1111</cc_number>"
        f"<cc_type>visa</cc_type><email>jane@example.com</email>{actions}</transaction>"
    )


class TestNmi:
    def test_leaves_the_end_open_since_what_changed_again_later_would_be_missing(self) -> None:
        wire = get_adapter("nmi").report_request(question("window", page=2))

        assert wire.form == {
            "start_date": "20260301000000", "result_limit": "100", "page_number": "2", "result_order": "standard",
        }  # fmt: skip

    def test_keeps_transactions_with_something_done_inside_the_window(self) -> None:
        body = "".join(
            [
                transaction(11, "20260228235959", "20260301000000"),
                transaction(12, "20260301235959"),
                transaction(13, "20260302000000"),
                transaction(14, "20260228235959"),
            ]
        )

        page = read("nmi", "window", f"<nm_response>{body}</nm_response>".encode())

        assert [row["order_id"] for row in page.rows] == ["att_11", "att_12"]
        assert page.places == (11, 12, 13, 14)
        assert not page.last
        assert "jane@" not in json.dumps(page.rows)

    def test_an_empty_page_is_the_last_and_a_full_one_of_other_days_is_not(self) -> None:
        assert read("nmi", "window", b"<nm_response/>").last
        other = f"<nm_response>{transaction(9, '20260201000000')}</nm_response>".encode()
        assert (read("nmi", "window", other).rows, read("nmi", "window", other).last) == ((), False)

    def test_a_date_that_is_none_spoils_the_page(self) -> None:
        with pytest.raises(Unreadable):
            read("nmi", "window", f"<nm_response>{transaction(9, '2026-03-01')}</nm_response>".encode())


def test_both_ends_of_a_window_are_a_second_apart_from_the_next() -> None:
    """Two days asked one after the other share no second and leave none out."""
    first = get_adapter("stripe").report_request(question("balance")).form
    after = ReportQuestion("balance", END + timedelta(seconds=1), END + timedelta(days=1))
    second = get_adapter("stripe").report_request(after).form

    assert int(second["created[gte]"]) == int(first["created[lte]"]) + 1
