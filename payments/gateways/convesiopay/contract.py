"""What is taken for true of ConvesioPay's wire, and who says so? Contract profile v0: every path, field and word in one table.

Its documentation is not public. `verified` lines were read in the vendor's own code; all others are assumptions, most of
them after Adyen, which stands behind it. The other files of this folder read from here and assume nothing beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PROFILE = "v0"

_TEMPLATE = "Convesio-Inc/spa-checkout-template, worker/index.ts"
_FUNNEL = "Convesio-Inc/fulfillment-checkout-v5, worker/handlers/payments"
_PLUGIN = "the vendor's WooCommerce plugin, includes/rest-api and includes/service"
_ADYEN = "Adyen's public documentation; Adyen is behind this gateway"
_NOBODY = "nobody: chosen here"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the contract: what it is about, the value this adapter uses, and where that comes from."""

    what: str
    value: object  # None: a premise that no code names
    source: str
    verified: bool


_table: list[Line] = []


def _known(what: str, value: T, source: str) -> T:
    _table.append(Line(what, value, source, verified=True))
    return value


def _assumed(what: str, value: T, source: str) -> T:
    _table.append(Line(what, value, source, verified=False))
    return value


def _premise(what: str, source: str, *, verified: bool = False) -> None:
    _table.append(Line(what, None, source, verified=verified))


# ---- requests --------------------------------------------------------------------------------------------------------

AUTH_HEADER = _known("the secret goes without a scheme into the header", "Authorization", _TEMPLATE)
PAY_PATH = _known("a payment is made with a token at", "/v1/payments", _TEMPLATE)
STORED_PATH = _known("a stored card is charged at", "/v1/payments/stored-card", _FUNNEL)
GET_PATH = _known("a payment is read at", "/v1/payments/{id}", _TEMPLATE)
REFERENCE = _known("our own reference is the field", "orderNumber", _TEMPLATE)
STORE = _known("a card is kept for later by the field", "storePaymentMethod", _TEMPLATE)
METHOD = _known("a hold is asked for by the field", "captureMethod", _TEMPLATE)
MANUAL = _known("and its value", "manual", _TEMPLATE)
_premise("amounts are whole minor units", _TEMPLATE, verified=True)
DECIMALS = _assumed("how amounts are written is known only of currencies whose decimals number", 2, _NOBODY)
_premise("a payment is taken without the payer's name or e-mail address", _NOBODY)
_premise("a stored card can be charged with captureMethod manual as well", _NOBODY)
# A notification of an authorisation does not say whether money was captured along with it. We alone know what was asked, so
# the number under which a hold is asked for says it.
HOLD_MARK = _assumed("an order number may end in a mark of ours and comes back with it:", "-hold", _NOBODY)
_premise("nothing keeps an order number from being charged twice, and no idempotency key is read", _NOBODY)
CAPTURE_PATH = _assumed("a capture is asked for at", "/v1/payments/{id}/captures", _ADYEN)
REFUND_PATH = _assumed("a refund is asked for at", "/v1/payments/{id}/refunds", _ADYEN)
CANCEL_PATH = _assumed("a void, and the end of a payer's step, are asked for at", "/v1/payments/{id}/cancels", _ADYEN)
OWN_REFERENCE = _assumed("a refund carries a reference of its own in the field", "reference", _ADYEN)
LIST_PATH = _assumed("payments are listed by order number at", "/v1/payments?orderNumber={reference}", _NOBODY)
LIST_FIELD = _assumed("a list holds its payments in the field", "payments", _NOBODY)

# ---- answers ---------------------------------------------------------------------------------------------------------

SUCCEEDED = _known("money was captured where a sale has the status", "Succeeded", _TEMPLATE)
AUTHORISED = _known("money is held where the status is", "Authorized", _TEMPLATE)
WAITING = _known(
    "the outcome is open where the status is one of", ("Pending", "AwaitingAction", "AuthenticationPending"), _TEMPLATE
)
REDIRECT = _known("the payer is sent to actionRequired, field", "redirectUrl", _TEMPLATE)
STORED_ID = _known("a kept card is named by paymentMethodDetails, field", "storedPaymentMethodId", _FUNNEL)
CUSTOMER = _known("and its customer by customerId, or by customer.id", ("customerId", "customer"), _FUNNEL)
FAILED = _assumed("nothing was taken where the status is", "Failed", _NOBODY)
CANCELLED = _assumed("a hold was released, or a sale undone, where the status is", "Cancelled", _NOBODY)
ABANDONED = _assumed(
    "the payer's step was closed and can take nothing any more where the status is", "Abandoned", _NOBODY
)
CHANGES_FINAL = _assumed("a capture, refund or cancel is done where its answer has the status", "Succeeded", _NOBODY)
CHANGE_PAYMENT = _assumed(
    "the answer to a capture, refund or cancel names the payment in the field", "paymentId", _NOBODY
)
CAPTURES = _assumed("a payment lists its captures in the field", "captures", _NOBODY)
REFUNDS = _assumed("a payment lists its refunds in the field", "refunds", _NOBODY)
CANCELS = _assumed("a payment lists its cancels in the field", "cancels", _NOBODY)
CARD_FIELDS = _assumed(
    "brand, last four and expiry (MM/YYYY) of the card stand in paymentMethodDetails, fields",
    ("brand", "lastFour", "expiry"),
    _NOBODY,
)
HOLD_DAYS = _assumed("the days for which a hold lives are", 7, "the shortest that the card networks promise a merchant")

# ---- refusals --------------------------------------------------------------------------------------------------------

ERROR = _known("a failed call says error: true and names the reason in the field", "message", _TEMPLATE)
UNAUTHENTICATED = _assumed(
    "a wrong secret is answered before anything is processed, with the HTTP status", 401, _TEMPLATE
)
DECISIVE = _assumed("error: true is a certain refusal with the HTTP statuses", (200, 201, 400, 402, 422), _NOBODY)
NO_SUCH_PAYMENT = _assumed(
    "a payment that does not exist is answered with error: true and the HTTP status", 404, _NOBODY
)
REASON_CODE = _assumed("the number of the refusal is the field", "refusalReasonCode", _ADYEN)
RAW_REASON = _assumed("the network's own code stands before the colon in the field", "refusalReasonRaw", _ADYEN)
ADVICE = _assumed("Mastercard's advice code is the field", "merchantAdviceCode", _ADYEN)

# ---- notifications ---------------------------------------------------------------------------------------------------

ITEMS = _known("notifications come as Adyen's notificationItems, field", "NotificationRequestItem", _PLUGIN)
SIGNED_FIELDS = _known(
    "an item is signed over",
    "pspReference:originalReference:merchantAccountCode:merchantReference:value:currency:eventCode:success",
    _PLUGIN,
)
SIGNATURE = _known("its base64 HMAC-SHA256 by the hexadecimal key is additionalData, field", "hmacSignature", _PLUGIN)
ACCEPTED = _known("a notification is answered with", b"[accepted]", _PLUGIN)
_premise("payments made by the direct API are notified in the plugin's form as well", _NOBODY)
_premise("the payment's id in the API is the pspReference of its notifications", _ADYEN)
_premise("merchantReference is our order number, for a refund its own reference", _ADYEN)
REASON = _assumed("why a payment or refund was refused is said by the field", "reason", _ADYEN)
EVENT_DATE = _assumed("the moment of an event, ISO 8601, is the field", "eventDate", _ADYEN)
LIVE = _assumed("money of a test account says false in the field", "live", _ADYEN)
MODIFICATION = _assumed("what CANCEL_OR_REFUND did is additionalData, field", "modification.action", _ADYEN)
_premise("REFUND_FAILED may follow a REFUND that succeeded, under the same pspReference", _ADYEN)

TABLE: tuple[Line, ...] = tuple(_table)


def assumptions() -> tuple[str, ...]:
    """The unverified lines, as people read them."""
    return tuple(
        line.what if line.value is None else f"{line.what} {_shown(line.value)}" for line in TABLE if not line.verified
    )


def _shown(value: object) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, tuple) else str(value)
