"""What did the card network say of a refusal, and what does that mean? One line for the page of a payment. Pure."""

from __future__ import annotations

from payments.models import Operation
from payments.network_rules import advise


def network_words(operation: Operation) -> str:
    """ "response 51, advice 02: the issuer cannot approve it now"; empty where the network said nothing."""
    told = (operation.network_code, operation.network_advice, operation.gateway_advice)
    if not any(told):
        return ""
    names = ("response", "advice", "gateway's advice")
    parts = ", ".join(f"{name} {text}" for name, text in zip(names, told, strict=True) if text)
    meaning = advise(operation.payment.method.brand, *told).words
    return f"{parts}: {meaning}" if meaning else parts
