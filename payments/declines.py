"""What follows from a refusal, and what may the payer be told? A table over our classes; pure, and it knows no gateway."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

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
    FailureClass.DUPLICATE: Advice((NextStep.LOOK_UP,), _WAIT),
    FailureClass.INVALID_REQUEST: Advice((NextStep.STOP_AND_REVIEW,), _OUR_FAULT),
    FailureClass.CONFIGURATION_ERROR: Advice((NextStep.OTHER_GATEWAY, NextStep.STOP_AND_REVIEW), _OUR_FAULT),
    FailureClass.GATEWAY_ERROR: Advice(
        (NextStep.OTHER_GATEWAY, NextStep.RETRY_LATER, NextStep.STOP_AND_REVIEW), _OUR_FAULT
    ),
    FailureClass.GATEWAY_UNAVAILABLE: Advice(
        (NextStep.OTHER_GATEWAY, NextStep.RETRY_LATER, NextStep.STOP_AND_REVIEW), _OUR_FAULT
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
    *preferred, last_resort = advice_on(failure_class, certainty).steps
    return next((step for step in preferred if step in possible), last_resort)
