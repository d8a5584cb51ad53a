"""What is a transaction at NMI? Frozen values: a change is a new version, so that look-ups can lag behind the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from simulator.nmi.cards import Card

# Conditions as query.php and the webhooks name them.
PENDING = "pending"  # authorised, not captured
PENDING_SETTLEMENT = "pendingsettlement"  # sale, capture or refund that goes into the next batch
COMPLETE = "complete"  # settled
CANCELED = "canceled"  # voided
FAILED = "failed"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing done to a transaction. `reference`: the order id sent with it; it may differ from the transaction's."""

    action_type: str
    amount_minor: int
    occurred_at: datetime
    code: int
    text: str
    source: str
    reference: str = ""
    batch_id: str = ""

    @property
    def success(self) -> bool:
        return self.code == 100


@dataclass(frozen=True, slots=True)
class Payer:
    """What the request said about payer and order; `fields`: merchant_defined_field_N by number."""

    email: str = ""
    first_name: str = ""
    last_name: str = ""
    order_description: str = ""
    ip_address: str = ""
    fields: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Payer:
        prefix = "merchant_defined_field_"
        fields = tuple(
            (int(name.removeprefix(prefix)), value)
            for name, value in form.items()
            if name.startswith(prefix) and name.removeprefix(prefix).isdecimal()
        )
        return cls(
            email=form.get("email", ""),
            first_name=form.get("first_name") or form.get("firstname", ""),
            last_name=form.get("last_name") or form.get("lastname", ""),
            order_description=form.get("orderdescription") or form.get("order_description", ""),
            ip_address=form.get("ipaddress", ""),
            fields=fields,
        )

    def labels(self) -> tuple[str, ...]:
        values = (self.email, self.order_description, *(value for _, value in self.fields))
        return tuple(value for value in values if value)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One version of one transaction. `refunds`: id of the transaction a refund gives back. Amounts in minor units.

    `flags`: what the request said of a stored credential.
    """

    transaction_id: str
    order_id: str
    condition: str
    currency: str
    requested_minor: int
    card: Card
    payer: Payer
    actions: tuple[Action, ...]
    authcode: str = ""
    refunds: str = ""
    vault_id: str = ""
    foreign: bool = False
    lapsed_at: datetime | None = None
    flags: tuple[tuple[str, str], ...] = ()

    @property
    def opened_as(self) -> str:
        """sale, auth, refund or validate."""
        return self.actions[0].action_type

    @property
    def modified_at(self) -> datetime:
        return max(self.actions[-1].occurred_at, self.lapsed_at or self.actions[-1].occurred_at)

    @property
    def money_action(self) -> Action:
        """The last successful sale, auth, capture or refund, else the first action: what a void or a batch is about."""
        kinds = ("sale", "auth", "capture", "refund", "validate")
        done = [action for action in self.actions if action.action_type in kinds and action.success]
        return done[-1] if done else self.actions[0]

    @property
    def batch_id(self) -> str:
        """The batch that settled it, empty before."""
        return next((action.batch_id for action in reversed(self.actions) if action.batch_id), "")

    @property
    def settled(self) -> bool:
        return self.condition == COMPLETE and self.opened_as != "validate"

    def labels(self) -> tuple[str, ...]:
        """Everything one may know it by: references, payer, description, its id."""
        references = {self.order_id, self.transaction_id, *(action.reference for action in self.actions)}
        return (*sorted(filter(None, references)), *self.payer.labels())

    def after(self, action: Action, condition: str) -> Transaction:
        """The next version."""
        return replace(self, actions=(*self.actions, action), condition=condition)
