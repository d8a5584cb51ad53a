"""Which rows does a fact speak of? Finds its payment, locks it, and says which call and attempt are meant. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection
from django.db.models import QuerySet

from payments.facts import DISPUTE_MONEY, MONEY_KINDS, Fact, FactKind
from payments.models import Attempt, Dispute, GatewayAccount, Movement, Operation, Review
from payments.services.case import Case, lock_payment, open_ones
from payments.states import OPEN_OPERATION_STATES, MovementKind, OperationKind, OperationState

_KINDS = {
    FactKind.AUTHORISATION: (OperationKind.AUTHORISE,),
    FactKind.CAPTURE: (OperationKind.CAPTURE, OperationKind.SALE),
    FactKind.VOID: (OperationKind.VOID,),
    FactKind.REFUND: (OperationKind.REFUND,),
    FactKind.CLOSED: (OperationKind.CLOSE, OperationKind.SALE, OperationKind.AUTHORISE),
    FactKind.ACTION_REQUIRED: (OperationKind.SALE, OperationKind.AUTHORISE),
}


_ABOUT_DISPUTES = DISPUTE_MONEY | {FactKind.DISPUTE}
# What they say concerns an earlier movement, never the outcome of a call of ours that is open.
_OF_NO_CALL = _ABOUT_DISPUTES | {
    FactKind.REFUND,
    FactKind.REFUND_RETURN,
    FactKind.REFUND_FAILED,
    FactKind.SETTLEMENT_TOLD,
}


def find_payment_id(fact: Fact, account_id: int, operation_id: int | None = None) -> int | None:
    """The payment a fact speaks of, without a lock: by operation, our reference, the gateway's id, or the original's."""
    if operation_id is not None:
        return Operation.objects.values_list("payment_id", flat=True).get(pk=operation_id)
    if fact.reference:
        ours = {"gateway_account_id": account_id, "reference": fact.reference}
        found = Operation.objects.filter(**ours).values_list("payment_id", flat=True).first()
        found = found or Attempt.objects.filter(**ours).values_list("payment_id", flat=True).first()
        if found:
            return found
    if fact.handle:
        handled = Attempt.objects.filter(gateway_account_id=account_id, handle=fact.handle)
        found = handled.values_list("payment_id", flat=True).first()
        if found:
            return found
    if fact.kind in _ABOUT_DISPUTES:
        found = _disputed_payment(fact, account_id)
        if found:
            return found
    for gateway_id in filter(None, (fact.gateway_id, fact.original_gateway_id)):
        theirs = {"gateway_account_id": account_id, "gateway_id": gateway_id}
        found = Attempt.objects.filter(**theirs).values_list("payment_id", flat=True).first()
        known = Movement.objects.filter(**theirs).exclude(payment=None)
        found = found or known.values_list("payment_id", flat=True).first()
        if found:
            return found
    return None


def _disputed_payment(fact: Fact, account_id: int) -> int | None:
    """The payment that the charge's money pays, which a review may have made another than the one that took it."""
    known = Dispute.objects.filter(gateway_account_id=account_id, gateway_id=fact.gateway_id).exclude(payment=None)
    took = Movement.objects.filter(
        gateway_account_id=account_id, gateway_id=fact.original_gateway_id, kind=MovementKind.CAPTURE
    ).exclude(payment=None)
    rows: Iterable[QuerySet[Dispute] | QuerySet[Movement]] = (known, took)
    return next(filter(None, (row.values_list("payment_id", flat=True).first() for row in rows)), None)


def lock_case(fact: Fact, account_id: int, operation_id: int | None = None) -> Case:
    """The case of a fact, locked. Must run inside a transaction."""
    payment_id = find_payment_id(fact, account_id, operation_id)
    if payment_id is None:
        lock_transaction(account_id, fact.gateway_id)
        return Case(
            account=GatewayAccount.objects.get(pk=account_id),
            movements=list(
                Movement.objects.filter(gateway_account_id=account_id, gateway_id=fact.gateway_id).order_by("id")
            ),
            reviews=open_ones(Review.objects.filter(gateway_account_id=account_id, gateway_id=fact.gateway_id)),
        )
    case = lock_payment(payment_id)
    asked = (attempt.gateway_account for attempt in case.attempts if attempt.gateway_account_id == account_id)
    case.account = next(asked, None) or GatewayAccount.objects.get(pk=account_id)
    if fact.kind in MONEY_KINDS:
        of_transaction = Movement.objects.filter(gateway_account_id=account_id, gateway_id=fact.gateway_id)
        own = {movement.pk for movement in case.movements}
        case.elsewhere = [movement for movement in of_transaction.order_by("id") if movement.pk not in own]
    case.operation, case.attempt = _subject(case, fact, operation_id)
    return case


def lock_transaction(account_id: int, gateway_id: str) -> None:
    """Nobody's money has no payment row to lock: one advisory lock a gateway transaction stands in."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [account_id, gateway_id])


def _subject(case: Case, fact: Fact, operation_id: int | None) -> tuple[Operation | None, Attempt | None]:
    operation = _operation(case, fact, operation_id)
    attempt_id = operation.attempt_id if operation else None
    for attempt in reversed(case.attempts):
        if attempt.pk == attempt_id or (attempt_id is None and _is_of(case, attempt, fact)):
            return operation or _of_attempt(case, attempt, fact), attempt
    for movement in case.movements:
        here = movement.gateway_account_id == case.account.pk
        if here and movement.gateway_id in {fact.gateway_id, fact.original_gateway_id}:
            found = next((a for a in case.attempts if a.pk == movement.attempt_id), None)
            return (_of_attempt(case, found, fact) if found else None), found
    made_here = (a for a in reversed(case.attempts) if a.gateway_account_id == case.account.pk)
    return None, next(made_here, case.current_attempt)


def _is_of(case: Case, attempt: Attempt, fact: Fact) -> bool:
    if attempt.gateway_account_id != case.account.pk:
        return False
    if fact.reference and attempt.reference == fact.reference:
        return True
    if fact.handle and attempt.handle == fact.handle:
        return True
    return bool(attempt.gateway_id) and attempt.gateway_id in {fact.gateway_id, fact.original_gateway_id}


def _operation(case: Case, fact: Fact, operation_id: int | None) -> Operation | None:
    """The operation by its own id, or a refund by its own reference; the attempt's reference names several."""
    for operation in case.operations:
        if operation.pk == operation_id:
            return operation
        by_reference = operation.reference == fact.reference and operation.kind == OperationKind.REFUND
        if operation_id is None and fact.reference and by_reference:
            return operation
    return None


def _of_attempt(case: Case, attempt: Attempt, fact: Fact) -> Operation | None:
    """The latest operation of the fact's kind that has been sent; an open one first."""
    if fact.kind in _OF_NO_CALL:
        return None  # a refund of ours is known by its own reference
    kinds = _KINDS.get(fact.kind) or ((fact.about,) if fact.about else ())
    mine = [
        o
        for o in case.operations
        if o.attempt_id == attempt.pk and o.state != OperationState.PLANNED and _acts_on(o, fact.gateway_id)
    ]
    if fact.kind not in MONEY_KINDS and not kinds:
        kinds = tuple(OperationKind(o.kind) for o in mine if o.state in OPEN_OPERATION_STATES)
    for kind in kinds:
        of_kind = sorted((o for o in mine if o.kind == kind), key=lambda o: (o.state in OPEN_OPERATION_STATES, o.pk))
        if of_kind:
            return of_kind[-1]
    return None


def _acts_on(operation: Operation, gateway_id: str) -> bool:
    """A capture or void names its transaction from the start, and what collected has made one: another transaction of
    the same order is somebody else's doing."""
    names_it = operation.kind in {OperationKind.CAPTURE, OperationKind.VOID}
    if not names_it and operation.state != OperationState.SUCCEEDED:
        return True
    return not gateway_id or operation.gateway_id in {"", gateway_id}
