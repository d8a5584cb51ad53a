"""What does a merchant's system see of payments and refunds? The answers of the API as plain values; writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import OuterRef, Q, Subquery, Sum

from payments.errors import InvalidInput, NotFound
from payments.models import Movement, Operation, Payment, Refund, Review
from payments.queries.page_list import decisive_last
from payments.states import MovementKind, OperationState, PaymentState, ReviewState, Waits

NOT_FINISHED = frozenset({PaymentState.INITIATED, PaymentState.VALIDATED, PaymentState.PENDING})
"""While a payment is in one of these, `Prefer: wait` goes on waiting."""


@dataclass(slots=True)
class Amounts:
    """Sums of one payment's movements, in minor units of its own currency. Money a review holds is not in them."""

    authorised: int = 0
    released: int = 0
    captured: int = 0
    refunded: int = 0


def payment_view(payment: Payment) -> dict[str, object]:
    """The payment as the API shows it: amounts are sums over movements, times are UTC."""
    return payment_views([payment])[0]


def payment_views(payments: Sequence[Payment]) -> list[dict[str, object]]:
    """The same for many, in the given order and with a constant number of queries."""
    keys = [payment.pk for payment in payments]
    amounts, reviews = _amounts(keys), _open_reviews(keys)
    gateways, failures = _gateways(keys), _failures(keys)
    return [
        _head(payment)
        | _amount_members(payment, amounts[payment.pk])
        | {
            "gateway": gateways.get(payment.pk) or payment.wanted_gateway or None,
            "review": reviews.get(payment.pk),
            "pay_url": _pay_url(payment),
            "failure": failures.get(payment.pk),
        }
        | _tail(payment)
        for payment in payments
    ]


def _pay_url(payment: Payment) -> str | None:
    """Where the payer confirms, while it is their turn."""
    if payment.waits_for != Waits.PAYER or not payment.token:
        return None
    return f"{settings.PUBLIC_URL}/pay/{payment.token}/"


def payment_by_id(payment_id: str) -> dict[str, object]:
    """The view of one payment. Raises: NotFound."""
    payment = Payment.objects.filter(public_id=payment_id).first()
    if payment is None:
        raise NotFound("There is no payment with this id.")
    return payment_view(payment)


def list_payments_by_reference(reference: str, *, limit: int = 50, before: str | None = None) -> dict[str, object]:
    """Payments of one order, newest first, at most `limit`; `next` is the `before` of the following page, or None.

    Raises: InvalidInput if `before` is no payment's id.
    """
    found = Payment.objects.filter(reference=reference).order_by("-id")
    if before:
        cursor = Payment.objects.filter(public_id=before).values_list("pk", flat=True).first()
        if cursor is None:
            raise InvalidInput("There is no payment with this id.", field="before")
        found = found.filter(pk__lt=cursor)
    page = list(found[: limit + 1])
    more = page[limit - 1].public_id if len(page) > limit else None
    return {"items": payment_views(page[:limit]), "next": more}


def refund_view(refund: Refund) -> dict[str, object]:
    """The refund as the API shows it."""
    return {
        "id": refund.public_id,
        "payment": refund.payment.public_id,
        "state": refund.state,
        "waits_for": refund.waits_for or None,
        "waits_because": refund.waits_because or None,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "reason": refund.reason,
        "origin": refund.origin,
        "created_at": moment(refund.created_at),
        "updated_at": moment(refund.updated_at),
    }


def refund_by_id(refund_id: str) -> dict[str, object]:
    """The view of one refund. Raises: NotFound."""
    refund = Refund.objects.select_related("payment").filter(public_id=refund_id).first()
    if refund is None:
        raise NotFound("There is no refund with this id.")
    return refund_view(refund)


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _head(payment: Payment) -> dict[str, object]:
    return {
        "id": payment.public_id,
        "state": payment.state,
        "waits_for": payment.waits_for or None,
        "cancel_requested": payment.cancel_requested_at is not None,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "reference": payment.reference,
    }


def _tail(payment: Payment) -> dict[str, object]:
    return {
        "expires_at": moment(payment.expires_at),
        "metadata": payment.metadata,
        "created_at": moment(payment.created_at),
        "updated_at": moment(payment.updated_at),
    }


def _amount_members(payment: Payment, amounts: Amounts) -> dict[str, object]:
    """While the payment is authorised, what was let go of the hold is no longer authorised; later it is history."""
    released = amounts.released if payment.state == PaymentState.AUTHORISED else 0
    return {
        "amount_authorised_minor": amounts.authorised - released,
        "amount_captured_minor": amounts.captured,
        "amount_refunded_minor": amounts.refunded,
    }


def _amounts(keys: Iterable[int]) -> defaultdict[int, Amounts]:
    own_currency = Payment.objects.filter(pk=OuterRef("payment")).values("currency")
    rows = (
        Movement.objects.filter(payment__in=keys, counts=True, currency=Subquery(own_currency))
        .values_list("payment", "kind", "of_captured_money")
        .annotate(total=Sum("amount_minor"))
    )
    amounts: defaultdict[int, Amounts] = defaultdict(Amounts)
    for payment, kind, of_captured_money, total in rows:
        _add(amounts[payment], MovementKind(kind), total, of_captured_money=of_captured_money)
    return amounts


def _add(amounts: Amounts, kind: MovementKind, total: int, *, of_captured_money: bool) -> None:
    if kind == MovementKind.AUTHORISATION:
        amounts.authorised += total
    elif kind == MovementKind.CAPTURE:
        amounts.captured += total
    elif kind == MovementKind.REFUND or of_captured_money:
        amounts.refunded += total
    else:
        amounts.released += total


def _open_reviews(keys: Iterable[int]) -> dict[int | None, str]:
    """The oldest open review of each payment."""
    rows = Review.objects.filter(payment__in=keys, state=ReviewState.OPEN.value).order_by("-id")
    return dict(rows.values_list("payment", "public_id"))


def _gateways(keys: list[int]) -> dict[int, str]:
    """Where each payment's money is, else where it was tried last."""
    return dict(decisive_last(keys).values_list("payment", "gateway_account__slug"))


def _failures(keys: Iterable[int]) -> dict[int, dict[str, object]]:
    """Why each payment's latest call did not succeed; none for payments whose latest call did or is under way."""
    latest = Operation.objects.filter(payment=OuterRef("payment")).order_by("-id").values("pk")[:1]
    refused = Q(state=OperationState.DECLINED.value) | Q(state=OperationState.FAILED.value)
    rows = Operation.objects.filter(refused, payment__in=keys, pk=Subquery(latest))
    return {
        row.payment_id: {
            "operation": row.kind,
            "class": row.failure_class or None,
            "code": row.code or None,
            "message": row.message or None,
        }
        for row in rows
    }
