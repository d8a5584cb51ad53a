"""What does each NMI response code mean? A table from code to class and certainty; it decides nothing.

Source: the gateway's response-code table (docs.nmi.com, Payment API, "Transaction Response Codes").
"""

from __future__ import annotations

from dataclasses import dataclass

from payments.gateways.base import CodeMeaning
from payments.states import Certainty, FailureClass

APPROVED = "100"
GATEWAY_REJECTED = "300"

# NMI answers 300 both to "this can no longer be voided" and to any malformed request. The first one means that the
# money must go back by refund instead, so it gets a code of its own.
NOT_PENDING_SETTLEMENT = "300:not_pending_settlement"

# What an answer that bears no usable code is filed under.
NO_CODE = ""

_DUPLICATE_TEXT = "duplicate transaction"
_NOT_PENDING_TEXT = "only transactions pending settlement can be voided"
_CREDENTIAL_TEXTS = (
    "authentication failed",
    "invalid security key",
    "invalid key",
    "invalid username",
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code: what it means to the business, and how sure we are that no money moved."""

    failure_class: FailureClass
    certainty: Certainty
    code: str = NO_CODE
    retry_after_seconds: int | None = None


_DAY = 86_400


def _refused(failure_class: FailureClass) -> Meaning:
    return Meaning(failure_class, Certainty.REFUSED)


# The processor was asked and its answer is missing: only a look-up can tell.
_LOST = Meaning(FailureClass.GATEWAY_UNAVAILABLE, Certainty.UNKNOWN)
_DUPLICATE = Meaning(FailureClass.DUPLICATE, Certainty.UNKNOWN)
_UNKNOWN_CODE = Meaning(FailureClass.UNKNOWN, Certainty.UNKNOWN)

MEANINGS: dict[str, Meaning] = {
    # 2xx: the issuer or processor said no
    "200": _refused(FailureClass.SOFT_DECLINE),
    "201": _refused(FailureClass.SOFT_DECLINE),
    "202": _refused(FailureClass.INSUFFICIENT_FUNDS),
    "203": _refused(FailureClass.LIMIT_EXCEEDED),
    "204": _refused(FailureClass.HARD_DECLINE),
    "220": _refused(FailureClass.INVALID_CARD_DATA),
    "221": _refused(FailureClass.INVALID_CARD_DATA),
    "222": _refused(FailureClass.INVALID_CARD_DATA),
    "223": _refused(FailureClass.EXPIRED_CARD),
    "224": _refused(FailureClass.INVALID_CARD_DATA),
    "225": _refused(FailureClass.INVALID_CARD_DATA),
    "226": _refused(FailureClass.INVALID_CARD_DATA),
    "240": _refused(FailureClass.SOFT_DECLINE),  # call issuer: only the payer can do that
    "250": _refused(FailureClass.FRAUD),  # pick up card
    "251": _refused(FailureClass.FRAUD),  # lost
    "252": _refused(FailureClass.FRAUD),  # stolen
    "253": _refused(FailureClass.FRAUD),
    "260": _refused(FailureClass.SOFT_DECLINE),  # the text says more
    "261": _refused(FailureClass.HARD_DECLINE),  # stop all recurring
    "262": _refused(FailureClass.HARD_DECLINE),  # stop this recurring programme
    "263": _refused(FailureClass.EXPIRED_CARD),  # newer cardholder data exists
    # "Retry in a few days": no sooner than three.
    "264": Meaning(FailureClass.SOFT_DECLINE, Certainty.REFUSED, retry_after_seconds=3 * _DAY),
    # 3xx: the gateway itself; 300 is told apart by its text
    "301": Meaning(FailureClass.GATEWAY_UNAVAILABLE, Certainty.NOT_SENT),  # its rate limit: never reached the processor
    # 4xx: between gateway and processor
    "400": Meaning(FailureClass.GATEWAY_ERROR, Certainty.UNKNOWN),
    "410": _refused(FailureClass.CONFIGURATION_ERROR),
    "411": _refused(FailureClass.CONFIGURATION_ERROR),
    "420": _LOST,
    "421": _LOST,
    "430": _DUPLICATE,
    "440": _refused(FailureClass.CONFIGURATION_ERROR),
    "441": _refused(FailureClass.INVALID_CARD_DATA),
    "460": _refused(FailureClass.CONFIGURATION_ERROR),
    "461": _refused(FailureClass.HARD_DECLINE),  # this brand is not taken here
}


def meaning_of(code: str, text: str) -> Meaning:
    """What a code that is no approval means; 300 by its text. One outside the table is unknown, never a refusal."""
    found = _gateway_rejection(text.strip().lower()) if code == GATEWAY_REJECTED else MEANINGS.get(code, _UNKNOWN_CODE)
    return Meaning(found.failure_class, found.certainty, found.code or code, found.retry_after_seconds)


def agrees(response: str, code: str) -> bool:
    """Do the two result fields of one answer say the same? response: 1 approved, 2 declined, 3 error."""
    if response == "1":
        return code == APPROVED
    if response == "2":
        return code.startswith("2")
    return response == "3" and code[:1] in ("3", "4")


def _gateway_rejection(text: str) -> Meaning:
    if text.startswith(_DUPLICATE_TEXT):
        return _DUPLICATE
    if any(known in text for known in _CREDENTIAL_TEXTS):
        return _refused(FailureClass.CONFIGURATION_ERROR)
    if _NOT_PENDING_TEXT in text:
        return Meaning(FailureClass.INVALID_REQUEST, Certainty.REFUSED, NOT_PENDING_SETTLEMENT)
    return _refused(FailureClass.INVALID_REQUEST)


_WORDS: dict[str, str] = {
    "200": "declined by the processor",
    "201": "do not honour",
    "202": "insufficient funds",
    "203": "over the limit",
    "204": "transaction not allowed",
    "220": "incorrect payment information",
    "221": "no such card issuer",
    "222": "no card number on file with the issuer",
    "223": "expired card",
    "224": "invalid expiry date",
    "225": "invalid security code",
    "226": "invalid PIN",
    "240": "call the issuer",
    "250": "pick up card",
    "251": "lost card",
    "252": "stolen card",
    "253": "fraudulent card",
    "260": "declined, see the text",
    "261": "stop all recurring payments",
    "262": "stop this recurring programme",
    "263": "newer cardholder data available",
    "264": "retry in a few days",
    "301": "rate limit of the Payment API",
    "400": "processor error",
    "410": "invalid merchant configuration",
    "411": "merchant account inactive",
    "420": "communication error",
    "421": "communication error with the issuer",
    "430": "duplicate at the processor",
    "440": "processor format error",
    "441": "invalid transaction information",
    "460": "feature not available",
    "461": "unsupported card type",
}
_REVOKING = frozenset({"261", "262"})

SHEET: dict[str, CodeMeaning] = {
    code: CodeMeaning(m.failure_class, m.certainty, _WORDS[code], m.retry_after_seconds, code in _REVOKING)
    for code, m in MEANINGS.items()
} | {
    GATEWAY_REJECTED: CodeMeaning(FailureClass.INVALID_REQUEST, Certainty.REFUSED, "rejected by the gateway"),
    NOT_PENDING_SETTLEMENT: CodeMeaning(
        FailureClass.INVALID_REQUEST, Certainty.REFUSED, "only transactions pending settlement can be voided"
    ),
}
"""Every code as facts carry it. 300 stands three times in life: as a duplicate, a credential problem or a bad request."""
