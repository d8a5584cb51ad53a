"""Which moves does each machine allow? Every state against every move: nobody adds an edge unnoticed."""

from __future__ import annotations

from enum import StrEnum

import pytest
from django.db import IntegrityError, connection, models, transaction
from django_fsm import TransitionNotAllowed, can_proceed

from payments.models import Attempt, Dispute, Movement, Operation, Payment, Payout, Refund, Review, Transition
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment
from payments.states import (
    AttemptState,
    DisputeState,
    OperationState,
    PaymentState,
    PayoutState,
    RefundState,
    ReviewState,
)
from tests.payments.factories import Clock, new_payment, nmi_account

# move -> the states it is allowed from
MOVES: dict[type[models.Model], dict[str, str]] = {
    Payment: {
        "mark_validated": "initiated",
        "mark_pending": "validated failed partially_paid",
        "mark_partially_paid": "pending authorised failed",
        "mark_authorised": "pending validated failed",
        "mark_captured": "pending validated authorised partially_paid failed expired cancelled",
        "mark_settled": "captured",
        "mark_reconciled": "settled",
        "mark_unreconciled": "reconciled",
        "mark_failed": "initiated validated pending authorised",
        "mark_cancelled": "initiated validated pending authorised partially_paid",
        "mark_expired": "validated pending authorised partially_paid",
        "mark_refunded": "captured settled reconciled partially_paid",
        "mark_charged_back": "captured settled reconciled",
        "mark_reopened": "charged_back",
    },
    Attempt: {
        "mark_authorised": "open failed declined",
        "mark_captured": "open authorised failed declined voided lapsed",
        "mark_declined": "open authorised",
        "mark_failed": "open",
        "mark_voided": "open authorised captured",
        "mark_lapsed": "authorised",
    },
    Operation: {
        "mark_sent": "planned",
        "mark_succeeded": "sent unknown failed declined",
        "mark_declined": "sent unknown succeeded",
        "mark_failed": "planned sent unknown",
        "mark_unknown": "sent",
    },
    Refund: {
        "mark_approved": "requested",
        "mark_waiting": "approved sent unknown waiting",
        "mark_sent": "approved waiting",
        "mark_succeeded": "requested approved waiting sent unknown failed",
        "mark_failed": "approved waiting sent unknown",
        "mark_unknown": "sent",
        "mark_returned": "succeeded",
    },
    Dispute: {
        "mark_chargeback": "inquiry under_review pre_arbitration closed",
        "mark_under_review": "inquiry chargeback pre_arbitration closed",
        "mark_pre_arbitration": "inquiry chargeback under_review lost won closed",
        "mark_won": "inquiry chargeback under_review pre_arbitration lost closed",
        "mark_lost": "inquiry chargeback under_review pre_arbitration won closed",
        "mark_closed": "inquiry chargeback under_review pre_arbitration won lost",
    },
    Review: {"mark_decided": "open", "mark_settled": "open"},
    Payout: {
        "mark_in_transit": "expected",
        "mark_paid": "expected in_transit",
        "mark_in_bank": "expected in_transit paid",
        "mark_failed": "expected in_transit paid in_bank",
        "mark_returned": "failed",
    },
}
STATES: dict[type[models.Model], type[StrEnum]] = {
    Payment: PaymentState,
    Attempt: AttemptState,
    Operation: OperationState,
    Refund: RefundState,
    Dispute: DisputeState,
    Review: ReviewState,
    Payout: PayoutState,
}


@pytest.mark.parametrize("model", list(MOVES), ids=lambda model: model.__name__)
def test_every_move_is_allowed_exactly_from_its_states(model):
    for state in STATES[model]:
        row = model(state=state)
        allowed = {move for move in MOVES[model] if can_proceed(getattr(row, move))}

        assert allowed == {move for move, states in MOVES[model].items() if state in states.split()}, state


@pytest.mark.parametrize("model", list(MOVES), ids=lambda model: model.__name__)
def test_the_table_names_every_move_of_the_machine(model):
    moves = {name for name in dir(model) if name.startswith("mark_")}

    assert moves == set(MOVES[model])


def test_a_forbidden_move_is_refused_loudly_and_a_state_can_not_be_set_by_hand():
    payment = Payment(state=PaymentState.SETTLED)

    with pytest.raises(TransitionNotAllowed):
        payment.mark_authorised(None)
    with pytest.raises(AttributeError):
        payment.state = PaymentState.AUTHORISED


@pytest.mark.django_db(transaction=True)
class TestTheDatabaseRefuses:
    @pytest.fixture
    def payment(self) -> Payment:
        nmi_account()
        return new_payment(Clock())

    def test_a_value_that_is_no_state(self, payment: Payment):
        with pytest.raises(IntegrityError, match="payment_state_is_known"), transaction.atomic():
            Payment.objects.filter(pk=payment.pk).update(state="paid")

    def test_rewriting_the_causal_log(self, payment: Payment):
        clock = Clock()
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())

        for statement in ("UPDATE payments_transition SET because = ''", "DELETE FROM payments_transition"):
            with pytest.raises(IntegrityError, match="Record a new fact"), connection.cursor() as cursor:
                cursor.execute(statement)
        assert Transition.objects.get().because == "Cancelled before anything was sent."

    def test_deleting_a_movement(self, payment: Payment):
        with pytest.raises(IntegrityError, match="append-only"):
            Movement.objects.all()._raw_delete("default")
