"""Is every outcome of a call that may have taken, or can still take, money a bar to the next attempt? The whole product."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product

import pytest
from django.db import transaction

from payments.facts import Fact, FactKind
from payments.models import Attempt, GatewayAccount, Movement, Operation, Payment
from payments.services.case import Case, lock_payment, nothing_open
from payments.services.execution import advance_payment
from payments.services.operations import new_reference
from payments.services.recording import Cause, record_fact
from payments.states import (
    AttemptState,
    Certainty,
    FailureClass,
    OperationKind,
    OperationState,
    PaymentState,
    Source,
)
from tests.payments.factories import Clock, new_payment

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
ENDED = {OperationState.SUCCEEDED, OperationState.DECLINED, OperationState.FAILED}


@dataclass(frozen=True)
class AtGateway:
    """What is truly alive there, and how our books call it."""

    name: str
    attempt: AttemptState
    payers_turn: bool = False
    can_take: bool = True


ALIVE = (
    AtGateway("nothing, refused", AttemptState.DECLINED, can_take=False),
    AtGateway("nothing, never reached it", AttemptState.FAILED, can_take=False),
    AtGateway("nothing, closed", AttemptState.VOIDED, can_take=False),
    AtGateway("nothing, hold lapsed", AttemptState.LAPSED, can_take=False),
    AtGateway("the payer's confirmation", AttemptState.OPEN, payers_turn=True),
    AtGateway("not known", AttemptState.OPEN),
    AtGateway("a hold", AttemptState.AUTHORISED),
    AtGateway("money taken", AttemptState.CAPTURED),
)


@pytest.mark.parametrize("alive", ALIVE, ids=lambda a: a.name)
def test_the_guard_opens_only_when_nothing_can_take_money(alive: AtGateway) -> None:
    wrong = []
    for kind, state, certainty in product(OperationKind, OperationState, [*Certainty, ""]):
        operation = Operation(kind=kind, state=state, certainty=certainty)
        attempt = Attempt(state=alive.attempt, awaits_payer=alive.payers_turn)
        case = Case(GatewayAccount(), payment=Payment(), attempts=[attempt], operations=[operation])
        if nothing_open(case) != (state in ENDED and not alive.can_take):
            wrong.append((kind, state, certainty))

    assert wrong == []


@pytest.mark.parametrize("others", [1, 2, 3])
@pytest.mark.parametrize("alive", ALIVE, ids=lambda a: a.name)
def test_one_open_attempt_among_ended_ones_is_enough_to_bar(alive: AtGateway, others: int) -> None:
    ended = [Attempt(state=AttemptState.DECLINED) for _ in range(others)]
    for place in range(others + 1):
        attempts = [*ended[:place], Attempt(state=alive.attempt), *ended[place:]]

        assert nothing_open(Case(GatewayAccount(), payment=Payment(), attempts=attempts)) == (not alive.can_take)


@dataclass(frozen=True)
class Outcome:
    """What the gateway said of the sale, and whether another gateway may be asked after it."""

    name: str
    facts: tuple[Fact, ...]
    may_go_on: bool


def said(kind: FactKind, source: Source = Source.ANSWER, **more: object) -> Fact:
    return Fact(kind, source, AT, about=OperationKind.SALE, **more)  # type: ignore[arg-type]


SOFT = {"certainty": Certainty.REFUSED, "failure_class": FailureClass.SOFT_DECLINE, "code": "200"}
UNSENT = {"certainty": Certainty.NOT_SENT, "failure_class": FailureClass.GATEWAY_UNAVAILABLE}
ASKS_PAYER = said(FactKind.ACTION_REQUIRED, action_url="https://bank.example/confirm", handle="pi_1")
OUTCOMES = (
    Outcome("declined", (said(FactKind.DECLINED, **SOFT),), may_go_on=True),
    Outcome("declined, yet alive there", (said(FactKind.DECLINED, alive=True, **SOFT),), may_go_on=False),
    Outcome("not sent", (said(FactKind.NOT_SENT, **UNSENT),), may_go_on=True),
    Outcome("unknown", (said(FactKind.UNKNOWN),), may_go_on=False),
    Outcome("duplicate", (said(FactKind.DUPLICATE, failure_class=FailureClass.DUPLICATE),), may_go_on=False),
    Outcome(
        "unknown, then absent",
        (said(FactKind.UNKNOWN), said(FactKind.ABSENT, Source.LOOK_UP, **UNSENT)),
        may_go_on=True,
    ),
    Outcome(
        "unknown, then look-ups exhausted",
        (said(FactKind.UNKNOWN), said(FactKind.EXHAUSTED, Source.LOOK_UP)),
        may_go_on=False,
    ),
    Outcome(
        "unknown, then refused",
        (said(FactKind.UNKNOWN), said(FactKind.DECLINED, Source.LOOK_UP, **SOFT)),
        may_go_on=True,
    ),
    Outcome("the payer is asked", (ASKS_PAYER,), may_go_on=False),
    Outcome(
        "the payer is asked, the bank refuses, it is still alive",
        (ASKS_PAYER, said(FactKind.DECLINED, Source.WEBHOOK, alive=True, **SOFT)),
        may_go_on=False,
    ),
    Outcome(
        "the payer is asked, the bank refuses for good",
        (ASKS_PAYER, said(FactKind.DECLINED, Source.WEBHOOK, **SOFT)),
        may_go_on=True,
    ),
    Outcome(
        "the payer is asked, refused, and then closed",
        (
            ASKS_PAYER,
            said(FactKind.DECLINED, Source.WEBHOOK, alive=True, **SOFT),
            Fact(FactKind.CLOSED, Source.WEBHOOK, AT, handle="pi_1"),
        ),
        may_go_on=True,
    ),
)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda o: o.name)
def test_another_gateway_is_asked_only_after_an_outcome_that_took_nothing(
    outcome: Outcome, simulator: object, clock: Clock
) -> None:
    payment, attempt, operation = sent(clock)

    for fact in outcome.facts:
        record(replace(fact, reference=attempt.reference), attempt, operation, clock)

    case = lock(payment)
    assert nothing_open(case) == outcome.may_go_on
    advance_payment(payment.pk, clock)
    asked = list(payment.attempts.order_by("number").values_list("gateway_account__slug", flat=True))
    assert asked == (["nmi", "second"] if outcome.may_go_on else ["nmi"])
    payment.refresh_from_db()
    assert (payment.state == PaymentState.CAPTURED) == outcome.may_go_on
    assert Movement.objects.filter(kind="capture").count() == int(outcome.may_go_on)


def sent(clock: Clock) -> tuple[Payment, Attempt, Operation]:
    """A payment whose sale is on its way to the first gateway, as a frozen sender leaves it."""
    payment = new_payment(clock, expires_in_seconds=86_400)
    first = GatewayAccount.objects.get(slug="nmi")
    Payment.objects.filter(pk=payment.pk).update(state=PaymentState.PENDING, version=1)
    attempt = Attempt.objects.create(
        payment=payment, number=1, gateway_account=first, reference=new_reference("cf"), created_at=clock()
    )
    operation = Operation.objects.create(
        payment=payment,
        attempt=attempt,
        gateway_account=first,
        kind=OperationKind.SALE,
        reference=attempt.reference,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        request={},
        state=OperationState.SENT,
        planned_at=clock(),
        sent_at=clock(),
        send_before=clock(),
        done_before=clock(),
    )
    payment.refresh_from_db()
    return payment, attempt, operation


def record(fact: Fact, attempt: Attempt, operation: Operation, clock: Clock) -> None:
    operation_id = (
        operation.pk if fact.source == Source.ANSWER or fact.kind in {FactKind.ABSENT, FactKind.EXHAUSTED} else None
    )
    record_fact(fact, account_id=attempt.gateway_account_id, cause=Cause(operation_id=operation_id), now=clock())


def lock(payment: Payment) -> Case:

    with transaction.atomic():
        return lock_payment(payment.pk)
