"""What was planted, and what is a break in the same words? Labels of the simulator and of the bench, breaks by the same keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from payments.models import Movement, Payment
from payments.queries.reconciling import KINDS
from reconciliation.models import Break


@dataclass(frozen=True, slots=True)
class Label:
    """One difference that was planted, by the words of `simulator/reports/values.py`."""

    type: str
    gateway: str
    key: str
    amount_minor: int = 0
    between_minor: int = 0
    currency: str = ""
    passing: bool = False
    order: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.type, self.gateway, self.key

    @property
    def money(self) -> tuple[int, int, str]:
        return self.amount_minor, self.between_minor, self.currency


def label_of(told: dict[str, Any]) -> Label:
    return Label(**told)


def key_of(broken: Break) -> str:
    """What a break is about, in the words of labels: by the gateway's names, never by ours."""
    head = broken.key.partition(":")[0]
    if head == "line" and broken.line is not None:
        bank = broken.account.kind == "bank"
        return f"line:{broken.line.bank_ref if bank else broken.line.line_key}"
    if head == "movement" and broken.movement_id is not None:
        movement = Movement.objects.get(pk=broken.movement_id)
        more = f"#{movement.occurrence}" if movement.occurrence else ""
        return f"movement:{movement.gateway_id}:{KINDS[movement.kind]}{more}"
    if head == "payment" and broken.payment_id is not None:
        return f"order:{Payment.objects.get(pk=broken.payment_id).reference}"
    if head == "statement" and broken.statement is not None:
        return ":".join(filter(None, (f"report:{broken.statement.ends_on}", broken.currency)))
    return f"entry:{broken.ours['source']}" if head == "entry" else broken.key
