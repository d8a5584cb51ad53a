"""Does every gateway of the registry keep the promises that the core relies on? A new gateway runs through this unchanged."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.money import Money
from payments.facts import MONEY_KINDS, OUTCOME_KINDS, Fact, FactKind
from payments.gateways.base import Adapter, WireAnswer
from payments.gateways.errors import Unreadable
from payments.gateways.registry import ADAPTERS, UnknownProvider, get_adapter
from payments.states import COLLECTING, Certainty, FailureClass, OperationKind, Source
from tests.exploring import examples
from tests.payments.gateways.payloads import (
    AT,
    CREDENTIAL,
    SECRET,
    SENT_AT,
    Case,
    cases,
    command,
    payout_told,
    question,
    spoken,
    told,
    written,
)

ANSWERS, LOOK_UPS, WEBHOOKS, SIGNATURES = map(
    cases, ("answers.json", "look_ups.json", "webhooks.json", "signatures.json")
)
FOREIGN = (b"", b"   ", b"<html><body>maintenance</body></html>", b"\xff\xfe\x00", b"null", b"[]", b"OK", b"{}")

# Test cards of the networks, in the shapes in which texts carry them.
CARD_NUMBERS = (
    "4111111111111111",
    "4111 1111 1111 1111",
    "5431-1111-1111-1111",
    "341111111111111",
    "6799990100000000019",
)

of_each = pytest.mark.parametrize("provider", sorted(ADAPTERS))
kinds_of_each = pytest.mark.parametrize(
    ("provider", "kind"),
    [(name, kind) for name in sorted(ADAPTERS) for kind in sorted(get_adapter(name).capabilities.operations)],
)


_SAID_OF_A_MOVEMENT = {
    FactKind.SETTLED,
    FactKind.HOLD_LAPSED,
    FactKind.REFUND_FAILED,
    FactKind.DISPUTE,
    FactKind.SETTLEMENT_TOLD,
}


def check(fact: Fact, source: Source) -> None:
    """What holds for every fact of every gateway."""
    assert fact.source == source
    assert fact.occurred_at.tzinfo is not None
    assert json.loads(json.dumps(fact.evidence)) == fact.evidence
    if fact.kind in MONEY_KINDS:
        assert fact.money is not None
        # A dispute's fee can be given back, nothing else can be below zero.
        assert fact.money.amount_minor > 0 or (fact.kind == FactKind.FEE and fact.money.amount_minor < 0)
        assert fact.gateway_id
        assert fact.certainty == Certainty.TAKEN
        assert fact.failure_class is None
    elif fact.kind in OUTCOME_KINDS:
        assert fact.money is None
        assert fact.failure_class is not None
        assert fact.certainty in {Certainty.REFUSED, Certainty.NOT_SENT, Certainty.UNKNOWN}
    else:
        assert fact.kind in _SAID_OF_A_MOVEMENT
        assert fact.gateway_id
    assert (fact.kind == FactKind.AUTHORISATION) == (fact.hold_until is not None)
    assert (fact.kind == FactKind.ACTION_REQUIRED) == bool(fact.action_url)


# A credential that a merchant had stored there before: as it is given to us, and what of it goes out.
STORED = {
    "nmi": ("vault:123456", ("123456",)),
    "stripe": ("vault:cus_9/pm_1Ab", ("cus_9", "pm_1Ab")),
    "convesiopay": ("vault:CUS1/SPM1", ("CUS1", "SPM1")),
}


class TestRegistry:
    def test_an_unknown_provider_is_named_with_the_known_ones(self) -> None:
        with pytest.raises(UnknownProvider, match=r"'paypol'; there is one for: .*nmi"):
            get_adapter("paypol")

    @of_each
    def test_an_adapter_states_what_it_rests_on(self, provider: str) -> None:
        adapter = get_adapter(provider)

        assert adapter.provider == provider
        assert all(adapter.assumptions)
        assert adapter.capabilities.operations
        assert adapter.capabilities.settlement in {"payouts", "batches", "direct", "none"}
        assert {"BASE_URL", "WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS"} < set(adapter.credential_fields)


class TestRequests:
    @kinds_of_each
    def test_carry_no_secret_until_it_is_put_in(self, provider: str, kind: OperationKind) -> None:
        adapter = get_adapter(provider)

        plain = adapter.request(command(kind))

        assert SECRET not in written(plain)
        assert SECRET in written(spoken(provider, plain))
        assert plain == adapter.request(command(kind))
        assert plain.path.startswith("/")

    @kinds_of_each
    def test_name_the_amount_exactly_where_money_is_asked(self, provider: str, kind: OperationKind) -> None:
        wire = get_adapter(provider).request(replace(command(kind), money=Money(100000005, "USD")))

        named = re.search(r"\b(1000000\.05|100000005)\b", written(wire)) is not None
        assert named == (kind not in {OperationKind.VOID, OperationKind.CLOSE})

    @kinds_of_each
    def test_an_ordinary_one_is_not_refused(self, provider: str, kind: OperationKind) -> None:
        assert get_adapter(provider).refuses(command(kind)) == ""

    @kinds_of_each
    @pytest.mark.parametrize(
        "money", [Money(1500, "KWD"), Money(1500, "BTC"), Money(0, "USD"), Money(-100, "USD")], ids=str
    )
    def test_an_amount_it_can_not_send_is_refused(self, provider: str, kind: OperationKind, money: Money) -> None:
        refusal = get_adapter(provider).refuses(replace(command(kind), money=money))

        assert money.currency in refusal or "above zero" in refusal

    @kinds_of_each
    def test_one_without_its_subject_is_refused(self, provider: str, kind: OperationKind) -> None:
        refusal = get_adapter(provider).refuses(replace(command(kind), credential="", gateway_id="", handle=""))

        assert "needed" in refusal or "needs" in refusal

    @of_each
    @pytest.mark.parametrize("kind", sorted(COLLECTING))
    @pytest.mark.parametrize("number", CARD_NUMBERS)
    def test_a_card_number_in_place_of_a_credential_is_refused_and_not_repeated(
        self, provider: str, kind: OperationKind, number: str
    ) -> None:
        refusal = get_adapter(provider).refuses(replace(command(kind), credential=number))

        assert "card number" in refusal
        assert number not in refusal

    @of_each
    def test_a_merchant_s_own_stored_credential_is_taken_and_never_quoted(self, provider: str) -> None:
        whole, parts = STORED[provider]
        adapter = get_adapter(provider)
        asked = replace(command(OperationKind.SALE), credential=whole, reusable=True, stored_credential="used")
        sent = adapter.request(asked)

        assert adapter.refuses(asked) == ""
        assert adapter.refuses(replace(asked, credential="vault:")) != ""
        assert "vault:" not in f"{sent.path} {sent.form} {sent.json} {sent.headers}"
        for part in parts:
            assert part in f"{sent.form} {sent.json}"


class TestAnswers:
    @pytest.mark.parametrize("case", ANSWERS, ids=str)
    def test_keep_every_promise(self, case: Case) -> None:
        self.becomes_the_fact_it_states(case)
        self.is_translated_alike_each_time(case)
        self.of_a_failing_server_is_unknown_whatever_it_says(case)
        self.hides_a_card_or_credential_that_it_quotes(case)
        if case.expect["certainty"] == "taken":
            self.cut_short_is_unknown_or_says_the_same(case)

    def becomes_the_fact_it_states(self, case: Case) -> None:
        fact = get_adapter(case.provider).answer(command(case.kind), case.wire, at=AT)

        assert told(fact, case.expect) == case.expect
        assert fact.about == case.kind
        check(fact, Source.ANSWER)

    def is_translated_alike_each_time(self, case: Case) -> None:
        adapter = get_adapter(case.provider)

        first, second = (adapter.answer(command(case.kind), case.wire, at=AT) for _ in range(2))

        assert first == second

    def of_a_failing_server_is_unknown_whatever_it_says(self, case: Case) -> None:
        for status in (500, 502, 503, 504):
            fact = get_adapter(case.provider).answer(command(case.kind), replace(case.wire, status=status), at=AT)

            assert (fact.kind, fact.certainty) == (FactKind.UNKNOWN, Certainty.UNKNOWN), status

    def hides_a_card_or_credential_that_it_quotes(self, case: Case) -> None:
        for number in CARD_NUMBERS:
            quoted = f"text of {number.replace(' ', '+')} {CREDENTIAL} ".encode()
            wire = replace(
                case.wire, body=re.sub(b"text(?= |\\+)of|SUCCESS|DECLINE", quoted.replace(b" ", b"+"), case.body)
            )

            fact = get_adapter(case.provider).answer(command(case.kind), wire, at=AT)

            assert number not in repr(fact)
            # A capture, void or refund carries no credential that its answer could quote.
            assert case.kind not in COLLECTING or CREDENTIAL not in repr(fact)

    def cut_short_is_unknown_or_says_the_same(self, case: Case) -> None:
        adapter = get_adapter(case.provider)
        whole = adapter.answer(command(case.kind), case.wire, at=AT)

        for length in range(len(case.body)):
            fact = adapter.answer(command(case.kind), replace(case.wire, body=case.body[:length]), at=AT)
            same = fact.kind == whole.kind and fact.gateway_id == whole.gateway_id
            assert same or fact.certainty == Certainty.UNKNOWN

    @kinds_of_each
    def test_that_are_empty_or_foreign_are_unknown(self, provider: str, kind: OperationKind) -> None:
        for body in FOREIGN:
            fact = get_adapter(provider).answer(command(kind), WireAnswer(200, "text/html", body), at=AT)

            assert (fact.kind, fact.certainty) == (FactKind.UNKNOWN, Certainty.UNKNOWN), body
            assert fact.failure_class == FailureClass.UNKNOWN, body

    @of_each
    @settings(deadline=None, max_examples=examples(150))
    @given(
        data=st.data(),
        status=st.integers(100, 599),
        content_type=st.text(max_size=20),
        body=st.one_of(
            st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))
        ),
    )
    def test_of_any_bytes_never_raise_and_never_are_money(
        self, provider: str, data: st.DataObject, status: int, content_type: str, body: bytes
    ) -> None:
        kind = data.draw(st.sampled_from(sorted(get_adapter(provider).capabilities.operations)))

        fact = get_adapter(provider).answer(command(kind), WireAnswer(status, content_type, body), at=AT)

        check(fact, Source.ANSWER)
        assert fact.kind not in MONEY_KINDS

    @settings(deadline=None, max_examples=examples(150))
    @given(case=st.sampled_from(ANSWERS), data=st.data())
    def test_that_were_damaged_never_raise_and_never_gain_money(self, case: Case, data: st.DataObject) -> None:
        adapter, body = get_adapter(case.provider), bytearray(case.body)
        for _ in range(data.draw(st.integers(1, 4)) if body else 0):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

        fact = adapter.answer(command(case.kind), replace(case.wire, body=bytes(body)), at=AT)

        check(fact, Source.ANSWER)


class TestLookUps:
    @pytest.mark.parametrize("case", LOOK_UPS, ids=str)
    def test_keep_every_promise(self, case: Case) -> None:
        self.becomes_the_facts_it_tells(case)
        self.is_translated_alike_each_time(case)
        self.of_a_failing_server_proves_nothing(case)
        self.cut_short_proves_nothing(case)
        if case.expect["answered"]:
            self.hides_a_card_that_it_quotes(case)

    def becomes_the_facts_it_tells(self, case: Case) -> None:
        answer = get_adapter(case.provider).look_up_answer(question(case.kind), case.wire, at=AT)

        said = [told(fact, expected) for fact, expected in zip(answer.facts, case.expect["facts"], strict=True)]
        assert said == case.expect["facts"]
        assert (answer.answered, answer.found) == (case.expect["answered"], case.expect["found"])
        assert answer.in_progress == case.expect["in_progress"]
        assert json.loads(json.dumps(answer.evidence)) == answer.evidence
        for fact in answer.facts:
            check(fact, Source.LOOK_UP)

    def is_translated_alike_each_time(self, case: Case) -> None:
        adapter = get_adapter(case.provider)

        first, second = (adapter.look_up_answer(question(case.kind), case.wire, at=AT) for _ in range(2))

        assert first == second

    def of_a_failing_server_proves_nothing(self, case: Case) -> None:
        answer = get_adapter(case.provider).look_up_answer(question(case.kind), replace(case.wire, status=502), at=AT)

        assert (answer.answered, answer.found, answer.facts) == (False, False, ())

    def cut_short_proves_nothing(self, case: Case) -> None:
        adapter, whole = get_adapter(case.provider), case.body.rstrip()

        for length in {*range(0, len(whole), 7), len(whole) - 1}:
            wire = replace(case.wire, body=whole[:length])
            assert not adapter.look_up_answer(question(case.kind), wire, at=AT).answered
            assert not adapter.window_answer(wire, at=AT).answered

    def hides_a_card_that_it_quotes(self, case: Case) -> None:
        adapter = get_adapter(case.provider)
        for number in CARD_NUMBERS:
            wire = replace(case.wire, body=re.sub(b"4xxxxxxxxxxx1111|SUCCESS", number.encode(), case.body))

            assert number not in repr(adapter.look_up_answer(question(case.kind), wire, at=AT))
            assert number not in repr(adapter.window_answer(wire, at=AT))

    @kinds_of_each
    def test_that_are_empty_or_foreign_prove_nothing(self, provider: str, kind: OperationKind) -> None:
        adapter = get_adapter(provider)

        for body in FOREIGN:
            wire = WireAnswer(200, "text/xml", body)
            assert not adapter.look_up_answer(question(kind), wire, at=AT).answered, body
            assert not adapter.window_answer(wire, at=AT).answered, body

    @settings(deadline=None, max_examples=examples(150))
    @given(case=st.sampled_from(LOOK_UPS), data=st.data())
    def test_that_were_damaged_never_raise(self, case: Case, data: st.DataObject) -> None:
        adapter, body = get_adapter(case.provider), bytearray(case.body)
        for _ in range(data.draw(st.integers(1, 4))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        wire = replace(case.wire, body=bytes(body))

        for fact in adapter.look_up_answer(question(case.kind), wire, at=AT).facts:
            check(fact, Source.LOOK_UP)
        for fact in adapter.window_answer(wire, at=AT).facts:
            assert fact.source in {Source.LOOK_UP, Source.WEBHOOK}  # some list what their webhooks had said
            check(fact, fact.source)

    @kinds_of_each
    def test_name_exactly_one_subject(self, provider: str, kind: OperationKind) -> None:
        adapter = get_adapter(provider)

        asked = replace(question(kind), gateway_id="", handle="")

        by_reference = adapter.look_up_request(asked)

        # Where no question can name our reference, the list around the call is asked for, and searched here.
        on_another_day = adapter.look_up_request(replace(asked, sent_at=SENT_AT - timedelta(days=1)))
        assert asked.reference in written(by_reference) or by_reference != on_another_day
        with pytest.raises(ValueError, match="needs"):
            adapter.look_up_request(replace(asked, reference=""))

    @pytest.mark.parametrize("provider", [p for p in sorted(ADAPTERS) if get_adapter(p).capabilities.lists_window])
    def test_of_a_window_ask_page_by_page_without_a_secret(self, provider: str) -> None:
        adapter = get_adapter(provider)
        start, end = SENT_AT, SENT_AT + timedelta(minutes=10)

        pages = [adapter.window_request(start, end, page=page, cursor=f"after{page}") for page in (0, 1)]

        assert pages[0] != pages[1]
        assert SECRET not in written(pages[0])
        assert SECRET in written(spoken(provider, pages[0]))

    @pytest.mark.parametrize("provider", [p for p in sorted(ADAPTERS) if not get_adapter(p).capabilities.lists_window])
    def test_of_a_window_can_not_be_asked_where_none_is_listed(self, provider: str) -> None:
        with pytest.raises(ValueError, match="list"):
            get_adapter(provider).window_request(SENT_AT, AT, page=0)

    @of_each
    def test_a_probe_is_a_question_that_any_healthy_answer_satisfies(self, provider: str) -> None:
        adapter = get_adapter(provider)

        assert SECRET in written(spoken(provider, adapter.probe_request()))
        for body in FOREIGN:
            assert not adapter.probe_answer(WireAnswer(200, "text/html", body))
            assert not adapter.probe_answer(WireAnswer(503, "text/html", body))


class TestWebhooks:
    @pytest.mark.parametrize("case", WEBHOOKS, ids=str)
    def test_keep_every_promise(self, case: Case) -> None:
        self.becomes_the_facts_it_tells(case)
        self.has_a_key_that_stays(case)
        if not case.expect.get("unreadable"):
            self.hides_a_card_that_it_quotes(case)

    def becomes_the_facts_it_tells(self, case: Case) -> None:
        adapter = get_adapter(case.provider)
        if case.expect.get("unreadable"):
            with pytest.raises(Unreadable, match=r"\w{4}"):
                adapter.translate_webhook(case.body, received_at=AT)
            return

        message = adapter.translate_webhook(case.body, received_at=AT)

        said = [told(fact, expected) for fact, expected in zip(message.facts, case.expect["facts"], strict=True)]
        assert said == case.expect["facts"]
        assert [payout_told(payout) for payout in message.payouts] == case.expect.get("payouts", [])
        assert message.understood == case.expect["understood"]
        assert message.facts or message.reason
        for fact in message.facts:
            check(fact, Source.WEBHOOK)

    def has_a_key_that_stays(self, case: Case) -> None:
        adapter = get_adapter(case.provider)

        assert 0 < len(adapter.event_key(case.body)) <= 200
        assert adapter.event_key(case.body) == adapter.event_key(bytes(bytearray(case.body)))

    def hides_a_card_that_it_quotes(self, case: Case) -> None:
        for number in CARD_NUMBERS:
            body = case.body.replace(b"411111******1111", number.encode()).replace(b"SUCCESS", number.encode())

            assert number not in repr(get_adapter(case.provider).translate_webhook(body, received_at=AT))

    @settings(deadline=None, max_examples=examples(150))
    @given(
        body=st.one_of(
            st.binary(max_size=200), st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)
        )
    )
    def test_of_any_bytes_raise_nothing_but_unreadable(self, body: bytes) -> None:
        for provider in sorted(ADAPTERS):
            assert_total(get_adapter(provider), body)

    @settings(deadline=None, max_examples=examples(250))
    @given(case=st.sampled_from(WEBHOOKS), data=st.data())
    def test_with_any_value_replaced_raise_nothing_but_unreadable(self, case: Case, data: st.DataObject) -> None:
        values: st.SearchStrategy[object] = (
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just([]) | st.just({})
        )
        body = deepcopy(case.row["body"])
        for _ in range(data.draw(st.integers(0, 3))):
            places = [part for part in objects_in(body) if part]
            if places:
                place = data.draw(st.sampled_from(places))
                place[data.draw(st.sampled_from(sorted(place)))] = data.draw(values)

        assert_total(get_adapter(case.provider), json.dumps(body).encode())

    @of_each
    @pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b'{"event_id": ' + b"9" * 10_000 + b"}"])
    def test_built_to_break_a_parser_are_unreadable(self, provider: str, body: bytes) -> None:
        assert_total(get_adapter(provider), body)
        with pytest.raises(Unreadable):
            get_adapter(provider).translate_webhook(body, received_at=AT)


def objects_in(body: object) -> list[dict[str, Any]]:
    """Every object of a message, the whole first."""
    if isinstance(body, dict):
        return [body, *(found for value in body.values() for found in objects_in(value))]
    return [found for value in body for found in objects_in(value)] if isinstance(body, list) else []


def assert_total(adapter: Adapter, body: bytes) -> None:
    assert 0 < len(adapter.event_key(body)) <= 200
    assert adapter.verify_webhook({}, body, ("secret",)) is False
    try:
        message = adapter.translate_webhook(body, received_at=AT)
    except Unreadable:
        return
    for fact in message.facts:
        check(fact, Source.WEBHOOK)


class TestSignatures:
    @pytest.mark.parametrize("case", SIGNATURES, ids=str)
    def test_are_accepted_with_the_current_or_the_previous_secret(self, case: Case) -> None:
        verify, row = get_adapter(case.provider).verify_webhook, case.row
        headers = {row["header"]: row["value"]}

        assert verify(headers, case.body, (row["secret"],))
        assert verify(headers, case.body, ("a newer one", row["secret"]))
        assert verify({**headers, "content-type": "application/json"}, case.body, (row["secret"], ""))

    @pytest.mark.parametrize("case", SIGNATURES, ids=str)
    def test_are_refused_when_anything_was_changed(self, case: Case) -> None:
        verify, row = get_adapter(case.provider).verify_webhook, case.row
        header, value, secrets = row["header"], row["value"], (row["secret"],)

        for place in range(len(case.body)):
            damaged = bytearray(case.body)
            damaged[place] ^= 1
            assert not verify({header: value}, bytes(damaged), secrets)
        for length in range(len(value)):
            assert not verify({header: value[:length]}, case.body, secrets)
        for place in range(value.index(re.findall(r"[0-9a-f]{64}", value)[0]), len(value)):
            other = "0" if value[place] != "0" else "1"
            assert not verify({header: value[:place] + other + value[place + 1 :]}, case.body, secrets)

    @pytest.mark.parametrize("case", SIGNATURES, ids=str)
    def test_are_refused_without_header_or_secret(self, case: Case) -> None:
        verify, row = get_adapter(case.provider).verify_webhook, case.row
        headers = {row["header"]: row["value"]}

        assert not verify({}, case.body, (row["secret"],))
        assert not verify(headers, case.body, ())
        assert not verify(headers, case.body, ("", row["secret"] + "x"))
        assert not verify({row["header"]: ""}, case.body, ("",))

    @of_each
    @settings(deadline=None)
    @given(value=st.text(max_size=120), body=st.binary(max_size=50))
    def test_of_any_text_never_raise(self, provider: str, value: str, body: bytes) -> None:
        for row in (case.row for case in SIGNATURES if case.provider == provider):
            assert get_adapter(provider).verify_webhook({row["header"]: value}, body, ("secret", "")) is False
