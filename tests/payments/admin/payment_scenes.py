"""Payments in every situation an operator may open, made through the services and the facts that make them in life."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.models import GatewayAccount, InboundEvent, LookUp, Operation, Payment, Switch
from payments.services import execution, sending
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment, capture_payment
from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest, create_payment
from payments.services.recording import Cause, Recorded, record_fact
from payments.services.refunds import request_refund
from payments.services.retries import cancel_retry, retry_now
from payments.states import Certainty, FailureClass, OperationKind, Source
from tests.payments.factories import nmi_account, operator

USD = "USD"


def stored(now: datetime, *, reference: str = "order-1", **fields: object) -> Payment:
    """initiated: an intent of 125.00 USD by Ada Lovelace."""
    nmi_account()
    request = PaymentRequest(
        amount_minor=12500, currency=USD, reference=reference, method=MethodRequest("card", token="tok_ok"),
        payer=PayerRequest(id="c-77", email="Ada@Example.com", name="Ada Lovelace"),
    )  # fmt: skip
    return create_payment(replace(request, **fields), actor=SYSTEM, now=now)  # type: ignore[arg-type]


def checked(now: datetime, **fields: object) -> Payment:
    """validated: the state between two steps of the worker."""
    payment = stored(now, **fields)
    record_fact_about(
        payment, Fact(FactKind.CHECKS_PASSED, Source.SERVICE, now, message="Everything is in order."), now
    )
    return fresh(payment)


def planned(now: datetime, **fields: object) -> Payment:
    """pending: the attempt is open, its call planned, nothing sent."""
    payment = stored(now, **fields)
    for _ in range(2):
        execution._next_step(payment.pk, now)
    return fresh(payment)


def sent(now: datetime, **fields: object) -> Payment:
    """pending: the call is under way."""
    payment = planned(now, **fields)
    started = sending._start(operation_of(payment).pk, now)
    assert started is not None
    return fresh(payment)


def unknown(now: datetime, **fields: object) -> Payment:
    """pending: no answer came."""
    payment = sent(now, **fields)
    fact = Fact(
        FactKind.UNKNOWN,
        Source.ANSWER,
        now + timedelta(seconds=30),
        message="no whole answer after sending: ReadTimeout",
    )
    tell(payment, fact, now + timedelta(seconds=30))
    return fresh(payment)


def looked_up(now: datetime, **fields: object) -> Payment:
    """pending and unknown, with three answered look-ups without a trace and one that got no answer."""
    payment = unknown(now, **fields)
    operation = operation_of(payment)
    results = [LookUp.Result.ABSENT, LookUp.Result.UNANSWERED, LookUp.Result.ABSENT, LookUp.Result.ABSENT]
    for number, result in enumerate(results):
        LookUp.objects.create(
            operation=operation, asked_at=now + timedelta(seconds=60 * (number + 1)), method="by our reference",
            result=result, evidence={"transactions": 0} if result == "absent" else {"error": "ConnectTimeout"},
        )  # fmt: skip
    Operation.objects.filter(pk=operation.pk).update(
        look_ups_answered=3, look_ups_unanswered=1, next_check_at=now + timedelta(minutes=8)
    )
    return fresh(payment)


def authorised(now: datetime, **fields: object) -> Payment:
    """authorised: 125.00 held for seven days."""
    payment = sent(now, capture="manual", **fields)
    tell(payment, money(FactKind.AUTHORISATION, now, hold_until=now + timedelta(days=7)), now)
    return fresh(payment)


def cancel_asked(now: datetime, **fields: object) -> Payment:
    """authorised, and on its way to cancelled."""
    payment = authorised(now, **fields)
    return fresh(cancel_payment(payment.public_id, actor=SYSTEM, now=now))


def capture_open(now: datetime, **fields: object) -> Payment:
    """authorised, a capture planned."""
    payment = authorised(now, **fields)
    return fresh(capture_payment(payment.public_id, amount_minor=None, final=True, actor=SYSTEM, now=now))


def captured(now: datetime, **fields: object) -> Payment:
    """captured by a sale."""
    payment = sent(now, **fields)
    tell(payment, money(FactKind.CAPTURE, now), now)
    return fresh(payment)


def partially_paid(now: datetime, **fields: object) -> Payment:
    """partially_paid: the gateway took 100.00 of it, and nothing collects the rest."""
    payment = sent(now, accept_partial=True, **fields)
    tell(payment, money(FactKind.CAPTURE, now, minor=10_000), now)
    execution._next_step(payment.pk, now)
    return fresh(payment)


def rest_planned(now: datetime, **fields: object) -> Payment:
    """partially_paid: refused for want of funds, then half of it taken; the rest is planned."""
    payment = sent(now, accept_partial=True, expires_in_seconds=20 * 86_400, **fields)
    tell(payment, refusal(now, FailureClass.INSUFFICIENT_FUNDS, "202", "Insufficient funds"), now)
    execution._next_step(payment.pk, now)
    started = sending._start(payment.operations.latest("id").pk, now)
    assert started is not None
    tell(fresh(payment), money(FactKind.CAPTURE, now, minor=6250), now)
    execution._next_step(payment.pk, now)
    return fresh(payment)


def rest_asked(now: datetime, **fields: object) -> Payment:
    """partially_paid: the rest is being asked for."""
    payment = partially_paid(now, **fields)
    retry_now(payment.public_id, actor=operator("retry_payment"), now=now)
    return fresh(payment)


def part_owed(now: datetime, **fields: object) -> Payment:
    """cancelled with a part paid: its refund is prepared, and a person is asked."""
    payment = partially_paid(now, **fields)
    cancel_payment(payment.public_id, actor=SYSTEM, now=now)
    execution._next_step(payment.pk, now)
    return fresh(payment)


def noisy(now: datetime, **fields: object) -> Payment:
    """captured, and told again and again by webhooks."""
    payment = captured(now, **fields)
    for second in range(5):
        at = now + timedelta(seconds=second)
        told(payment, replace(money(FactKind.CAPTURE, now), source=Source.WEBHOOK), at)
    return fresh(payment)


def settled(now: datetime, **fields: object) -> Payment:
    """settled in a batch."""
    payment = captured(now, **fields)
    fact = Fact(FactKind.SETTLED, Source.WEBHOOK, now, gateway_id=gateway_id(payment), batch_id="B-204")
    told(payment, fact, now)
    return fresh(payment)


def refund_waits(now: datetime, **fields: object) -> Payment:
    """captured, a part on its way back that waits for the next batch."""
    payment = captured(now, **fields)
    refund = request_refund(payment.public_id, amount_minor=2500, reason="one item returned", actor=SYSTEM, now=now)
    refund.mark_waiting()
    refund.waits_for, refund.next_check_at = "settlement", now + timedelta(hours=1)
    refund.waits_because = "a part can be given back only after the gateway's next settlement batch"
    refund.waits_until = now + timedelta(days=2)
    refund.save()
    return fresh(payment)


def part_refunded(now: datetime, **fields: object) -> Payment:
    """settled, and a part given back at the gateway by somebody else."""
    payment = settled(now, **fields)
    fact = money(FactKind.REFUND, now, minor=2500)
    told(
        payment,
        replace(fact, gateway_id="9100001", original_gateway_id=gateway_id(payment), source=Source.LOOK_UP),
        now,
    )
    return fresh(payment)


def refunded(now: datetime, **fields: object) -> Payment:
    """refunded by a void at the gateway's own desk."""
    payment = captured(now, **fields)
    told(payment, replace(money(FactKind.VOID, now), source=Source.LOOK_UP), now)
    return fresh(payment)


def declined(
    now: datetime,
    *,
    failure_class: FailureClass = FailureClass.INSUFFICIENT_FUNDS,
    code: str = "202",
    message: str = "Insufficient funds",
    **fields: object,
) -> Payment:
    """failed: the issuer said no."""
    payment = sent(now, **fields)
    tell(payment, refusal(now, failure_class, code, message), now)
    execution._next_step(payment.pk, now)  # nobody else can be asked, and an hour leaves no room for a later try
    return fresh(payment)


def absent(now: datetime, **fields: object) -> Payment:
    """failed: it provably never reached the gateway."""
    payment = looked_up(now, **fields)
    operation = operation_of(payment)
    operation.look_ups.filter(result="absent").update(counts=True)
    at = now + timedelta(minutes=16)
    fact = Fact(
        FactKind.ABSENT, Source.LOOK_UP, at, certainty=Certainty.NOT_SENT,
        failure_class=FailureClass.GATEWAY_UNAVAILABLE, message="5 answered look-ups show no trace of it",
    )  # fmt: skip
    last = operation.look_ups.order_by("-id").values_list("pk", flat=True).first()
    Payment.objects.filter(pk=payment.pk).update(expires_at=at)  # no time is left for another try
    tell(payment, fact, at, look_up_id=last)
    execution._next_step(payment.pk, at)
    return fresh(payment)


def no_route(now: datetime, **fields: object) -> Payment:
    """failed: nobody could be asked."""
    payment = checked(now, **fields)
    fact = Fact(FactKind.NO_ROUTE, Source.SERVICE, now, message="NMI: switched off.")
    record_fact_about(payment, fact, now)
    return fresh(payment)


def late(now: datetime, **fields: object) -> Payment:
    """captured after it had failed."""
    payment = absent(now, **fields)
    told(payment, replace(money(FactKind.CAPTURE, now), source=Source.WEBHOOK), now + timedelta(hours=1))
    return fresh(payment)


def expired(now: datetime, **fields: object) -> Payment:
    """expired: its window closed."""
    payment = checked(now, **fields)
    record_fact_about(payment, Fact(FactKind.EXPIRY_DUE, Source.CLOCK, now), now)
    return fresh(payment)


def cancelled(now: datetime, **fields: object) -> Payment:
    """cancelled before anything was sent."""
    payment = checked(now, **fields)
    return fresh(cancel_payment(payment.public_id, actor=SYSTEM, now=now))


def captured_after_cancel(now: datetime, **fields: object) -> Payment:
    """cancelled with proof, and then money came: it stands on suspense, a review is open."""
    payment = cancel_asked(now, **fields)
    execution._next_step(payment.pk, now + timedelta(seconds=5))
    sending._start(operation_of(fresh(payment)).pk, now + timedelta(seconds=5))
    tell(fresh(payment), money(FactKind.VOID, now), now + timedelta(seconds=6))
    told(payment, replace(money(FactKind.CAPTURE, now), source=Source.LOOK_UP), now + timedelta(minutes=3))
    return fresh(payment)


def exhausted(now: datetime, **fields: object) -> Payment:
    """pending and unknown: look-ups decide nothing, a person has to."""
    payment = looked_up(now, **fields)
    tell(payment, Fact(FactKind.EXHAUSTED, Source.LOOK_UP, now), now + timedelta(hours=1))
    return fresh(payment)


def duplicate(now: datetime, **fields: object) -> Payment:
    """A second payment of the same payer and amount within minutes."""
    captured(now, reference=f"first-of-{fields.get('reference', 'order-1')}")
    return captured(now + timedelta(minutes=2), **fields)


# --- more than one gateway, retries, and the payer at their bank ------------------------------------------------------

MONTH = 30 * 86_400
BANK = "https://bank.example/confirm/very-secret"


def retry_planned(now: datetime, **fields: object) -> Payment:
    """pending: refused for want of funds, tried again in two days."""
    return declined(now, expires_in_seconds=MONTH, **fields)


def retry_cancelled(now: datetime, **fields: object) -> Payment:
    """failed: a person took the planned retry back."""
    payment = retry_planned(now, **fields)
    retry = payment.retries.get().public_id
    cancel_retry(retry, because="the order changed", actor=operator("retry_payment"), now=now)
    return fresh(payment)


def refused_by_first(now: datetime, **fields: object) -> Payment:
    """pending: NMI said no, and Stripe is asked at once."""
    stripe_account()
    payment = declined(now, failure_class=FailureClass.SOFT_DECLINE, message="Do not honour", code="200", **fields)
    started = sending._start(operation_of(payment).pk, now)
    assert started is not None
    return fresh(payment)


def paid_by_second(now: datetime, **fields: object) -> Payment:
    """captured by the second gateway."""
    payment = refused_by_first(now, **fields)
    tell(payment, replace(money(FactKind.CAPTURE, now), gateway_id=f"ch_{payment.pk}"), now)
    return fresh(payment)


def double_capture(now: datetime, **fields: object) -> Payment:
    """captured by the second, and then by the first as well: a person decides about the second money."""
    payment = paid_by_second(now, **fields)
    first = payment.attempts.get(number=1)
    late = replace(money(FactKind.CAPTURE, now), source=Source.LOOK_UP, gateway_id="8100001", reference=first.reference)
    record_fact(late, account_id=first.gateway_account_id, cause=Cause(), now=now + timedelta(minutes=5))
    return fresh(payment)


def refused_by_both(now: datetime, **fields: object) -> Payment:
    """failed: nobody took it."""
    payment = refused_by_first(now, **fields)
    tell(payment, refusal(now, FailureClass.SOFT_DECLINE, "card_declined", "Your card was declined"), now)
    execution._next_step(payment.pk, now)
    return fresh(payment)


def payers_turn(now: datetime, **fields: object) -> Payment:
    """pending: the payer was sent to their bank by Stripe."""
    stripe_account()
    payment = sent(now, **({"gateway": "stripe"} | fields))
    fact = Fact(
        FactKind.ACTION_REQUIRED, Source.ANSWER, now, handle=f"pi_{payment.pk}", certainty=Certainty.UNKNOWN,
        failure_class=FailureClass.AUTHENTICATION_REQUIRED, action_url=BANK, alive=True,
    )  # fmt: skip
    operation = operation_of(payment)
    record_fact(
        replace(fact, reference=operation.reference), account_id=operation.gateway_account_id,
        cause=Cause(operation_id=operation.pk), now=now,
    )  # fmt: skip
    return fresh(payment)


def being_closed(now: datetime, **fields: object) -> Payment:
    """pending: cancelled while the payer could still confirm it; the gateway is asked to close it."""
    payment = payers_turn(now, **fields)
    cancel_payment(payment.public_id, actor=SYSTEM, now=now)
    execution._next_step(payment.pk, now)
    sending._start(operation_of(fresh(payment)).pk, now)
    return fresh(payment)


def held_back(now: datetime, **fields: object) -> Payment:
    """validated: a person has stopped new charges."""
    payment = checked(now, **fields)
    Switch.objects.get_or_create(
        kind="charges", lifted_at=None, defaults={"because": "bank incident", "thrown_by": "priya", "thrown_at": now}
    )
    execution._next_step(payment.pk, now)
    return fresh(payment)


def stripe_account() -> GatewayAccount:
    """The second that is asked."""
    return ensure_gateway_account("stripe", "stripe", "Stripe", priority=200)


def refusal(now: datetime, failure_class: FailureClass, code: str, message: str) -> Fact:
    return Fact(
        FactKind.DECLINED, Source.ANSWER, now, gateway_id="8100001", certainty=Certainty.REFUSED,
        failure_class=failure_class, code=code, message=message,
    )  # fmt: skip


def in_state(state: str) -> Callable[..., Payment]:
    """States whose services come later: the row stands in them as those services will leave it."""

    def make(now: datetime, **fields: object) -> Payment:
        payment = settled(now, **fields)
        Payment.objects.filter(pk=payment.pk).update(state=state)
        return fresh(payment)

    return make


SCENES: dict[str, Callable[..., Payment]] = {
    scene.__name__: scene
    for scene in (
        stored, checked, planned, sent, unknown, looked_up, authorised, cancel_asked, capture_open, captured, noisy,
        settled, refund_waits, part_refunded, refunded, declined, absent, no_route, late, expired, cancelled,
        captured_after_cancel, exhausted, duplicate, retry_planned, retry_cancelled, refused_by_first, paid_by_second,
        double_capture, refused_by_both, payers_turn, being_closed, held_back, partially_paid, rest_planned, rest_asked,
        part_owed,
    )
} | {state: in_state(state) for state in ("reconciled", "charged_back")}  # fmt: skip


def set_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What routing asks of the environment; nobody listens there."""
    monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "key_of_tests")
    monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", "secret_of_tests")
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", "http://127.0.0.1:9/nmi")
    monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "key_of_tests")
    monkeypatch.setenv("GATEWAY_STRIPE_WEBHOOK_SECRET", "secret_of_tests")
    monkeypatch.setenv("GATEWAY_STRIPE_BASE_URL", "http://127.0.0.1:9/stripe")


# --- parts ------------------------------------------------------------------------------------------------------------


def fresh(payment: Payment) -> Payment:
    return Payment.objects.select_related("payer", "method", "possible_duplicate_of").get(pk=payment.pk)


def operation_of(payment: Payment, kind: OperationKind | None = None) -> Operation:
    """The latest call."""
    calls = Operation.objects.filter(payment=payment, **({"kind": kind} if kind else {}))
    return calls.order_by("-id")[0]


def gateway_id(payment: Payment) -> str:
    attempt = payment.attempts.order_by("-number")[0]
    return attempt.gateway_id or f"70{attempt.pk:05d}"


def money(kind: FactKind, at: datetime, *, minor: int = 12500, hold_until: datetime | None = None) -> Fact:
    return Fact(
        kind, Source.ANSWER, at, money=Money(minor, USD), certainty=Certainty.TAKEN, hold_until=hold_until, code="100",
        message="SUCCESS",
    )  # fmt: skip


def tell(payment: Payment, fact: Fact, at: datetime, look_up_id: int | None = None) -> Recorded:
    """The answer to the payment's latest call."""
    operation = operation_of(payment)
    cause = Cause(operation_id=operation.pk, look_up_id=look_up_id)
    return record_fact(_identified(payment, fact), account_id=operation.gateway_account_id, cause=cause, now=at)


def told(payment: Payment, fact: Fact, at: datetime, *, event_id: int | None = None) -> Recorded:
    """Something the gateway says by itself."""
    cause = Cause(event_id=event_id)
    return record_fact(_identified(payment, fact), account_id=nmi_account().pk, cause=cause, now=at)


def told_by_webhook(payment: Payment, body: bytes, at: datetime) -> InboundEvent:
    """The capture told again, by an event with this body."""
    event = InboundEvent.objects.create(gateway_account=nmi_account(), event_key=f"e-{at}", body=body, received_at=at)
    told(payment, replace(money(FactKind.CAPTURE, at), source=Source.WEBHOOK), at, event_id=event.pk)
    return event


def _identified(payment: Payment, fact: Fact) -> Fact:
    if fact.kind in {FactKind.UNKNOWN, FactKind.ABSENT, FactKind.EXHAUSTED}:
        return fact
    reference = payment.attempts.order_by("-number")[0].reference
    return replace(fact, gateway_id=fact.gateway_id or gateway_id(payment), reference=reference)


def record_fact_about(payment: Payment, fact: Fact, now: datetime) -> None:
    """One of our own steps, which services judge under the payment's lock."""
    from django.db import transaction

    from payments.services.case import lock_payment
    from payments.services.recording import apply_fact
    from payments.services.snapshots import snapshot_of

    with transaction.atomic():
        case = lock_payment(payment.pk)
        apply_fact(case, snapshot_of(case, fact), fact, Cause(), now)
