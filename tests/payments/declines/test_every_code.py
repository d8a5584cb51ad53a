"""Does each code of each gateway's sheet end in its class, and in the action that the class asks for? Against the simulator.

Another gateway that would take the card stands by, and must not be asked; only what it may help with is met alone as well.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.declines import ADVICE
from payments.facts import Fact, FactKind
from payments.gateways.registry import ADAPTERS, get_adapter
from payments.models import Operation, Payment, Retry, Review
from payments.services import execution, sending
from payments.services.declining import advice_for
from payments.services.recording import Cause, record_fact
from payments.states import (
    Certainty,
    FailureClass,
    OperationKind,
    OperationState,
    PaymentState,
    ReviewKind,
    Source,
    Waits,
)
from tests.payments.declines.simulated import followed, intent, point_at, refused
from tests.payments.factories import Clock
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
F = FailureClass
# Answers to a capture, a void, a refund or an ill-formed request, and of keys that are refused.
NO_ANSWER_TO_A_SALE: dict[str, set[str]] = {
    "nmi": {"300:not_pending_settlement"},
    "convesiopay": {"http:401"},
    "stripe": {
        "amount_too_large", "amount_too_small", "api_key_expired", "authentication_error",
        "capture_charge_authorization_expired", "card_declined", "charge_already_captured", "charge_already_refunded",
        "charge_disputed", "charge_expired_for_capture", "charge_not_refundable", "idempotency_error",
        "idempotency_key_in_use", "intent_invalid_state", "invalid_charge_amount", "invalid_request_error",
        "livemode_mismatch", "parameter_invalid_empty", "parameter_invalid_integer", "parameter_invalid_string_blank",
        "parameter_invalid_string_empty", "parameter_missing", "parameter_unknown", "parameters_exclusive",
        "payment_intent_unexpected_state", "payment_method_unexpected_state", "permission_error",
        "re:charge_for_pending_refund_disputed", "re:declined", "re:expired_or_canceled_card",
        "re:insufficient_funds", "re:lost_or_stolen_card", "re:merchant_request", "re:unknown",
        "refund_disputed_payment", "secret_key_required", "status_transition_invalid", "token_already_used",
    },
}  # fmt: skip
# A duplicate is looked up at once, and our own transaction is found refused.
REFUSED_BY_LOOK_UP = {("nmi", "430")}
KINDS = {
    Certainty.REFUSED: FactKind.DECLINED, Certainty.NOT_SENT: FactKind.NOT_SENT, Certainty.UNKNOWN: FactKind.UNKNOWN,
}  # fmt: skip
ACTIONS = {
    F.HARD_DECLINE: "never again", F.FRAUD: "block",
    F.SOFT_DECLINE: "retry", F.INSUFFICIENT_FUNDS: "retry", F.GATEWAY_ERROR: "retry", F.GATEWAY_UNAVAILABLE: "retry",
    F.EXPIRED_CARD: "ask payer", F.INVALID_CARD_DATA: "ask payer", F.AUTHENTICATION_REQUIRED: "ask payer",
    F.LIMIT_EXCEEDED: "ask payer",
    F.DUPLICATE: "review", F.INVALID_REQUEST: "review", F.CONFIGURATION_ERROR: "review", F.UNKNOWN: "review",
}  # fmt: skip
RETRIED_AFTER = {
    F.SOFT_DECLINE: timedelta(days=1), F.INSUFFICIENT_FUNDS: timedelta(days=2),
    F.GATEWAY_ERROR: timedelta(minutes=5), F.GATEWAY_UNAVAILABLE: timedelta(minutes=5),
}  # fmt: skip
HELPED_ELSEWHERE = {F.SOFT_DECLINE, F.CONFIGURATION_ERROR, F.GATEWAY_ERROR, F.GATEWAY_UNAVAILABLE}
SHEETS = [(name, code) for name in sorted(ADAPTERS) for code in get_adapter(name).codes]


def expected(provider: str, code: str) -> tuple[str, FailureClass, Certainty]:
    """What the refused call is kept as: code, class, certainty."""
    meaning = get_adapter(provider).codes[code]
    settled = Certainty.REFUSED if (provider, code) in REFUSED_BY_LOOK_UP else meaning.certainty
    return code, meaning.failure_class, settled


def helps(provider: str, code: str) -> bool:
    """May another gateway be asked after this code? By the tables of this file."""
    _, failure_class, certainty = expected(provider, code)
    return failure_class in HELPED_ELSEWHERE and certainty != Certainty.UNKNOWN


@pytest.fixture
def simulator(simulator_process: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    point_at(simulator_process, monkeypatch)
    return simulator_process


def told(provider: str, code: str, clock: Clock, *, another: bool = False) -> tuple[Payment, Operation]:
    """The same for a code that no sale at the simulator is answered with: the fact that the adapter's sheet makes of it."""
    meaning = get_adapter(provider).codes[code]
    payment = intent(provider, "tok_ok", clock, another=another)
    for _ in range(2):
        execution._next_step(payment.pk, clock())
    operation = payment.operations.get()
    assert sending._start(operation.pk, clock()) is not None
    fact = Fact(
        KINDS[meaning.certainty], Source.ANSWER, clock(), reference=operation.reference, about=OperationKind.SALE,
        certainty=meaning.certainty, failure_class=meaning.failure_class, code=code, message=meaning.text,
        retry_after_seconds=meaning.retry_after_seconds,
    )  # fmt: skip
    account_id = operation.gateway_account_id
    record_fact(fact, account_id=account_id, cause=Cause(operation_id=operation.pk), now=clock())
    return followed(payment, clock)


def met(provider: str, code: str, clock: Clock, *, another: bool = False) -> tuple[Payment, Operation]:
    way = told if code in NO_ANSWER_TO_A_SALE.get(provider, ()) else refused
    return way(provider, code, clock, another=another)


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(("provider", "code"), SHEETS)
def test_it_ends_in_its_class_and_action(provider: str, code: str) -> None:
    as_told, failure_class, certainty = expected(provider, code)

    payment, operation = met(provider, code, Clock(), another=not helps(provider, code))

    assert (operation.code, operation.failure_class, operation.certainty) == (as_told, failure_class, certainty)
    assert [attempt.gateway_account.slug for attempt in payment.attempts.all()] == [provider]
    action = "look up" if certainty == Certainty.UNKNOWN else ACTIONS[failure_class]
    assert seen(payment, operation) == action
    assert (payment.method.blocked_at is not None) == (action == "block")
    if certainty != Certainty.UNKNOWN:
        assert advice_for(operation, provider).payer_wording == ADVICE[failure_class].payer_wording


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(("provider", "code"), [one for one in SHEETS if helps(*one)])
def test_another_gateway_is_asked_where_that_may_help(provider: str, code: str) -> None:
    payment, _ = met(provider, code, Clock(), another=True)

    asked = list(payment.attempts.order_by("number").values_list("gateway_account__slug", flat=True))
    assert asked == [provider, "other"]
    assert payment.state == PaymentState.CAPTURED


def seen(payment: Payment, operation: Operation) -> str:
    """Which action is observed of the payment."""
    if payment.state == PaymentState.PENDING:
        return waiting(payment, operation)
    assert payment.state == PaymentState.FAILED and not payment.retries.exists()
    if payment.method.blocked_at is not None:
        return "block"
    if Review.objects.filter(payment=payment).exists():
        assert Review.objects.get(payment=payment).kind == ReviewKind.PAYMENT_STOPPED
        return "review"
    said = payment.transitions.filter(fact="given_up").latest("id").inputs["fact"]["message"]
    if "The payer has to do something" in said:
        return "ask payer"
    assert "This card must not be tried again." in said
    # An invalid number is invalid for ever; the payer is asked for another card all the same.
    bad_data = operation.failure_class == F.INVALID_CARD_DATA and operation.network_code == "14"
    return "ask payer" if bad_data else "never again"


def waiting(payment: Payment, operation: Operation) -> str:
    if payment.waits_for == Waits.LOOK_UP:
        assert operation.state == OperationState.UNKNOWN and not payment.retries.exists()
        return "look up"
    retry = Retry.objects.get(payment=payment)
    assert payment.waits_for == Waits.RETRY and operation.ended_at is not None
    wait = RETRIED_AFTER[F(operation.failure_class)]
    due = max(operation.ended_at + wait, operation.retry_not_before or operation.ended_at)
    assert timedelta() <= retry.due_at - due < timedelta(seconds=20)
    return "retry"


def test_nothing_of_a_sheet_is_left_out_by_name() -> None:
    sheets = {provider: set(get_adapter(provider).codes) for provider in ADAPTERS}

    assert {provider: codes - sheets[provider] for provider, codes in NO_ANSWER_TO_A_SALE.items()} == {
        provider: set() for provider in NO_ANSWER_TO_A_SALE
    }
    assert set(ACTIONS) == set(FailureClass)
    assert len(SHEETS) >= 160
