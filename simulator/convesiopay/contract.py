"""Which words does ConvesioPay speak? Paths, statuses and refusal reasons, and which of them nobody has confirmed.

Known from the vendor's own public templates: /v1/payments, /v1/payments/stored-card, GET /v1/payments/{id}, the fields of a
payment, `Succeeded`, `Authorized`, `Pending`, `AwaitingAction`, `error` with `message`, the secret without "Bearer". Known
from its WooCommerce plugin: notifications in Adyen's form. Assumed: captures, refunds, cancels and the list by order
number, the other statuses, the HTTP status of refusals, that the payment's id is the notifications' pspReference.
"""

from __future__ import annotations

from collections.abc import Mapping

SUCCEEDED = "Succeeded"
AUTHORISED = "Authorized"
PENDING = "Pending"
AWAITING = "AwaitingAction"
FAILED = "Failed"
CANCELLED = "Cancelled"
ABANDONED = "Abandoned"

# Refusal reasons as Adyen, behind it, numbers and words them.
REASONS: Mapping[int, str] = {
    2: "Refused",
    3: "Referral",
    4: "Acquirer Error",
    5: "Blocked Card",
    6: "Expired Card",
    7: "Invalid Amount",
    8: "Invalid Card Number",
    9: "Issuer Unavailable",
    10: "Not supported",
    11: "3D Not Authenticated",
    12: "Not enough balance",
    14: "Acquirer Fraud",
    15: "Cancelled",
    16: "Shopper Cancelled",
    17: "Invalid Pin",
    18: "Pin tries exceeded",
    20: "FRAUD",
    22: "FRAUD-CANCELLED",
    23: "Transaction Not Permitted",
    24: "CVC Declined",
    25: "Restricted Card",
    26: "Revocation Of Auth",
    27: "Declined Non Generic",
    28: "Withdrawal amount exceeded",
    29: "Withdrawal count exceeded",
    31: "Issuer Suspected Fraud",
    32: "AVS Declined",
    38: "Authentication required",
    46: "Closed account",
    99: "Something that no table lists",
}

# The response code of the card network that an issuer might have given, for some of them.
NETWORK_CODES: Mapping[int, str] = {
    2: "05",
    5: "62",
    6: "54",
    8: "14",
    12: "51",
    23: "57",
    24: "82",
    28: "61",
    31: "59",
}
ADVICE_CODES: Mapping[int, str] = {12: "24", 26: "21", 46: "03"}

CODE_OF_CLASS: Mapping[str, int] = {
    "soft_decline": 2,
    "hard_decline": 23,
    "insufficient_funds": 12,
    "expired_card": 6,
    "invalid_card_data": 8,
    "fraud": 20,
    "limit_exceeded": 28,
    "authentication_required": 38,
    "configuration_error": 7,
    "gateway_error": 4,
    "gateway_unavailable": 9,
    # Nothing of these is known of this gateway: a reason that no table lists.
    "duplicate": 99,
    "invalid_request": 99,
    "unknown": 99,
}


def find_refusal(word: str) -> int | None:
    """The reason named by its number, by `refusal:<n>` or by a class of refusal; None when it is none of them."""
    if word in CODE_OF_CLASS:
        return CODE_OF_CLASS[word]
    number = word.removeprefix("refusal:").removeprefix("refusal_")
    return int(number) if number.isdecimal() and int(number) in REASONS else None
