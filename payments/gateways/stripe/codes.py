"""What does each refusal code of Stripe mean? A table from code to class and certainty; it decides nothing.

Source: docs.stripe.com/declines/codes, and the error codes listed by Stripe's official library. A decline carries the
code of its `decline_code`, any other error that of its `code`.
"""

from __future__ import annotations

from payments.gateways.base import CodeMeaning
from payments.states import Certainty, FailureClass

Class = FailureClass
_DAY = 86_400

# Their object is in another state than we thought: it may have moved money meanwhile, so that only a look-up can tell.
CONTRADICTED = frozenset(
    {
        "payment_intent_unexpected_state",
        "intent_invalid_state",
        "status_transition_invalid",
        "charge_already_captured",
        "charge_already_refunded",
        "charge_expired_for_capture",
        "capture_charge_authorization_expired",
        "idempotency_error",
        "idempotency_key_in_use",
    }
)
# Stripe's limiters stand before its processing, and before its idempotency layer.
LIMITERS = frozenset({"rate_limit", "lock_timeout"})


def _refused(failure_class: FailureClass, text: str, *, after: int | None = None, revokes: bool = False) -> CodeMeaning:
    return CodeMeaning(failure_class, Certainty.REFUSED, text, after, revokes)


def _unsure(text: str) -> CodeMeaning:
    return CodeMeaning(Class.UNKNOWN, Certainty.UNKNOWN, text)


def _not_sent(failure_class: FailureClass, text: str) -> CodeMeaning:
    return CodeMeaning(failure_class, Certainty.NOT_SENT, text)


_BY_ISSUER: dict[str, CodeMeaning] = {
    "insufficient_funds": _refused(Class.INSUFFICIENT_FUNDS, "insufficient funds"),
    "card_velocity_exceeded": _refused(Class.LIMIT_EXCEEDED, "over the balance, credit or number limit of the card"),
    "withdrawal_count_limit_exceeded": _refused(Class.LIMIT_EXCEEDED, "over the limit of the card"),
    "pin_try_exceeded": _refused(Class.LIMIT_EXCEEDED, "too many wrong PINs"),
    "card_decline_rate_limit_exceeded": _refused(
        Class.LIMIT_EXCEEDED, "declined too often: nothing for a day", after=_DAY
    ),
    "expired_card": _refused(Class.EXPIRED_CARD, "expired card"),
    "incorrect_number": _refused(Class.INVALID_CARD_DATA, "wrong card number"),
    "invalid_number": _refused(Class.INVALID_CARD_DATA, "no card number"),
    "incorrect_cvc": _refused(Class.INVALID_CARD_DATA, "wrong security code"),
    "invalid_cvc": _refused(Class.INVALID_CARD_DATA, "no security code"),
    "invalid_expiry_month": _refused(Class.INVALID_CARD_DATA, "invalid expiry month"),
    "invalid_expiry_year": _refused(Class.INVALID_CARD_DATA, "invalid expiry year"),
    "incorrect_zip": _refused(Class.INVALID_CARD_DATA, "wrong postal code"),
    "incorrect_address": _refused(Class.INVALID_CARD_DATA, "wrong address"),
    "incorrect_pin": _refused(Class.INVALID_CARD_DATA, "wrong PIN"),
    "invalid_pin": _refused(Class.INVALID_CARD_DATA, "wrong PIN"),
    "invalid_account": _refused(Class.INVALID_CARD_DATA, "no such account at the issuer"),
    "fraudulent": _refused(Class.FRAUD, "believed to be fraudulent"),
    "lost_card": _refused(Class.FRAUD, "lost card"),
    "stolen_card": _refused(Class.FRAUD, "stolen card"),
    "pickup_card": _refused(Class.FRAUD, "pick up card"),
    "restricted_card": _refused(Class.FRAUD, "restricted card"),
    "security_violation": _refused(Class.FRAUD, "security violation"),
    "merchant_blacklist": _refused(Class.FRAUD, "on the block list of this account"),
    "highest_risk_level": _refused(Class.FRAUD, "blocked: highest risk"),
    "rule": _refused(Class.FRAUD, "blocked by a rule of this account"),
    "request_blocked": _refused(Class.FRAUD, "blocked by the gateway"),
    "do_not_try_again": _refused(Class.HARD_DECLINE, "do not try again"),
    "revocation_of_all_authorizations": _refused(Class.HARD_DECLINE, "all later charges revoked", revokes=True),
    "revocation_of_authorization": _refused(Class.HARD_DECLINE, "later charges revoked", revokes=True),
    "stop_payment_order": _refused(Class.HARD_DECLINE, "payment stopped by the payer", revokes=True),
    "transaction_not_allowed": _refused(Class.HARD_DECLINE, "transaction not allowed"),
    "service_not_allowed": _refused(Class.HARD_DECLINE, "service not allowed"),
    "card_not_supported": _refused(Class.HARD_DECLINE, "the card does not support this purchase"),
    "currency_not_supported": _refused(Class.HARD_DECLINE, "the card does not support the currency"),
    "not_permitted": _refused(Class.HARD_DECLINE, "not permitted"),
    "invalid_amount": _refused(Class.HARD_DECLINE, "amount not allowed"),
    "no_action_taken": _refused(Class.HARD_DECLINE, "no action taken"),
    "new_account_information_available": _refused(Class.HARD_DECLINE, "newer card data available"),
    "generic_decline": _refused(Class.SOFT_DECLINE, "declined without a reason"),
    "card_declined": _refused(Class.SOFT_DECLINE, "declined without a reason"),
    "do_not_honor": _refused(Class.SOFT_DECLINE, "do not honour"),
    "call_issuer": _refused(Class.SOFT_DECLINE, "call the issuer"),
    "try_again_later": _refused(Class.SOFT_DECLINE, "try again later"),
    "approve_with_id": _refused(Class.SOFT_DECLINE, "could not be authorised, try again"),
    "processing_error": _refused(Class.GATEWAY_ERROR, "error while processing the card"),
    "issuer_not_available": _refused(Class.GATEWAY_ERROR, "issuer not available"),
    "reenter_transaction": _refused(Class.GATEWAY_ERROR, "could not be processed, try again"),
    "authentication_required": _refused(Class.AUTHENTICATION_REQUIRED, "the payer has to confirm it"),
    "online_or_offline_pin_required": _refused(Class.AUTHENTICATION_REQUIRED, "PIN required"),
    "offline_pin_required": _refused(Class.AUTHENTICATION_REQUIRED, "PIN required"),
    "payment_intent_authentication_failure": _refused(
        Class.AUTHENTICATION_REQUIRED, "the payer did not confirm it, or failed to"
    ),
    "duplicate_transaction": _refused(Class.DUPLICATE, "an equal payment was made a moment ago"),
    "testmode_decline": _refused(Class.CONFIGURATION_ERROR, "a test card"),
}
_BY_GATEWAY: dict[str, CodeMeaning] = {
    "testmode_charges_only": _refused(Class.CONFIGURATION_ERROR, "the account is not activated"),
    "livemode_mismatch": _refused(Class.CONFIGURATION_ERROR, "test and live keys mixed up"),
    "secret_key_required": _refused(Class.CONFIGURATION_ERROR, "this key may not do that"),
    "permission_error": _refused(Class.CONFIGURATION_ERROR, "this key may not do that"),
    "authentication_error": _not_sent(Class.CONFIGURATION_ERROR, "the secret key is not accepted"),
    "api_key_expired": _not_sent(Class.CONFIGURATION_ERROR, "the secret key has expired"),
    "rate_limit": _not_sent(Class.GATEWAY_UNAVAILABLE, "the gateway's rate limit"),
    "lock_timeout": _not_sent(Class.GATEWAY_UNAVAILABLE, "another request held the same object"),
    "invalid_request_error": _refused(Class.INVALID_REQUEST, "not accepted"),
    "resource_missing": _refused(Class.INVALID_REQUEST, "no such object in this account"),
    "token_already_used": _refused(Class.INVALID_REQUEST, "the token was used before"),
    "amount_too_large": _refused(Class.INVALID_REQUEST, "amount too large"),
    "amount_too_small": _refused(Class.INVALID_REQUEST, "amount too small"),
    "invalid_charge_amount": _refused(Class.INVALID_REQUEST, "amount not allowed"),
    "parameter_missing": _refused(Class.INVALID_REQUEST, "a parameter is missing"),
    "parameter_unknown": _refused(Class.INVALID_REQUEST, "a parameter is not known"),
    "parameter_invalid_empty": _refused(Class.INVALID_REQUEST, "a parameter is empty"),
    "parameter_invalid_integer": _refused(Class.INVALID_REQUEST, "a parameter is no whole number"),
    "parameter_invalid_string_blank": _refused(Class.INVALID_REQUEST, "a parameter is blank"),
    "parameter_invalid_string_empty": _refused(Class.INVALID_REQUEST, "a parameter is empty"),
    "parameters_exclusive": _refused(Class.INVALID_REQUEST, "two parameters exclude each other"),
    "payment_method_unexpected_state": _refused(Class.INVALID_REQUEST, "the payment method can not be used"),
    "charge_disputed": _refused(Class.INVALID_REQUEST, "the charge is disputed"),
    "refund_disputed_payment": _refused(Class.INVALID_REQUEST, "the payment is disputed"),
    "charge_not_refundable": _refused(Class.INVALID_REQUEST, "the charge can not be refunded"),
    "re:lost_or_stolen_card": _refused(Class.HARD_DECLINE, "the refund failed: lost or stolen card"),
    "re:expired_or_canceled_card": _refused(Class.HARD_DECLINE, "the refund failed: the card has expired"),
    "re:charge_for_pending_refund_disputed": _refused(Class.HARD_DECLINE, "the refund failed: disputed meanwhile"),
    "re:insufficient_funds": _refused(Class.GATEWAY_ERROR, "the refund failed: our balance was too small"),
    "re:declined": _refused(Class.HARD_DECLINE, "the refund was declined"),
    "re:merchant_request": _refused(Class.HARD_DECLINE, "the refund was cancelled on our request"),
    "re:unknown": _refused(Class.UNKNOWN, "the refund failed without a reason"),
}
_UNDECIDED = {
    "payment_intent_unexpected_state": "the payment is in another state",
    "intent_invalid_state": "the payment is in another state",
    "status_transition_invalid": "the payment is in another state",
    "charge_already_captured": "captured already",
    "charge_already_refunded": "refunded already",
    "charge_expired_for_capture": "the hold has ended",
    "capture_charge_authorization_expired": "the hold has ended",
    "idempotency_error": "the same key with another request",
    "idempotency_key_in_use": "the same request is still being worked on",
}

SHEET: dict[str, CodeMeaning] = _BY_ISSUER | _BY_GATEWAY | {code: _unsure(text) for code, text in _UNDECIDED.items()}

UNKNOWN_REFUSAL = _refused(Class.UNKNOWN, "a code that the sheet does not know")


def declined(code: str) -> CodeMeaning:
    """What a card error means. It is a refusal for certain, whatever its code: HTTP 402 takes nothing."""
    found = SHEET.get(code, UNKNOWN_REFUSAL)
    return found if found.certainty == Certainty.REFUSED else UNKNOWN_REFUSAL
