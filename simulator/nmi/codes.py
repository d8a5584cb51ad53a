"""Which answer codes does NMI have, and which stands for each class of refusal? A table; decides nothing.

Source: the gateway's response code table as public SDKs of its white labels carry it.
"""

from __future__ import annotations

from collections.abc import Mapping

APPROVED = 100
REJECTED = 300
RATE_LIMITED = 301
LINE_LOST = 420

TEXTS: Mapping[int, str] = {
    200: "DECLINE",
    201: "Do not honor",
    202: "Insufficient funds",
    203: "Over limit",
    204: "Transaction not allowed",
    220: "Incorrect payment information",
    221: "No such card issuer",
    222: "No card number on file with issuer",
    223: "Expired card",
    224: "Invalid expiration date",
    225: "Invalid card security code",
    226: "Invalid PIN",
    240: "Call issuer for further information",
    250: "Pick up card",
    251: "Lost card",
    252: "Stolen card",
    253: "Fraudulent card",
    260: "Declined with further instructions available",
    261: "Declined - Stop all recurring payments",
    262: "Declined - Stop this recurring program",
    263: "Declined - Update cardholder data available",
    264: "Declined - Retry in a few days",
    300: "Transaction was rejected by gateway",
    301: "Payment API rate limit exceeded",
    400: "Transaction error returned by processor",
    410: "Invalid merchant configuration",
    411: "Merchant account is inactive",
    420: "Communication error",
    421: "Communication error with issuer",
    430: "Duplicate transaction at processor",
    440: "Processor format error",
    441: "Invalid transaction information",
    460: "Processor feature not available",
    461: "Unsupported card type",
}

# Our word for a refusal -> one of NMI's codes of that class. NMI has no code of its own for a refusal that asks for
# authentication: the nearest is 240, which sends the payer to the issuer.
CODE_OF_CLASS: Mapping[str, int] = {
    "soft_decline": 201,
    "hard_decline": 204,
    "insufficient_funds": 202,
    "expired_card": 223,
    "invalid_card_data": 225,
    "fraud": 253,
    "limit_exceeded": 203,
    "authentication_required": 240,
    "duplicate": 430,
    "invalid_request": 300,
    "configuration_error": 410,
    "gateway_error": 400,
    "gateway_unavailable": 301,
    "unknown": 420,
}

# The card network's response code, as a processor that passes it on would report it.
PROCESSOR_CODES: Mapping[int, str] = {
    200: "05", 201: "05", 202: "51", 203: "61", 204: "57", 221: "15", 222: "14", 223: "54", 225: "82", 226: "55",
    240: "01", 250: "04", 251: "41", 252: "43", 253: "59", 261: "R1", 262: "R0",
}  # fmt: skip

# Refused by the gateway itself: no transaction comes into being, the transaction id stays empty.
WITHOUT_TRANSACTION = frozenset({300, 301, 410, 411, 460})


def response_of(code: int) -> int:
    """1 approved, 2 declined, 3 error."""
    if code == APPROVED:
        return 1
    return 2 if code < REJECTED else 3


def find_refusal(word: str) -> int | None:
    """The code named by a code of the table or by a class of refusal; None when it is neither."""
    if word in CODE_OF_CLASS:
        return CODE_OF_CLASS[word]
    return int(word) if word.isdecimal() and int(word) in TEXTS else None
