"""What stands around one payment? Its rows, locked in the one order (payment, then its children), and what they add up to.
Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.models import (
    Attempt,
    Dispute,
    GatewayAccount,
    Movement,
    Operation,
    Payment,
    PaymentMethod,
    Refund,
    Review,
)
from payments.queries.compiled import Question
from payments.queries.disputes import standing_of
from payments.states import (
    ENDED_REFUND_STATES,
    OPEN_ATTEMPT_STATES,
    OPEN_OPERATION_STATES,
    AttemptState,
    DisputeState,
    MovementKind,
    PaymentState,
    ReviewState,
)


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


# Most payments have none of these when they are looked at: one question in place of three.
_WHAT_THERE_IS = """
SELECT EXISTS (SELECT FROM payments_movement WHERE payment_id = %(payment)s),
       EXISTS (SELECT FROM payments_refund WHERE payment_id = %(payment)s),
       EXISTS (SELECT FROM payments_review WHERE payment_id = %(payment)s AND state = 'open')
"""


_payments = Question(lambda pk: Payment.objects.select_for_update().filter(pk=pk))
_methods = Question(lambda pk: PaymentMethod.objects.filter(pk=pk))
_accounts = Question(lambda pk: GatewayAccount.objects.filter(pk=pk))
_attempts = Question(lambda payment_id: Attempt.objects.filter(payment=payment_id).order_by("number"))
_operations = Question(lambda payment_id: Operation.objects.filter(payment=payment_id).order_by("id"))
_movements = Question(lambda payment_id: Movement.objects.filter(payment=payment_id).order_by("id"))
_refunds = Question(lambda payment_id: Refund.objects.filter(payment=payment_id).order_by("id"))
_reviews = Question(lambda payment_id: Review.objects.filter(payment=payment_id))


def lock_payment(payment_id: int) -> Case:
    """Everything of one payment, locked by its payment row; `account` is that of its last attempt.

    Raises: Payment.DoesNotExist; TransactionManagementError outside a transaction.
    """
    found = _payments(payment_id)
    if not found:
        raise Payment.DoesNotExist
    [payment] = found
    [payment.method] = _methods(payment.method_id)
    if payment.version == 0 and payment.state == PaymentState.INITIATED:  # no fact yet: there is nothing around it
        return Case(account=GatewayAccount(), payment=payment)
    with connection.cursor() as cursor:  # under the lock, which the question before it may have waited for
        cursor.execute(_WHAT_THERE_IS, {"payment": payment_id})
        moved, refunded, reviewed = cursor.fetchone()
    attempts = _attempts_of(payment)
    case = Case(
        account=attempts[-1].gateway_account if attempts else GatewayAccount(),
        payment=payment,
        attempt=attempts[-1] if attempts else None,
        attempts=attempts,
        operations=_operations(payment_id),
        movements=_movements(payment_id) if moved else [],
        refunds=_refunds(payment_id) if refunded else [],
        reviews=open_ones(_reviews(payment_id)) if reviewed else [],
    )
    rows: list[Operation | Movement | Refund] = [*case.operations, *case.movements, *case.refunds]
    for row in rows:
        row.payment = payment
    return case


def _attempts_of(payment: Payment) -> list[Attempt]:
    """Each with the gateway account it was made at."""
    attempts = _attempts(payment.pk)
    accounts = {pk: account for pk in {a.gateway_account_id for a in attempts} for account in _accounts(pk)}
    for attempt in attempts:
        attempt.payment, attempt.gateway_account = payment, accounts[attempt.gateway_account_id]
    return attempts


def open_ones(reviews: Iterable[Review]) -> list[Review]:
    """Those that still wait for a person."""
    return [review for review in reviews if review.state == ReviewState.OPEN]


def nothing_open(case: Case) -> bool:
    """The one guard: no attempt of this payment has taken, may have taken or can still take money.

    It bars retry, failover, cancel, expiry and write-off alike. A hold that came late bars as well, on whatever attempt.
    The part of a partially paid payment bars nothing: what is tried then is the rest of it, and no more.
    """
    return not (
        any(has_or_may_take(case, a) for a in case.attempts)
        or any(o.state in OPEN_OPERATION_STATES for o in case.operations)
        or hold_alive(case)
    )


def has_or_may_take(case: Case, attempt: Attempt) -> bool:
    """Does this attempt bar another? Where parts are taken, its money bars while nobody has decided on it or it is on its
    way back, and once it is all that is wanted; what has gone back whole bars no more."""
    if attempt.state != AttemptState.CAPTURED:
        return attempt.state in OPEN_ATTEMPT_STATES
    payment = case.payment
    if payment is None or not payment.accept_partial:
        return True
    if payment.state == PaymentState.PARTIALLY_PAID:
        return _is_undecided(case, attempt)
    return _left_of(case, attempt, counts=False).is_positive or part_of(case, attempt).is_positive


def _is_undecided(case: Case, attempt: Attempt) -> bool:
    """Does an open review hold money of this attempt, or is such money on its way back?"""
    held = any(review.attempt_id == attempt.pk and review.held_minor for review in case.reviews)
    under_way = (r for r in case.refunds if r.attempt_id == attempt.pk and r.review_id is not None)
    return held or any(refund.state not in ENDED_REFUND_STATES for refund in under_way)


def _left_of(case: Case, attempt: Attempt, *, counts: bool) -> Money:
    """What an attempt has taken and not given back; either as part of the payment's amounts, or under review."""
    assert case.payment is not None
    mine = [m for m in case.movements if m.attempt_id == attempt.pk and m.counts == counts]
    came = (MovementKind.CAPTURE, MovementKind.REFUND_RETURN)
    taken = total((m for m in mine if m.kind in came), case.payment.currency)
    back = (m for m in mine if m.kind == MovementKind.REFUND or (m.kind == MovementKind.VOID and _was_taken(m)))
    return taken - total(back, case.payment.currency)


def _was_taken(void: Movement) -> bool:
    return void.of_captured_money or not void.counts


def part_of(case: Case, attempt: Attempt) -> Money:
    """What stands of one attempt: taken, not gone back, and not lost in a dispute."""
    return _left_of(case, attempt, counts=True) - lost_money(case, attempt)


def part_money(case: Case) -> Money:
    """What stands of all that has come in for the payment."""
    return captured_money(case) - returned_money(case) - lost_money(case)


def rest_money(case: Case) -> Money:
    """What is still to be collected: all of it, or what a partially paid payment lacks."""
    payment = case.payment
    assert payment is not None
    return payment.money - part_money(case) if payment.state == PaymentState.PARTIALLY_PAID else payment.money


def is_reduced(case: Case, attempt: Attempt) -> bool:
    """Did it ask for less than was missing then?"""
    assert case.payment is not None
    earlier = {a.pk for a in case.attempts if a.number < attempt.number}
    took = [m for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts and m.attempt_id in earlier]
    missing = case.payment.money - total(took, case.payment.currency)
    return attempt.amount_minor is not None and attempt.amount_minor < missing.amount_minor


def lost_money(case: Case, attempt: Attempt | None = None) -> Money:
    """What lost disputes took of a payment that takes parts; asked of no other, for which it is a loss of ours."""
    payment = case.payment
    assert payment is not None
    nothing = Money(0, payment.currency)
    if not payment.accept_partial or not any(m.dispute_id for m in case.movements):
        return nothing
    lost = payment.disputes.filter(state=DisputeState.LOST, **({"attempt": attempt} if attempt else {}))
    taken = (standing_of(dispute) for dispute in lost)
    return sum((m for m in taken if m is not None and m.currency == payment.currency), nothing)


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
