"""What stands behind a payment token? A masked card and the refusal it provokes; no card number is known here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from simulator.nmi.codes import find_refusal

OWN_PREFIX = "nmi_"
REUSABLE = ("tok_ok", "tok_3ds")
DECLINE_PREFIX = "tok_decline_"
SINGLE_USE_PREFIX = "once_"


@dataclass(frozen=True, slots=True)
class Card:
    """A card as NMI shows it. `refusal`: its issuer's code, None when it approves. `once`: single-use token."""

    token: str
    first_six: str
    last_four: str
    brand: str
    expiry: str = "1230"
    refusal: int | None = None
    once: bool = False

    @property
    def masked(self) -> str:
        return f"{self.first_six}******{self.last_four}"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.masked.encode()).hexdigest()[:32]


def find_card(token: str) -> Card | None:
    """The card of a token: `nmi_tok_ok`, `nmi_tok_3ds`, `nmi_tok_decline_<class or code>`, `nmi_once_<anything>`.

    None for every other text, other gateways' tokens included.
    """
    if not token.startswith(OWN_PREFIX):
        return None
    name = token.removeprefix(OWN_PREFIX)
    if name in REUSABLE:
        return Card(token, "411111", "1111" if name == "tok_ok" else "3220", "visa")
    if name.startswith(DECLINE_PREFIX):
        refusal = find_refusal(name.removeprefix(DECLINE_PREFIX))
        return Card(token, "543111", _digits(name), "mastercard", refusal=refusal) if refusal else None
    if name.startswith(SINGLE_USE_PREFIX) and len(name) > len(SINGLE_USE_PREFIX):
        return Card(token, "424242", _digits(name), "visa", once=True)
    return None


def _digits(name: str) -> str:
    """Four digits that stay the same for the same token."""
    return f"{int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10_000:04d}"
