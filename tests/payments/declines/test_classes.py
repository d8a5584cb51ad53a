"""Is a refusal what the sheet, then a rule, then the network say, with its certainty untouched? Are unknown codes counted?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections

from payments.decisions import DUPLICATE_OF_OTHER, NOTHING_LEFT
from payments.declines import ADVICE, NextStep
from payments.facts import Fact, FactKind
from payments.models import DeclineRule, UnmappedCode
from payments.services.declining import advice_for, classified, note_unmapped
from payments.states import Certainty, FailureClass, Source
from tests.payments.declines.rows import card, refused

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
F = FailureClass
HOUR, DAY = 3600, 86_400


def declined(failure_class: FailureClass = F.SOFT_DECLINE, code: str = "201", **told: object) -> Fact:
    fact = Fact(
        FactKind.DECLINED, Source.ANSWER, NOW, certainty=Certainty.REFUSED, failure_class=failure_class, code=code
    )
    return replace(fact, **told)  # type: ignore[arg-type]


def rule(code: str, failure_class: FailureClass, **fields: object) -> DeclineRule:
    return DeclineRule.objects.create(provider="nmi", code=code, failure_class=failure_class, version=1, **fields)


class TestClassified:
    def test_what_nobody_has_a_word_on_is_as_the_adapter_said(self) -> None:
        assert classified(declined(), "nmi", "visa") == declined()

    def test_a_rule_is_put_over_the_sheet_at_once(self) -> None:
        rule("201", F.INSUFFICIENT_FUNDS, retry_after_seconds=DAY)

        found = classified(declined(), "nmi")

        assert (found.failure_class, found.retry_after_seconds) == (F.INSUFFICIENT_FUNDS, DAY)

    def test_a_rule_is_for_its_provider_alone(self) -> None:
        rule("201", F.INSUFFICIENT_FUNDS)
        DeclineRule.objects.update(provider="other")

        assert classified(declined(), "nmi").failure_class == F.SOFT_DECLINE

    def test_the_network_s_never_stands_over_the_rule(self) -> None:
        rule("201", F.SOFT_DECLINE, retry_after_seconds=0)

        found = classified(declined(network_advice="03"), "nmi", "mastercard")

        assert found.failure_class == F.HARD_DECLINE

    def test_fraud_stays_fraud(self) -> None:
        assert classified(declined(F.FRAUD, "251", network_code="41"), "nmi", "visa").failure_class == F.FRAUD

    @pytest.mark.parametrize(("said", "wait"), [(None, 2 * DAY), (HOUR, 2 * DAY), (9 * DAY, 9 * DAY)])
    def test_the_longer_wait_counts(self, said: int | None, wait: int) -> None:
        fact = declined(network_advice="26", retry_after_seconds=said)

        assert classified(fact, "nmi", "mastercard").retry_after_seconds == wait

    def test_a_look_up_that_tells_the_code_alone_gets_the_sheet_s_wait(self) -> None:
        assert classified(declined(code="264"), "nmi").retry_after_seconds == 3 * DAY

    @pytest.mark.parametrize(
        "fact",
        [
            declined(F.GATEWAY_UNAVAILABLE, "420", kind=FactKind.UNKNOWN, certainty=Certainty.UNKNOWN),
            declined(F.DUPLICATE, "430", kind=FactKind.DUPLICATE),
            declined(None, "100", kind=FactKind.CAPTURE, certainty=Certainty.TAKEN),  # type: ignore[arg-type]
        ],
        ids=["unknown", "duplicate", "money"],
    )
    def test_nothing_is_said_over_an_outcome_that_is_no_refusal(self, fact: Fact) -> None:
        rule(fact.code, F.HARD_DECLINE)

        assert classified(replace(fact, network_advice="03"), "nmi", "mastercard") == replace(fact, network_advice="03")

    @pytest.mark.parametrize("certainty", list(Certainty))
    def test_certainty_is_never_changed(self, certainty: Certainty) -> None:
        rule("201", F.FRAUD)

        found = classified(declined(certainty=certainty, network_advice="21"), "nmi", "mastercard")

        assert found.certainty == certainty

    def test_it_costs_one_query(self, django_assert_num_queries: object) -> None:
        with django_assert_num_queries(1):  # type: ignore[operator]
            classified(declined(), "nmi", "visa")


class TestAdviceFor:
    def test_is_the_class_s_where_nobody_has_said_otherwise(self) -> None:
        assert advice_for(refused(card(), NOW), "nmi") == ADVICE[F.SOFT_DECLINE]

    def test_has_the_rule_s_step_and_words(self) -> None:
        rule("201", F.SOFT_DECLINE, next_step="ask_payer", payer_wording="Please call us.")

        advice = advice_for(refused(card(), NOW), "nmi")

        assert (advice.steps, advice.payer_wording) == ((NextStep.ASK_PAYER,), "Please call us.")

    @pytest.mark.parametrize("step", ["retry_later", "other_gateway", "reduced_amount"])
    def test_no_rule_tries_again_what_the_network_forbids(self, step: str) -> None:
        rule("201", F.SOFT_DECLINE, next_step=step)
        operation = refused(card("mastercard"), NOW, network_advice="03")  # its class was written under an older rule

        assert advice_for(operation, "nmi").steps == (NextStep.NEVER_AGAIN,)

    def test_an_unknown_outcome_is_looked_up_whatever_a_rule_says(self) -> None:
        rule("420", F.SOFT_DECLINE, next_step="retry_later")
        operation = refused(card(), NOW, code="420", state="unknown", certainty="unknown", failure_class="soft_decline")

        assert advice_for(operation, "nmi").steps == (NextStep.LOOK_UP,)


class TestUnmapped:
    def test_are_counted_with_their_money_and_the_last_sample(self) -> None:
        first, second = refused(card(), NOW), refused(card(), NOW)
        third = refused(card(), NOW, currency="EUR", amount_minor=700)

        for at, operation in enumerate((first, second, third)):
            note_unmapped(operation, declined(F.UNKNOWN, "299", message="hm"), NOW + timedelta(hours=at))

        row = UnmappedCode.objects.get()
        assert (row.provider, row.code, row.seen, row.sample, row.message) == ("nmi", "299", 3, third, "hm")
        assert row.money == {"USD": 2000, "EUR": 700}
        assert (row.first_seen_at, row.last_seen_at) == (NOW, NOW + timedelta(hours=2))

    def test_the_same_call_is_counted_once(self) -> None:
        operation = refused(card(), NOW)

        for _ in range(3):
            note_unmapped(operation, declined(F.UNKNOWN, "299"), NOW)

        assert UnmappedCode.objects.get().seen == 1

    @pytest.mark.parametrize(
        "fact",
        [
            declined(),
            declined(code=""),
            declined(F.UNKNOWN, "299", kind=FactKind.UNKNOWN, certainty=Certainty.UNKNOWN),
            declined(F.UNKNOWN, "298"),
            declined(F.UNKNOWN, NOTHING_LEFT, source=Source.SERVICE, kind=FactKind.NOT_SENT),
            declined(F.DUPLICATE, DUPLICATE_OF_OTHER, source=Source.LOOK_UP),
        ],
        ids=["on the sheet", "without a code", "outcome unknown", "classified", "a step of ours", "our conclusion"],
    )
    def test_others_are_not(self, fact: Fact) -> None:
        rule("298", F.SOFT_DECLINE)

        note_unmapped(refused(card(), NOW), fact, NOW)

        assert not UnmappedCode.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_all_counted() -> None:
    operations = [refused(card(), NOW) for _ in range(12)]
    assert connection.vendor == "postgresql"

    def note(at: int) -> None:
        try:
            note_unmapped(operations[at], declined(F.UNKNOWN, "299"), NOW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(note, range(len(operations))))

    row = UnmappedCode.objects.get()
    assert (row.seen, row.money) == (12, {"USD": 12_000})
