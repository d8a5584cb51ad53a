"""What stands behind a payment token? A masked card and what its issuer does; no card number is known here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from simulator.convesiopay.contract import find_refusal

OWN_PREFIX = "convesiopay_"
DECLINE_PREFIX = "tok_decline_"
SINGLE_USE_PREFIX = "once_"


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the gateway shows it. `refusal`: its issuer's reason, None when it approves. `once`: single-use token.

    `challenged`: the payer must confirm at their bank. `slow`: the outcome comes by notification only.
    """

    token: str
    brand: str
    last_four: str
    refusal: int | None = None
    once: bool = False
    challenged: bool = False
    slow: bool = False

    @property
    def masked(self) -> str:
        return f"************{self.last_four}"


def find_card(token: str) -> Card | None:
    """The card of a token: `convesiopay_tok_ok`, `…tok_3ds`, `…tok_pending`, `…tok_decline_<class, number or refusal:n>`,
    `…once_<anything>`. None for every other text, other gateways' tokens included.
    """
    if not token.startswith(OWN_PREFIX):
        return None
    name = token.removeprefix(OWN_PREFIX)
    plain = {
        "tok_ok": Card(token, "visa", "0000"),
        "tok_3ds": Card(token, "visa", "0006", challenged=True),
        "tok_pending": Card(token, "visa", "0014", slow=True),
    }
    if name in plain:
        return plain[name]
    if name.startswith(DECLINE_PREFIX):
        refusal = find_refusal(name.removeprefix(DECLINE_PREFIX))
        return Card(token, "mc", _digits(name), refusal=refusal) if refusal else None
    if name.startswith(SINGLE_USE_PREFIX) and len(name) > len(SINGLE_USE_PREFIX):
        return Card(token, "visa", _digits(name), once=True)
    return None


def _digits(name: str) -> str:
    """Four digits that stay the same for the same token."""
    return f"{int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10_000:04d}"
