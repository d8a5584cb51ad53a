"""Which movements of ours bear a gateway's id, and by which entry were they booked? For those who compare from outside."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ledger.money import Money
from payments.models import Movement, Payout, Review
from payments.states import ReviewState


@dataclass(frozen=True, slots=True)
class MovementRow:
    """One movement as others may know it. `money` is what the payer saw, positive for what the kind says."""

    id: int
    public_id: str
    kind: str
    gateway_id: str
    account_id: int
    money: Money
    entry_source_key: str
    payment_id: int | None
    payment_public_id: str


def movements_of_transaction(account_id: int, gateway_id: str, kinds: Collection[str]) -> list[MovementRow]:
    """Every revision and occurrence of these kinds, oldest first."""
    if not gateway_id:
        return []
    rows = Movement.objects.filter(gateway_account_id=account_id, gateway_id=gateway_id, kind__in=list(kinds))
    return [_row(movement) for movement in rows.select_related("payment").order_by("id")]


def movement_by_id(movement_id: int) -> MovementRow | None:
    """The movement of this row id."""
    found = Movement.objects.select_related("payment").filter(pk=movement_id).first()
    return _row(found) if found else None


def movement_by_public_id(public_id: str) -> MovementRow | None:
    """The movement people call mov_…."""
    found = Movement.objects.select_related("payment").filter(public_id=public_id).first()
    return _row(found) if found else None


def open_case_of(account_id: int, gateway_id: str) -> str:
    """The open case that asks what money of this transaction is for; empty: none does."""
    cases = Review.objects.filter(gateway_account_id=account_id, gateway_id=gateway_id, state=ReviewState.OPEN)
    return cases.order_by("-id").values_list("public_id", flat=True).first() or "" if gateway_id else ""


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """One payout as others may know it."""

    id: int
    public_id: str
    account_slug: str
    gateway_id: str
    money: Money


def payout_by_public_id(public_id: str) -> PayoutRow | None:
    """The payout people call po_…."""
    found = Payout.objects.select_related("gateway_account").filter(public_id=public_id).first()
    if found is None:
        return None
    return PayoutRow(found.pk, found.public_id, found.gateway_account.slug, found.gateway_id, found.money)


def _row(movement: Movement) -> MovementRow:
    payment = movement.payment
    return MovementRow(
        movement.pk,
        movement.public_id,
        movement.kind,
        movement.gateway_id,
        movement.gateway_account_id,
        movement.money,
        movement.entry_source_key,
        payment.pk if payment else None,
        payment.public_id if payment else "",
    )
