"""What follows from each class of refusal?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from payments.declines import (
    ADVICE,
    RETRIES,
    NextStep,
    advice_on,
    first_step,
    next_step,
    possible_steps,
    retry_due,
    steps_to_choose,
    with_choice,
)
from payments.states import Certainty, FailureClass

EVERYTHING = frozenset(NextStep)
UNCONDITIONAL = {NextStep.ASK_PAYER, NextStep.STOP_AND_REVIEW, NextStep.NEVER_AGAIN, NextStep.LOOK_UP}


class TestAdvice:
    def test_there_is_some_for_every_class(self) -> None:
        assert set(ADVICE) == set(FailureClass)

    @pytest.mark.parametrize("failure_class", list(FailureClass))
    def test_ends_in_a_step_that_needs_no_condition(self, failure_class: FailureClass) -> None:
        assert ADVICE[failure_class].steps[-1] in UNCONDITIONAL

    @pytest.mark.parametrize("failure_class", list(FailureClass))
    def test_says_the_payer_whole_sentences(self, failure_class: FailureClass) -> None:
        assert ADVICE[failure_class].payer_wording.endswith(".")

    @pytest.mark.parametrize("failure_class", list(FailureClass))
    def test_while_the_outcome_is_unknown_is_only_to_look_up(self, failure_class: FailureClass) -> None:
        advice = advice_on(failure_class, Certainty.UNKNOWN)

        assert advice.steps == (NextStep.LOOK_UP,)
        assert "do not pay again" in advice.payer_wording
        assert "not been charged" not in advice.payer_wording

    def test_tells_a_thief_no_more_than_an_ordinary_refusal(self) -> None:
        fraud, declined = ADVICE[FailureClass.FRAUD], ADVICE[FailureClass.SOFT_DECLINE]

        assert fraud.payer_wording == declined.payer_wording

    def test_on_money_that_was_taken_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no refusal"):
            advice_on(FailureClass.SOFT_DECLINE, Certainty.TAKEN)


class TestNextStep:
    @pytest.mark.parametrize(
        ("failure_class", "alone", "with_everything"),
        [
            (FailureClass.HARD_DECLINE, NextStep.NEVER_AGAIN, NextStep.NEVER_AGAIN),
            (FailureClass.SOFT_DECLINE, NextStep.ASK_PAYER, NextStep.OTHER_GATEWAY),
            (FailureClass.INSUFFICIENT_FUNDS, NextStep.ASK_PAYER, NextStep.REDUCED_AMOUNT),
            (FailureClass.EXPIRED_CARD, NextStep.ASK_PAYER, NextStep.ASK_PAYER),
            (FailureClass.INVALID_CARD_DATA, NextStep.ASK_PAYER, NextStep.ASK_PAYER),
            (FailureClass.FRAUD, NextStep.NEVER_AGAIN, NextStep.NEVER_AGAIN),
            (FailureClass.AUTHENTICATION_REQUIRED, NextStep.ASK_PAYER, NextStep.ASK_PAYER),
            (FailureClass.LIMIT_EXCEEDED, NextStep.ASK_PAYER, NextStep.REDUCED_AMOUNT),
            (FailureClass.DUPLICATE, NextStep.STOP_AND_REVIEW, NextStep.STOP_AND_REVIEW),
            (FailureClass.INVALID_REQUEST, NextStep.STOP_AND_REVIEW, NextStep.STOP_AND_REVIEW),
            (FailureClass.CONFIGURATION_ERROR, NextStep.STOP_AND_REVIEW, NextStep.OTHER_GATEWAY),
            (FailureClass.GATEWAY_ERROR, NextStep.STOP_AND_REVIEW, NextStep.OTHER_GATEWAY),
            (FailureClass.GATEWAY_UNAVAILABLE, NextStep.ASK_PAYER, NextStep.OTHER_GATEWAY),
            (FailureClass.UNKNOWN, NextStep.STOP_AND_REVIEW, NextStep.STOP_AND_REVIEW),
        ],
    )
    def test_is_the_first_possible_one(
        self, failure_class: FailureClass, alone: NextStep, with_everything: NextStep
    ) -> None:
        assert next_step(failure_class, Certainty.REFUSED) == alone
        assert next_step(failure_class, Certainty.REFUSED, EVERYTHING) == with_everything

    def test_after_an_unknown_outcome_is_never_another_gateway(self) -> None:
        assert next_step(FailureClass.GATEWAY_UNAVAILABLE, Certainty.UNKNOWN, EVERYTHING) == NextStep.LOOK_UP


NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


class TestPossibleSteps:
    @pytest.mark.parametrize(
        ("other_gateway", "accepts_part", "retry_at", "step"),
        [
            (True, True, NOW, NextStep.OTHER_GATEWAY),
            (False, True, NOW, NextStep.RETRY_LATER),
            (False, True, None, NextStep.ASK_PAYER),
        ],
    )
    def test_a_soft_decline_goes_on_only_where_it_can(
        self, other_gateway: bool, accepts_part: bool, retry_at: datetime | None, step: NextStep
    ) -> None:
        possible = possible_steps(other_gateway=other_gateway, accepts_part=accepts_part, retry_at=retry_at)

        assert next_step(FailureClass.SOFT_DECLINE, Certainty.REFUSED, possible) == step

    def test_a_smaller_sum_is_asked_for_only_where_a_part_is_accepted(self) -> None:
        with_part = possible_steps(other_gateway=False, accepts_part=True, retry_at=None)
        without = possible_steps(other_gateway=False, accepts_part=False, retry_at=None)

        assert next_step(FailureClass.INSUFFICIENT_FUNDS, Certainty.REFUSED, with_part) == NextStep.REDUCED_AMOUNT
        assert next_step(FailureClass.INSUFFICIENT_FUNDS, Certainty.REFUSED, without) == NextStep.ASK_PAYER


class TestRetryDue:
    @pytest.mark.parametrize(
        ("failure_class", "waits"),
        [
            (FailureClass.SOFT_DECLINE, [DAY, 3 * DAY, 5 * DAY, 5 * DAY]),
            (FailureClass.INSUFFICIENT_FUNDS, [2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY]),
            (FailureClass.GATEWAY_UNAVAILABLE, [5 * MINUTE, 15 * MINUTE, 60 * MINUTE, 240 * MINUTE]),
            (FailureClass.GATEWAY_ERROR, [5 * MINUTE, 15 * MINUTE, 60 * MINUTE, 240 * MINUTE]),
        ],
    )
    def test_waits_as_the_class_asks_and_then_no_more(
        self, failure_class: FailureClass, waits: list[timedelta]
    ) -> None:
        dues = [retry_due(number, failure_class, None, NOW) for number in range(1, 6)]

        assert dues == [*(NOW + wait for wait in waits), None]

    def test_exists_for_exactly_the_classes_that_may_be_tried_later(self) -> None:
        later = {name for name, advice in ADVICE.items() if NextStep.RETRY_LATER in advice.steps}

        assert set(RETRIES) == later

    def test_is_never_before_what_the_refusal_allows(self) -> None:
        allowed = NOW + 8 * DAY

        assert retry_due(1, FailureClass.SOFT_DECLINE, allowed, NOW) == allowed
        assert retry_due(1, FailureClass.SOFT_DECLINE, NOW + MINUTE, NOW) == NOW + DAY

    def test_is_none_behind_the_two_weeks_counted_from_the_first_refusal(self) -> None:
        first = NOW - 10 * DAY

        assert retry_due(3, FailureClass.SOFT_DECLINE, None, NOW, first_refused_at=first) is None
        assert retry_due(1, FailureClass.SOFT_DECLINE, NOW + 15 * DAY, NOW) is None

    @pytest.mark.parametrize("number", [0, -1, 5, 100])
    def test_there_is_none_outside_the_count(self, number: int) -> None:
        assert retry_due(number, FailureClass.SOFT_DECLINE, None, NOW) is None


class TestWhatPeopleChoose:
    @pytest.mark.parametrize("failure_class", FailureClass)
    def test_never_tries_more_than_the_class_allows(self, failure_class: FailureClass) -> None:
        trying = {NextStep.OTHER_GATEWAY, NextStep.RETRY_LATER, NextStep.REDUCED_AMOUNT}

        for step in NextStep:
            chosen = with_choice(failure_class, step=step)

            assert set(chosen.steps) & trying <= set(ADVICE[failure_class].steps), step
            assert chosen.steps[-1] in UNCONDITIONAL, step
            if step in steps_to_choose(failure_class):
                assert first_step(chosen, frozenset(NextStep)) == step
            else:
                assert chosen.steps == ADVICE[failure_class].steps, step

    def test_fraud_is_left_no_choice(self) -> None:
        assert steps_to_choose(FailureClass.FRAUD) == {NextStep.NEVER_AGAIN}

    def test_the_payer_reads_their_words(self) -> None:
        assert with_choice(FailureClass.SOFT_DECLINE, wording="Call us.").payer_wording == "Call us."
        assert with_choice(FailureClass.SOFT_DECLINE).payer_wording == ADVICE[FailureClass.SOFT_DECLINE].payer_wording
