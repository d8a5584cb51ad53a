"""What stands behind a payment method token? A card as Stripe shows it and how it behaves; no number is known here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.stripe.codes import Refusal, find_refusal

OWN_PREFIX = "stripe_"
DECLINE_PREFIX = "tok_decline_"
CHALLENGED_DECLINE_PREFIX = "tok_3ds_decline_"
SINGLE_USE_PREFIX = "once_"


@dataclass(frozen=True, slots=True)
class Card:
    """A card. `refusal`: its issuer's, None when it approves. `once`: the token can be spent once.

    `asks`: never, until_stored (a payer who is there is asked, a stored card is not) or always. `after`: what follows a
    charge by itself: dispute, refund_fails or refund_waits.
    """

    token: str
    brand: str
    first_six: str
    last_four: str
    refusal: Refusal | None = None
    once: bool = False
    asks: str = "never"
    after: str = ""
    expiry_month: int = 12
    expiry_year: int = 2034

    @property
    def masked(self) -> str:
        return f"{self.first_six}******{self.last_four}"

    @property
    def fingerprint(self) -> str:
        """The same for the same card."""
        return hashlib.sha256(self.masked.encode()).hexdigest()[:16]


def _card(name: str, last_four: str, **more: object) -> Card:
    return Card(name, "visa", "424242", last_four, **more)  # type: ignore[arg-type]  # keyword by keyword below


_NAMED: Mapping[str, Card] = {
    card.token: card
    for card in (
        _card("pm_card_visa", "4242"),
        Card("pm_card_mastercard", "mastercard", "555555", "4444"),
        _card("pm_card_chargeDeclined", "0002", refusal=Refusal("generic_decline")),
        _card("pm_card_chargeDeclinedInsufficientFunds", "9995", refusal=Refusal("insufficient_funds")),
        _card("pm_card_chargeDeclinedLostCard", "9987", refusal=Refusal("lost_card")),
        _card("pm_card_chargeDeclinedStolenCard", "9979", refusal=Refusal("stolen_card")),
        _card("pm_card_chargeDeclinedExpiredCard", "0069", refusal=Refusal("expired_card"), expiry_year=2021),
        _card("pm_card_chargeDeclinedIncorrectCvc", "0127", refusal=Refusal("incorrect_cvc")),
        _card("pm_card_chargeDeclinedProcessingError", "0119", refusal=Refusal("processing_error")),
        _card("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "6975", refusal=Refusal("card_velocity_exceeded")),
        _card("pm_card_chargeCustomerFail", "0341", refusal=Refusal("generic_decline")),
        _card("pm_card_radarBlock", "0019", refusal=Refusal("highest_risk_level")),
        _card("pm_card_authenticationRequired", "3184", asks="always"),
        _card("pm_card_authenticationRequiredOnSetup", "3155", asks="until_stored"),
        _card(
            "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
            "3178",
            asks="always",
            refusal=Refusal("insufficient_funds"),
        ),
        _card("pm_card_threeDSecure2Required", "3220", asks="always"),
        _card("pm_card_createDispute", "0259", after="dispute"),
        _card("pm_card_pendingRefund", "7726", after="refund_waits"),
        _card("pm_card_refundFail", "5126", after="refund_fails"),
        _card("stripe_tok_ok", "4242"),
        _card("stripe_tok_3ds", "3155", asks="until_stored"),
        _card("stripe_tok_dispute", "0259", after="dispute"),
        _card("stripe_tok_refund_waits", "7726", after="refund_waits"),
        _card("stripe_tok_refund_fails", "5126", after="refund_fails"),
    )
}


def find_card(token: str) -> Card | None:
    """The card of a token; None for every other text, other gateways' tokens included.

    `stripe_tok_ok`, `stripe_tok_3ds`, `stripe_tok_dispute`, `stripe_tok_refund_waits`, `stripe_tok_refund_fails`,
    `stripe_tok_decline_<class or code>[+suffixes]`, `stripe_tok_3ds_decline_<…>` (asked first, then refused),
    `stripe_once_<anything>`, and Stripe's own `pm_card_…`.
    """
    if token in _NAMED:
        return _NAMED[token]
    if not token.startswith(OWN_PREFIX):
        return None
    name = token.removeprefix(OWN_PREFIX)
    for prefix, asks in ((DECLINE_PREFIX, "never"), (CHALLENGED_DECLINE_PREFIX, "always")):
        if name.startswith(prefix):
            refusal = find_refusal(name.removeprefix(prefix))
            return Card(token, "mastercard", "543111", _digits(name), refusal, asks=asks) if refusal else None
    if name.startswith(SINGLE_USE_PREFIX) and len(name) > len(SINGLE_USE_PREFIX):
        return Card(token, "visa", "411111", _digits(name), once=True)
    return None


def _digits(name: str) -> str:
    """Four digits that stay the same for the same token."""
    return f"{int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10_000:04d}"
