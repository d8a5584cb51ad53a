"""What does each refusal reason of ConvesioPay mean? A table from Adyen's numbers to class and certainty; it decides nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from payments.gateways.base import CodeMeaning
from payments.gateways.convesiopay import contract
from payments.states import Certainty, FailureClass

UNAUTHENTICATED = f"http:{contract.UNAUTHENTICATED}"
UNLISTED = "refusal:unlisted"  # a refusal in words that the table does not know; deliberately no line of the sheet

C = FailureClass
_REASONS: dict[int, tuple[str, FailureClass]] = {
    2: ("Refused", C.SOFT_DECLINE),
    3: ("Referral", C.SOFT_DECLINE),
    4: ("Acquirer Error", C.GATEWAY_ERROR),
    5: ("Blocked Card", C.HARD_DECLINE),
    6: ("Expired Card", C.EXPIRED_CARD),
    7: ("Invalid Amount", C.CONFIGURATION_ERROR),
    8: ("Invalid Card Number", C.INVALID_CARD_DATA),
    9: ("Issuer Unavailable", C.GATEWAY_ERROR),
    10: ("Not supported", C.HARD_DECLINE),
    11: ("3D Not Authenticated", C.AUTHENTICATION_REQUIRED),
    12: ("Not enough balance", C.INSUFFICIENT_FUNDS),
    14: ("Acquirer Fraud", C.FRAUD),
    15: ("Cancelled", C.AUTHENTICATION_REQUIRED),  # only the payer can begin again
    16: ("Shopper Cancelled", C.AUTHENTICATION_REQUIRED),
    17: ("Invalid Pin", C.INVALID_CARD_DATA),
    18: ("Pin tries exceeded", C.LIMIT_EXCEEDED),
    20: ("FRAUD", C.FRAUD),
    22: ("FRAUD-CANCELLED", C.FRAUD),
    23: ("Transaction Not Permitted", C.HARD_DECLINE),
    24: ("CVC Declined", C.INVALID_CARD_DATA),
    25: ("Restricted Card", C.HARD_DECLINE),
    26: ("Revocation Of Auth", C.HARD_DECLINE),
    27: ("Declined Non Generic", C.SOFT_DECLINE),
    28: ("Withdrawal amount exceeded", C.LIMIT_EXCEEDED),
    29: ("Withdrawal count exceeded", C.LIMIT_EXCEEDED),
    31: ("Issuer Suspected Fraud", C.FRAUD),
    32: ("AVS Declined", C.INVALID_CARD_DATA),
    38: ("Authentication required", C.AUTHENTICATION_REQUIRED),
    46: ("Closed account", C.HARD_DECLINE),
}
_REVOKING = frozenset({26})

SHEET: dict[str, CodeMeaning] = {
    f"refusal:{number}": CodeMeaning(failure_class, Certainty.REFUSED, words, revokes=number in _REVOKING)
    for number, (words, failure_class) in _REASONS.items()
} | {UNAUTHENTICATED: CodeMeaning(C.CONFIGURATION_ERROR, Certainty.NOT_SENT, "the secret was not accepted")}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal read: our code and class for it, and the card network's own words."""

    code: str
    failure_class: FailureClass
    network_code: str = ""
    network_advice: str = ""


def refusal_of(fields: Mapping[str, object], text: str) -> Refusal:
    """By its number where one is given, else by its words. What neither names is a refusal for an unknown reason."""
    code = _code(fields.get(contract.REASON_CODE), text)
    failure_class = SHEET[code].failure_class if code in SHEET else C.UNKNOWN
    raw = _short(str(fields.get(contract.RAW_REASON) or "").partition(":")[0])
    return Refusal(code, failure_class, raw, _short(str(fields.get(contract.ADVICE) or "")))


def _code(number: object, text: str) -> str:
    said = str(number).strip() if isinstance(number, int | str) and not isinstance(number, bool) else ""
    if said.isascii() and said.isdigit() and len(said) <= 4:
        return f"refusal:{int(said)}"
    return _BY_WORDS.get(_plain(text), UNLISTED)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _short(text: str) -> str:
    """A network's code is two or three signs; anything longer is no code."""
    text = text.strip()
    return text if text.isascii() and text.isalnum() and len(text) <= 3 else ""


_BY_WORDS = {_plain(words): f"refusal:{number}" for number, (words, _) in _REASONS.items()}
