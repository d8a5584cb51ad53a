"""What is a payment at ConvesioPay? Frozen values: a change is a new version, so that look-ups can lag behind the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from simulator.convesiopay.cards import Card
from simulator.convesiopay.contract import AUTHORISED, SUCCEEDED


@dataclass(frozen=True, slots=True)
class Change:
    """A capture, refund or cancel of a payment, with an id of its own. `reference`: what was sent with it."""

    kind: str
    change_id: str
    amount_minor: int
    occurred_at: datetime
    status: str = SUCCEEDED
    reference: str = ""
    origin: str = "api"


@dataclass(frozen=True, slots=True)
class Payment:
    """One version of one payment. `manual`: authorised only, to be captured. Amounts in minor units."""

    payment_id: str
    order_number: str
    currency: str
    amount_minor: int
    requested_minor: int
    manual: bool
    status: str
    card: Card
    created_at: datetime
    payer_email: str = ""
    refusal: int | None = None
    changes: tuple[Change, ...] = ()
    customer_id: str = ""
    stored_id: str = ""
    return_url: str = ""
    redirect_url: str = ""
    origin: str = "api"
    lapsed_at: datetime | None = None

    @property
    def opened_as(self) -> str:
        return "auth" if self.manual else "sale"

    @property
    def foreign(self) -> bool:
        return self.origin == "foreign"

    @property
    def captured_minor(self) -> int:
        if self.manual:
            return self.sum_of("capture")
        return self.amount_minor if self.status == SUCCEEDED else 0

    @property
    def holds(self) -> bool:
        return self.manual and self.status == AUTHORISED

    def sum_of(self, kind: str) -> int:
        return sum(c.amount_minor for c in self.changes if c.kind == kind and c.status == SUCCEEDED)

    def labels(self) -> tuple[str, ...]:
        """Everything one may know it by; a marked order number also by what stands before the mark."""
        references = {self.order_number, self.order_number.rpartition("-")[0], self.payment_id}
        references |= {c.reference for c in self.changes} | {c.change_id for c in self.changes} | {self.payer_email}
        return tuple(sorted(filter(None, references)))

    def after(self, change: Change, status: str) -> Payment:
        """The next version."""
        return replace(self, changes=(*self.changes, change), status=status)
