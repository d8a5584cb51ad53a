"""Which payments does a reference mean? Exact look-ups over indexes, whatever kind of id somebody pastes; never a scan."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Lower

from payments.models import (
    Attempt,
    GatewayAccount,
    Movement,
    Operation,
    Payer,
    Payment,
    Refund,
    Review,
    Transition,
)
from payments.states import OPEN_OR_PAID_STATES

MOST_FOUND = 200
"""Payments one search may show; a reference that hits more is none."""


_Rows = QuerySet[Any, Any]


def find_payments(term: str) -> list[int]:
    """Row keys of the payments a term means, at most `MOST_FOUND`, newest first.

    A public id of ours (pay_, att_, op_, mov_, rfnd_, rev_, evt_) is looked up in its own table alone; anything
    else is compared with the merchant's reference, the references and transaction ids gateways know, and the payer's
    own id and e-mail address (in any case).
    """
    term = term.strip()
    if not term or "\x00" in term:
        return []
    by_id = _BY_PREFIX.get(term.partition("_")[0]) if "_" in term else None
    found = _keys(by_id(term)) if by_id else []
    return found or _by_reference(term)


def _keys(rows: _Rows) -> list[int]:
    return [key for key in rows[:MOST_FOUND] if key is not None]


def _of(model: type) -> Callable[[str], _Rows]:
    return lambda term: model.objects.filter(public_id=term).values_list("payment", flat=True)  # type: ignore[attr-defined]


_BY_PREFIX: dict[str, Callable[[str], _Rows]] = {
    "pay": lambda term: Payment.objects.filter(public_id=term).values_list("pk", flat=True),
    "att": _of(Attempt),
    "op": _of(Operation),
    "mov": _of(Movement),
    "rfnd": _of(Refund),
    "rev": _of(Review),
    "evt": lambda term: Transition.objects.filter(event__public_id=term).values_list("payment", flat=True),
}


def _by_reference(term: str) -> list[int]:
    """One indexed query a kind of reference; indexes that lead with the gateway account are given every account."""
    accounts = list(GatewayAccount.objects.values_list("pk", flat=True))
    at_gateways = {"gateway_account__in": accounts}
    payers = list(
        Payer.objects.annotate(address=Lower("email")).filter(address=term.lower()).exclude(email="")
        .values_list("pk", flat=True)[:MOST_FOUND]
    ) + list(Payer.objects.filter(external_id=term).exclude(external_id="").values_list("pk", flat=True)[:MOST_FOUND])  # fmt: skip
    parts: list[_Rows] = [
        Payment.objects.filter(reference=term).order_by("-id").values_list("pk", flat=True),
        Attempt.objects.filter(reference=term, **at_gateways).values_list("payment", flat=True),
        Attempt.objects.filter(gateway_id=term, **at_gateways).values_list("payment", flat=True),
        Operation.objects.filter(reference=term, **at_gateways).values_list("payment", flat=True),
        Movement.objects.filter(gateway_id=term, **at_gateways).values_list("payment", flat=True),
        Review.objects.filter(gateway_id=term, **at_gateways).values_list("payment", flat=True),
    ]
    if payers:
        parts.append(Payment.objects.filter(payer__in=payers).order_by("-id").values_list("pk", flat=True))
    found = {key for part in parts for key in _keys(part)}
    return list(islice(sorted(found, reverse=True), MOST_FOUND))


def open_or_paid(reference: str) -> Payment | None:
    """The payment that bars another one of the same reference, if there is one."""
    states = [state.value for state in OPEN_OR_PAID_STATES]
    return Payment.objects.filter(reference=reference, state__in=states).order_by("id").first()
