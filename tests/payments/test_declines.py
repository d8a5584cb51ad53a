"""What follows from each class of refusal?"""

from __future__ import annotations

import pytest

from payments.declines import ADVICE, NextStep, advice_on, next_step
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
            (FailureClass.DUPLICATE, NextStep.LOOK_UP, NextStep.LOOK_UP),
            (FailureClass.INVALID_REQUEST, NextStep.STOP_AND_REVIEW, NextStep.STOP_AND_REVIEW),
            (FailureClass.CONFIGURATION_ERROR, NextStep.STOP_AND_REVIEW, NextStep.OTHER_GATEWAY),
            (FailureClass.GATEWAY_ERROR, NextStep.STOP_AND_REVIEW, NextStep.OTHER_GATEWAY),
            (FailureClass.GATEWAY_UNAVAILABLE, NextStep.STOP_AND_REVIEW, NextStep.OTHER_GATEWAY),
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
