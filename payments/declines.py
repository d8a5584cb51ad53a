"""What follows from a refusal, when may it be tried again, and what may the payer be told? Tables over our classes.

Pure, and it knows no gateway. What a card network forbids has become a class before it comes here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ledger.money import Money
from payments.states import Certainty, FailureClass


class NextStep(StrEnum):
    """What can be done about a payment that was not collected."""

    OTHER_GATEWAY = "other_gateway"  # only one that holds a credential of the same method
    RETRY_LATER = "retry_later"  # the same method, within the card networks' ceilings
    REDUCED_AMOUNT = "reduced_amount"  # only where the payment accepts a part
    ASK_PAYER = "ask_payer"  # other card, new data, a call to the bank
    STOP_AND_REVIEW = "stop_and_review"  # our own fault: no payer can mend it, a person must look
    NEVER_AGAIN = "never_again"  # this method must not be tried again
    LOOK_UP = "look_up"  # nothing may be tried before the gateway has said what happened


@dataclass(frozen=True, slots=True)
class Advice:
    """`steps` in order of preference, the last one always possible; `payer_wording` names no reason that helps a thief."""

    steps: tuple[NextStep, ...]
    payer_wording: str


_OTHER_METHOD = "Your bank did not approve this payment. Please use another card or contact your bank."
_CHECK_DETAILS = "The card details were not accepted. Please check them or use another card."
_OUR_FAULT = "The payment could not be processed. You have not been charged. We are looking into it."
_WAIT = "We are checking what happened to this payment. Please do not pay again."

ADVICE: dict[FailureClass, Advice] = {
    FailureClass.HARD_DECLINE: Advice((NextStep.NEVER_AGAIN,), _OTHER_METHOD),
    FailureClass.SOFT_DECLINE: Advice(
        (NextStep.OTHER_GATEWAY, NextStep.RETRY_LATER, NextStep.ASK_PAYER), _OTHER_METHOD
    ),
    FailureClass.INSUFFICIENT_FUNDS: Advice(
        (NextStep.REDUCED_AMOUNT, NextStep.RETRY_LATER, NextStep.ASK_PAYER),
        "There are not enough funds on this card. Please use another card.",
    ),
    FailureClass.EXPIRED_CARD: Advice((NextStep.ASK_PAYER,), "This card has expired. Please use another card."),
    FailureClass.INVALID_CARD_DATA: Advice((NextStep.ASK_PAYER,), _CHECK_DETAILS),
    # The wording of an ordinary refusal: whoever holds a stolen card learns nothing from it.
    FailureClass.FRAUD: Advice((NextStep.NEVER_AGAIN,), _OTHER_METHOD),
    FailureClass.AUTHENTICATION_REQUIRED: Advice(
        (NextStep.ASK_PAYER,), "Your bank asks you to confirm this payment. Please try again and confirm it."
    ),
    FailureClass.LIMIT_EXCEEDED: Advice(
        (NextStep.REDUCED_AMOUNT, NextStep.ASK_PAYER), "This amount is above the card's limit. Please use another card."
    ),
    # Proven refused as the double of something: of what, and whether that one is paid, a person has to find out.
    FailureClass.DUPLICATE: Advice((NextStep.STOP_AND_REVIEW,), _WAIT),
    FailureClass.INVALID_REQUEST: Advice((NextStep.STOP_AND_REVIEW,), _OUR_FAULT),
    FailureClass.CONFIGURATION_ERROR: Advice((NextStep.OTHER_GATEWAY, NextStep.STOP_AND_REVIEW), _OUR_FAULT),
    FailureClass.GATEWAY_ERROR: Advice(
        (NextStep.OTHER_GATEWAY, NextStep.RETRY_LATER, NextStep.STOP_AND_REVIEW), _OUR_FAULT
    ),
    # A gateway that is away is everybody's trouble, with an incident of its own: a case for each payment would help nobody.
    FailureClass.GATEWAY_UNAVAILABLE: Advice(
        (NextStep.OTHER_GATEWAY, NextStep.RETRY_LATER, NextStep.ASK_PAYER), _OUR_FAULT
    ),
    # The refusal itself is certain, its reason is not: nobody retries what nobody understands.
    FailureClass.UNKNOWN: Advice((NextStep.STOP_AND_REVIEW,), _OUR_FAULT),
}

_UNCERTAIN = Advice((NextStep.LOOK_UP,), _WAIT)


def advice_on(failure_class: FailureClass, certainty: Certainty) -> Advice:
    """What follows from a refusal. While the outcome is unknown the class means nothing: look up first.

    Raises: ValueError if money was taken, for that is no refusal.
    """
    if certainty == Certainty.TAKEN:
        raise ValueError("money was taken: there is no refusal to advise on")
    return _UNCERTAIN if certainty == Certainty.UNKNOWN else ADVICE[failure_class]


def next_step(failure_class: FailureClass, certainty: Certainty, possible: Collection[NextStep] = ()) -> NextStep:
    """The first step that is possible here, or the last resort. `possible`: what this payment and set-up allow."""
    return first_step(advice_on(failure_class, certainty), possible)


def first_step(advice: Advice, possible: Collection[NextStep] = ()) -> NextStep:
    """The first step of an advice that is possible here, or its last resort."""
    *preferred, last_resort = advice.steps
    return next((step for step in preferred if step in possible), last_resort)


# --- what people may choose instead -----------------------------------------------------------------------------------

# A person may always ask for less than the class allows; of what it allows, only an earlier or later step.
_MILDER = frozenset({NextStep.ASK_PAYER, NextStep.STOP_AND_REVIEW, NextStep.NEVER_AGAIN})
NO_CHOICE = frozenset({FailureClass.DUPLICATE, FailureClass.UNKNOWN})
"""Classes that nobody gives a code: the one is the wire's word, the other says that nobody has looked yet."""


def steps_to_choose(failure_class: FailureClass) -> frozenset[NextStep]:
    """Which next steps may people set for a code of this class? Never one that tries more than the class allows."""
    if failure_class in (FailureClass.FRAUD, FailureClass.DUPLICATE):
        return frozenset(ADVICE[failure_class].steps)
    return frozenset(ADVICE[failure_class].steps) | _MILDER


def with_choice(failure_class: FailureClass, *, step: str = "", wording: str = "") -> Advice:
    """The advice of a class with people's own step and words for one code; a step that it does not allow is left out."""
    advice = ADVICE[failure_class]
    steps = advice.steps
    if step and step in steps_to_choose(failure_class):
        chosen = NextStep(step)
        steps = (chosen,) if chosen in _MILDER or chosen == steps[-1] else (chosen, steps[-1])
    return Advice(steps, wording or advice.payer_wording)


# --- when to try again ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before each automatic try after a refusal, and when to stop. As many tries as there are waits."""

    waits: tuple[timedelta, ...]
    within: timedelta  # from the first refusal on; nothing is tried after


_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
TWO_WEEKS = 14 * _DAY
OF_ISSUER = RetryPolicy((_DAY, 3 * _DAY, 5 * _DAY, 5 * _DAY), TWO_WEEKS)
OF_FUNDS = RetryPolicy((2 * _DAY, 3 * _DAY, 4 * _DAY, 5 * _DAY), TWO_WEEKS)  # money comes with days, not with hours
OF_GATEWAY = RetryPolicy((5 * _MINUTE, 15 * _MINUTE, 60 * _MINUTE, 240 * _MINUTE), TWO_WEEKS)

RETRIES: dict[FailureClass, RetryPolicy] = {
    FailureClass.SOFT_DECLINE: OF_ISSUER,
    FailureClass.INSUFFICIENT_FUNDS: OF_FUNDS,
    FailureClass.GATEWAY_ERROR: OF_GATEWAY,
    FailureClass.GATEWAY_UNAVAILABLE: OF_GATEWAY,
}
"""Exactly the classes whose advice has RETRY_LATER. A class that is not here is never tried again by itself."""


def retry_due(
    number: int,
    failure_class: FailureClass,
    not_before: datetime | None,
    now: datetime,
    *,
    first_refused_at: datetime | None = None,
) -> datetime | None:
    """When is automatic retry `number` (1 the first) due after a refusal at `now`? None: there is no further one.

    Never before `not_before`, the earliest that the refusal allows. `first_refused_at` starts the days of the policy; a
    retry that would fall behind them is none. A refusal that never reached the network counts here, not with the networks.
    """
    policy = RETRIES.get(failure_class)
    if policy is None or not 1 <= number <= len(policy.waits):
        return None
    due = now + policy.waits[number - 1]
    if not_before is not None and not_before > due:
        due = not_before
    return due if due <= (first_refused_at or now) + policy.within else None


# --- how much to ask for instead --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReductionPolicy:
    """How much less is asked for after a refusal, in whole percent: `percent` of what was refused, never less than
    `floor_percent` of what is due, and at most `most` times for the same rest."""

    percent: int = 50
    floor_percent: int = 10
    most: int = 2


def reduced_amount(refused: Money, due: Money, made: int, policy: ReductionPolicy) -> Money | None:
    """What to ask for after `refused` was too much, rounded down to the minor unit; None: no further reduction.

    `made` counts the reduced tries for what is still missing.
    """
    if made >= policy.most:
        return None
    floor = -(-due.amount_minor * policy.floor_percent // 100)  # rounded up: never below it
    part = max(refused.amount_minor * policy.percent // 100, floor, 1)
    return Money(part, refused.currency) if part < refused.amount_minor else None


def possible_steps(*, other_gateway: bool, accepts_part: bool, retry_at: datetime | None) -> frozenset[NextStep]:
    """The conditional steps that one payment allows. `other_gateway`: one that holds a usable credential of its method."""
    conditions = {
        NextStep.OTHER_GATEWAY: other_gateway,
        NextStep.REDUCED_AMOUNT: accepts_part,
        NextStep.RETRY_LATER: retry_at is not None,
    }
    return frozenset(step for step, met in conditions.items() if met)
