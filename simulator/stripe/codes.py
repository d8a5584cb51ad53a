"""Which refusals does Stripe have, and which stands for each class of refusal? Tables; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# decline_code -> the text of the answer. Generic where Stripe is generic.
_GENERIC = "Your card was declined."
_UNSUPPORTED = "Your card does not support this type of purchase."
TEXTS: Mapping[str, str] = {
    "approve_with_id": _GENERIC,
    "authentication_not_handled": _GENERIC,
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "call_issuer": _GENERIC,
    "card_not_supported": _UNSUPPORTED,
    "card_velocity_exceeded": "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    "currency_not_supported": "Your card does not support this currency.",
    "do_not_honor": _GENERIC,
    "do_not_try_again": _GENERIC,
    "duplicate_transaction": "A transaction with identical amount and card information was submitted very recently.",
    "expired_card": "Your card has expired.",
    "fraudulent": _GENERIC,
    "generic_decline": _GENERIC,
    "highest_risk_level": _GENERIC,
    "incorrect_address": "Your card's address is incorrect.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "incorrect_number": "Your card number is incorrect.",
    "incorrect_pin": "Your card's PIN is incorrect.",
    "incorrect_zip": "Your card's postal code is incorrect.",
    "insufficient_funds": "Your card has insufficient funds.",
    "invalid_account": _GENERIC,
    "invalid_amount": "Your card does not allow this amount.",
    "invalid_cvc": "Your card's security code is invalid.",
    "invalid_expiry_month": "Your card's expiration month is invalid.",
    "invalid_expiry_year": "Your card's expiration year is invalid.",
    "invalid_number": "Your card number is not a valid credit card number.",
    "invalid_pin": "Your card's PIN is invalid.",
    "issuer_not_available": _GENERIC,
    "lost_card": _GENERIC,
    "merchant_blacklist": _GENERIC,
    "new_account_information_available": _GENERIC,
    "no_action_taken": _GENERIC,
    "not_permitted": _GENERIC,
    "offline_pin_required": _GENERIC,
    "online_or_offline_pin_required": _GENERIC,
    "pickup_card": _GENERIC,
    "pin_try_exceeded": _GENERIC,
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "reenter_transaction": _GENERIC,
    "restricted_card": _GENERIC,
    "revocation_of_all_authorizations": _GENERIC,
    "revocation_of_authorization": _GENERIC,
    "rule": _GENERIC,
    "security_violation": _GENERIC,
    "service_not_allowed": _GENERIC,
    "stolen_card": _GENERIC,
    "stop_payment_order": _GENERIC,
    "testmode_decline": _GENERIC,
    "transaction_not_allowed": _GENERIC,
    "try_again_later": _GENERIC,
    "withdrawal_count_limit_exceeded": "Your card's withdrawal limit was exceeded.",
}

# Decline codes that are an error code of their own; all others come as card_declined.
OWN_CODE: Mapping[str, str] = {
    name: name
    for name in (
        "authentication_required",
        "expired_card",
        "incorrect_address",
        "incorrect_cvc",
        "incorrect_number",
        "incorrect_zip",
        "invalid_cvc",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "invalid_number",
        "processing_error",
    )
}

# Refused by Stripe itself before the network was asked: decline_code -> outcome.reason.
BLOCKED: Mapping[str, str] = {
    "highest_risk_level": "highest_risk_level",
    "merchant_blacklist": "merchant_blacklist",
    "rule": "rule",
}

# The two digits with which the networks answer, where a decline code has an obvious one.
NETWORK_CODE: Mapping[str, str] = {
    "call_issuer": "01",
    "card_velocity_exceeded": "65",
    "do_not_honor": "05",
    "expired_card": "54",
    "fraudulent": "59",
    "generic_decline": "05",
    "incorrect_number": "14",
    "insufficient_funds": "51",
    "invalid_account": "14",
    "invalid_amount": "13",
    "issuer_not_available": "91",
    "lost_card": "41",
    "not_permitted": "57",
    "pickup_card": "04",
    "processing_error": "96",
    "reenter_transaction": "19",
    "restricted_card": "62",
    "revocation_of_all_authorizations": "R1",
    "revocation_of_authorization": "R0",
    "security_violation": "63",
    "stolen_card": "43",
    "stop_payment_order": "R0",
    "transaction_not_allowed": "57",
    "withdrawal_count_limit_exceeded": "61",
}

ADVICE_WORDS = ("confirm_card_data", "do_not_try_again", "try_again_later")

# Refusals that are no decline of a card: the whole answer is another one. `request_blocked` and
# `card_decline_rate_limit_exceeded` are card errors with a code of their own and no decline code.
WITHOUT_DECLINE_CODE: Mapping[str, str] = {
    "card_decline_rate_limit_exceeded": "This card has been declined too many times. Try again in 24 hours.",
    "payment_intent_authentication_failure": "The provided PaymentMethod has failed authentication.",
    "request_blocked": "Your request was blocked.",
}
API_REFUSALS = ("api_error", "lock_timeout", "parameter_invalid", "rate_limit", "testmode_charges_only")

# Our word for a refusal -> one of Stripe's codes of that class.
CODE_OF_CLASS: Mapping[str, str] = {
    "soft_decline": "generic_decline",
    "hard_decline": "transaction_not_allowed",
    "insufficient_funds": "insufficient_funds",
    "expired_card": "expired_card",
    "invalid_card_data": "incorrect_cvc",
    "fraud": "fraudulent",
    "limit_exceeded": "card_velocity_exceeded",
    "authentication_required": "authentication_required",
    "duplicate": "duplicate_transaction",
    "invalid_request": "parameter_invalid",
    "configuration_error": "testmode_decline",
    "gateway_error": "processing_error",
    "gateway_unavailable": "rate_limit",
    "unknown": "a_reason_of_tomorrow",
}
_UNHEARD_OF = "a_reason_of_tomorrow"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal: `word` out of the tables; the advice and digits of issuer and network, where somebody asked for them."""

    word: str
    advice_code: str = ""
    network_advice_code: str = ""
    network_decline_code: str = ""

    @property
    def text(self) -> str:
        return WITHOUT_DECLINE_CODE.get(self.word) or TEXTS.get(self.word, _GENERIC)

    @property
    def code(self) -> str:
        """The error's own code."""
        return self.word if self.word in WITHOUT_DECLINE_CODE else OWN_CODE.get(self.word, "card_declined")

    @property
    def decline_code(self) -> str:
        """Empty where the error has none. A block of Stripe's own is told to the outside as a generic one."""
        if self.word in WITHOUT_DECLINE_CODE:
            return ""
        return "generic_decline" if self.word in ("highest_risk_level", "rule") else self.word

    @property
    def network_code(self) -> str:
        return self.network_decline_code or NETWORK_CODE.get(self.word, "")


def find_refusal(text: str) -> Refusal | None:
    """The refusal of `<class or code>[+<suffix>…]`; None when it is none.

    Suffixes: `advice_<two digits>` (network advice), `network_<digits>` (network decline code), or an advice word:
    do_not_try_again, try_again_later, confirm_card_data. So `do_not_honor+advice_03+network_05`.
    """
    name, *suffixes = text.split("+")
    word = CODE_OF_CLASS.get(name, name)
    if word not in TEXTS and word not in WITHOUT_DECLINE_CODE and word not in (*API_REFUSALS, _UNHEARD_OF):
        return None
    fields: dict[str, str] = {}
    for suffix in suffixes:
        kind, _, digits = suffix.partition("_")
        if suffix in ADVICE_WORDS:
            fields["advice_code"] = suffix
        elif kind == "advice" and len(digits) == 2 and digits.isalnum():
            fields["network_advice_code"] = digits
        elif kind == "network" and digits.isalnum():
            fields["network_decline_code"] = digits
        else:
            return None
    return Refusal(word, **fields)
