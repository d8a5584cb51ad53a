"""Which adapter speaks to which provider? One table: a new gateway is one line here. It builds adapters only."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from payments.gateways.base import Adapter
from payments.gateways.errors import GatewayError

ADAPTERS: dict[str, str] = {
    "convesiopay": "payments.gateways.convesiopay.ConvesioPay",
    "nmi": "payments.gateways.nmi.Nmi",
    "stripe": "payments.gateways.stripe.Stripe",
}


class UnknownProvider(GatewayError):
    """A gateway account names a provider that no adapter speaks for."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        super().__init__(f"no adapter for provider {provider!r}; there is one for: {', '.join(sorted(ADAPTERS))}")


@cache
def get_adapter(provider: str) -> Adapter:
    """The adapter of a provider; it keeps nothing, so one serves all accounts. Raises UnknownProvider."""
    if provider not in ADAPTERS:
        raise UnknownProvider(provider)
    module, _, name = ADAPTERS[provider].rpartition(".")
    return cast(Adapter, getattr(import_module(module), name)())
