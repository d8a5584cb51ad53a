"""Which rows does a fact speak of? Finds them, locks them in the one order (payment, then its children), and builds the
snapshot that `decide` judges. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from ledger.money import Money
from payments.facts import DISPUTE_MONEY, MONEY_KINDS, Fact, FactKind
from payments.models import Attempt, Dispute, GatewayAccount, Movement, Operation, Payment, Refund, Review
from payments.states import (
    OPEN_ATTEMPT_STATES,
    OPEN_OPERATION_STATES,
    AttemptState,
    MovementKind,
    OperationKind,
    OperationState,
    PaymentState,
    ReviewState,
)

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


@dataclass
class Case:
    """The rows around one fact, read under the payment's lock; `payment` None: nobody's money."""

    account: GatewayAccount
    payment: Payment | None = None
    attempt: Attempt | None = None
    operation: Operation | None = None
    attempts: list[Attempt] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    elsewhere: list[Movement] = field(
        default_factory=list
    )  # of the fact's transaction, booked as another's or nobody's
    followed: int | None = None  # the last fact of this transaction that had an effect: what the next one follows from
    promised: Refund | None = None  # the unsent refund that the fact fulfils by another hand
    returning: Refund | None = None  # the refund that the fact says came back
    dispute: Dispute | None = None  # the dispute that the fact is about

    @property
    def current_attempt(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    def turn_to(self, attempt: Attempt) -> None:
        """Look at one of the attempts, at the gateway account it was made at."""
        self.attempt, self.account = attempt, attempt.gateway_account

    def refund_of(self, operation: Operation | None) -> Refund | None:
        if operation is None or operation.refund_id is None:
            return None
        return next(refund for refund in self.refunds if refund.pk == operation.refund_id)

    def of_transaction(self, gateway_id: str, *kinds: MovementKind) -> list[Movement]:
        """Movements of one gateway transaction at this account, oldest first."""
        return [
            m
            for m in self.movements
            if gateway_id and m.gateway_id == gateway_id and m.kind in kinds and m.gateway_account_id == self.account.pk
        ]


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
            reviews=_open_reviews(Review.objects.filter(gateway_account_id=account_id, gateway_id=fact.gateway_id)),
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


# Most payments have none of these when they are looked at: one question in place of three.
_WHAT_THERE_IS = """
SELECT EXISTS (SELECT FROM payments_movement WHERE payment_id = %(payment)s),
       EXISTS (SELECT FROM payments_refund WHERE payment_id = %(payment)s),
       EXISTS (SELECT FROM payments_review WHERE payment_id = %(payment)s AND state = 'open')
"""


def lock_payment(payment_id: int) -> Case:
    """Everything of one payment, locked by its payment row; `account` is that of its last attempt."""
    payment = Payment.objects.select_for_update(of=("self",)).select_related("method").get(pk=payment_id)
    if payment.version == 0 and payment.state == PaymentState.INITIATED:  # no fact yet: there is nothing around it
        return Case(account=GatewayAccount(), payment=payment)
    attempts = list(payment.attempts.select_related("gateway_account").order_by("number"))
    with connection.cursor() as cursor:  # under the lock, which the question before it may have waited for
        cursor.execute(_WHAT_THERE_IS, {"payment": payment_id})
        moved, refunded, reviewed = cursor.fetchone()
    return Case(
        account=attempts[-1].gateway_account if attempts else GatewayAccount(),
        payment=payment,
        attempt=attempts[-1] if attempts else None,
        attempts=attempts,
        operations=list(payment.operations.order_by("id")),
        movements=list(payment.movements.order_by("id")) if moved else [],
        refunds=list(payment.refunds.order_by("id")) if refunded else [],
        reviews=_open_reviews(Review.objects.filter(payment=payment)) if reviewed else [],
    )


def _open_reviews(reviews: Iterable[Review]) -> list[Review]:
    return [review for review in reviews if review.state == ReviewState.OPEN]


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


def nothing_open(case: Case) -> bool:
    """The one guard: no attempt of this payment has taken, may have taken or can still take money.

    It bars retry, failover, cancel, expiry and write-off alike. A hold that came late bars as well, on whatever attempt.
    """
    bars = OPEN_ATTEMPT_STATES | {AttemptState.CAPTURED}
    return not (
        any(a.state in bars for a in case.attempts)
        or any(o.state in OPEN_OPERATION_STATES for o in case.operations)
        or hold_alive(case)
    )


def total(movements: Iterable[Movement], currency: str) -> Money:
    return Money(sum(m.amount_minor for m in movements if m.currency == currency), currency)


def captured_money(case: Case) -> Money:
    """What counts as paid, in the payment's currency: a sum of movements."""
    assert case.payment is not None
    rows = [m for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts]
    return total(rows, case.payment.currency)


def returned_money(case: Case) -> Money:
    """What has gone back of captured money, by refund or void, and has not come back to stay."""
    assert case.payment is not None
    rows = [
        m
        for m in case.movements
        if m.counts and (m.kind == MovementKind.REFUND or (m.kind == MovementKind.VOID and m.of_captured_money))
    ]
    kept = [m for m in case.movements if m.counts and m.kind == MovementKind.REFUND_RETURN]
    return total(rows, case.payment.currency) - total(kept, case.payment.currency)


def known_money(case: Case, gateway_id: str, *kinds: MovementKind, occurrence: int | None = None) -> Money | None:
    """What is booked of one movement over all revisions; a restated currency leaves the older one at zero."""
    rows = case.of_transaction(gateway_id, *kinds)
    if occurrence is not None:
        rows = [m for m in rows if m.occurrence == occurrence]
    sums = [total(rows, currency) for currency in dict.fromkeys(m.currency for m in rows)]
    return next((money for money in sums if not money.is_zero), sums[-1] if sums else None)


def hold_alive(case: Case) -> bool:
    """Does the gateway still hold anything of this payment, by our books?"""
    held = [m for m in case.movements if m.kind == MovementKind.AUTHORISATION and m.released_at is None]
    return any(m.amount_minor for m in held)


def is_voided(case: Case, gateway_id: str) -> bool:
    """Is a void the last that is known of this transaction? Then nothing of it is left at the gateway."""
    moved = case.of_transaction(gateway_id, MovementKind.CAPTURE, MovementKind.AUTHORISATION, MovementKind.VOID)
    return bool(moved) and moved[-1].kind == MovementKind.VOID


def transaction_of(refund: Refund, attempt: Attempt, case: Case) -> str:
    """The gateway's transaction that a refund gives back: that of the review's money, else the attempt's."""
    reviewed = refund.review.gateway_id if refund.review else ""
    return reviewed if case.of_transaction(reviewed, MovementKind.CAPTURE) else attempt.gateway_id


def refunded_transaction(case: Case, gateway_id: str) -> str:
    """Which transaction did this refund give back? Our own call names it; else the one of the attempt that took money."""
    made_by = next((m.operation for m in case.of_transaction(gateway_id, MovementKind.REFUND) if m.operation), None)
    if made_by is not None:
        return str(made_by.request.get("gateway_id", ""))
    here = [m for m in case.movements if m.gateway_account_id == case.account.pk]
    took = [m.gateway_id for m in here if m.kind == MovementKind.CAPTURE]
    own = case.attempt.gateway_id if case.attempt else ""
    return own if own in took or not took else took[-1]


def held_hold(case: Case, gateway_id: str) -> Money | None:
    """What the gateway still holds of one transaction, by our books: less what was captured in parts meanwhile."""
    rows = [m for m in case.of_transaction(gateway_id, MovementKind.AUTHORISATION) if m.released_at is None]
    if not rows:
        return None
    held = total(rows, rows[0].currency)
    taken = total(case.of_transaction(gateway_id, MovementKind.CAPTURE), held.currency)
    return held - taken if taken < held else Money(0, held.currency)


def reviews_holding(case: Case, fact: Fact) -> list[Review]:
    """Open reviews that hold money of the fact's transaction, the one over exactly its sum first.

    A refund is a transaction of its own. Where the gateway does not say which one it gives back (NMI's webhooks and reports
    do not), it may be any of the attempt whose reference it bears.
    """
    here = [r for r in case.reviews if r.gateway_account_id == case.account.pk]
    holding = [r for r in here if r.held_on and r.held_minor > 0]
    if fact.kind == FactKind.REFUND and not fact.original_gateway_id and case.attempt is not None:
        found = [r for r in holding if r.attempt_id == case.attempt.pk]
    else:
        ids = {fact.gateway_id, fact.original_gateway_id} - {""}
        found = [r for r in holding if r.gateway_id in ids]
    return sorted(found, key=lambda r: (r.held != fact.money, r.pk))


def next_occurrence(case: Case, fact: Fact) -> int:
    """One more than the times known so far."""
    rows = case.of_transaction(fact.gateway_id, MovementKind(fact.kind.value))
    return 1 + max((m.occurrence for m in rows), default=-1)


def movement_time(fact: Fact, now: datetime) -> datetime:
    """When it happened by the gateway's word, but never later than we know of it."""
    return min(fact.occurred_at, now)
