"""Has the payer taken back the consent, or is the card refused for good? Read off the gateways' answers; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from payments.gateways.registry import get_adapter
from payments.models import Operation, Payment, PaymentMethod, Schedule
from payments.network_rules import advise
from payments.states import COLLECTING, FailureClass, OperationState

# These end every recurring charge of the card, not only the one that was refused.
_ALL_CODES = frozenset({("nmi", "261"), ("stripe", "revocation_of_all_authorizations"), ("convesiopay", "refusal:26")})
_ALL_NETWORK = frozenset({"R1", "R3"})
# With these the next date would be refused as well: the card, not the moment, is what is wrong.
_FOR_GOOD = frozenset(
    {FailureClass.HARD_DECLINE, FailureClass.FRAUD, FailureClass.EXPIRED_CARD, FailureClass.INVALID_CARD_DATA}
)


def revoked(schedule: Schedule) -> str:
    """Why nothing may be charged by this mandate any more, as a sentence; empty: nothing is known.

    Heard are refusals of its own charges, and of any charge of the same card if they end all of them. What was said
    before the schedule was made does not count: its mandate is newer.
    """
    own = _declined(Payment.objects.filter(due_date__schedule=schedule), schedule.created_at)
    told = next((operation for operation in own if revokes(operation)), None)
    if told is None:
        same = _declined(Payment.objects.filter(method__in=same_card(schedule.method)), schedule.created_at)
        told = next((operation for operation in same if ends_all(operation)), None)
    if told is None:
        return ""
    where = told.gateway_account.name
    return f"The payer has taken the consent back: {where} answered {told.code or 'so'}, {told.message or 'no words'}."


def revoked_before(method: PaymentMethod) -> str:
    """What the card's payer has taken back already, for whoever makes a new charge of it; empty: nothing is known."""
    told = next((o for o in _declined(Payment.objects.filter(method__in=same_card(method))) if revokes(o)), None)
    if told is None or told.ended_at is None:
        return ""
    return f"On {told.ended_at:%d %b %Y} {told.gateway_account.name} answered {told.code}: {told.message}."


def refused_for_good(payment: Payment) -> str:
    """Why the card will be refused on the next date too, by the answers to this payment; empty: it may well be taken."""
    told = _declined([payment])
    if not told or told[0].failure_class not in _FOR_GOOD:
        return ""
    words = told[0].failure_class.replace("_", " ")
    return f"{told[0].gateway_account.name} refused {payment.public_id} for good ({words}): {told[0].message or told[0].code}."


def revokes(operation: Operation) -> bool:
    """Does this refusal withdraw the consent to later charges?"""
    meaning = get_adapter(operation.gateway_account.provider).codes.get(operation.code)
    if meaning is not None and meaning.revokes:
        return True
    brand = operation.payment.method.brand
    return advise(brand, operation.network_code, operation.network_advice, operation.gateway_advice).revokes


def ends_all(operation: Operation) -> bool:
    """Does it end every recurring charge of the card?"""
    if (operation.gateway_account.provider, operation.code) in _ALL_CODES:
        return True
    return operation.network_code.upper() in _ALL_NETWORK and revokes(operation)


def same_card(method: PaymentMethod) -> list[PaymentMethod]:
    """The method, and every other that a gateway calls the same card."""
    if not method.fingerprint:
        return [method]
    return list(PaymentMethod.objects.filter(fingerprint=method.fingerprint))


def _declined(payments: Iterable[Payment], since: datetime | None = None) -> list[Operation]:
    """Refused calls to collect, the newest first."""
    found = Operation.objects.filter(payment__in=payments, state=OperationState.DECLINED, kind__in=list(COLLECTING))
    if since is not None:
        found = found.filter(ended_at__gte=since)
    return list(found.select_related("gateway_account", "payment__method").order_by("-id"))
