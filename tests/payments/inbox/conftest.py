"""What does an inbox test start from? One NMI account, payments that wait for their outcome, a set clock."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from django.core.cache import cache

from ledger.models import JournalEntry, Posting
from payments.models import (
    Attempt,
    GatewayAccount,
    InboundEvent,
    Movement,
    Operation,
    Payment,
    PaymentMethod,
    Transition,
)
from payments.services.inbox import Receipt, drain_inbox, store_event
from payments.states import AttemptState, OperationKind, OperationState, PaymentState
from tests.payments.inbox.deliveries import SECRET, WHEN, Delivery


class SetClock:
    """A clock that stands where the test put it."""

    def __init__(self, now: datetime = WHEN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(autouse=True)
def secrets_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "key_of_tests")
    monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", "http://127.0.0.1:9/nmi")


@pytest.fixture(autouse=True)
def not_nudged(redis: object) -> None:
    """Each test starts with no nudge remembered."""
    cache.clear()


@pytest.fixture
def account(db: None) -> GatewayAccount:
    return GatewayAccount.objects.create(slug="nmi", provider="nmi", name="NMI")


_numbers = itertools.count(1)


def waiting_payment(
    account: GatewayAccount,
    *,
    amount_minor: int = 1234,
    operation_state: OperationState = OperationState.UNKNOWN,
    kind: OperationKind = OperationKind.SALE,
    reference: str = "",
) -> Attempt:
    """A payment whose call went out and whose outcome nobody has heard; nothing is booked yet."""
    number = next(_numbers)
    payment = Payment.objects.create(
        reference=f"order-{number}",
        amount_minor=amount_minor,
        currency="USD",
        method=PaymentMethod.objects.create(kind="card"),
        capture_mode="automatic" if kind == OperationKind.SALE else "manual",
        state=PaymentState.PENDING,
        expires_at=WHEN + timedelta(hours=1),
        created_at=WHEN,
        updated_at=WHEN,
    )
    attempt = Attempt.objects.create(
        payment=payment,
        number=1,
        gateway_account=account,
        reference=reference or f"cf-{number:04d}",
        state=AttemptState.OPEN,
        created_at=WHEN,
    )
    Operation.objects.create(
        payment=payment,
        attempt=attempt,
        gateway_account=account,
        kind=kind,
        reference=attempt.reference,
        amount_minor=amount_minor,
        currency="USD",
        request={},
        state=operation_state,
        planned_at=WHEN,
        sent_at=WHEN,
        done_before=WHEN + timedelta(seconds=30),
    )
    return attempt


def store(delivery: Delivery, *, now: datetime = WHEN, slug: str = "nmi") -> InboundEvent:
    """Through the front door's service; the stored row."""
    before = InboundEvent.objects.count()
    receipt = store_event(slug, delivery.headers, delivery.body, now=now)
    assert receipt == Receipt.STORED, receipt
    assert InboundEvent.objects.count() == before + 1
    return InboundEvent.objects.latest("id")


def drained(clock: SetClock) -> dict[str, int]:
    """Drain; what became of the events by state, counted in the table after it."""
    drain_inbox(clock)
    states: dict[str, int] = {}
    for state in InboundEvent.objects.values_list("state", flat=True):
        states[state] = states.get(state, 0) + 1
    return states


def assert_exactly_once(*, movements: int = 1, entries: int | None = None, applied: int | None = None) -> None:
    """The three books agree: movements, journal entries and transitions that changed something."""
    entries = movements if entries is None else entries
    applied = movements if applied is None else applied
    changing = Transition.objects.exclude(verdict__in=["no_op", "park"])
    found = (Movement.objects.count(), JournalEntry.objects.count(), changing.count())
    assert found == (movements, entries, applied)
    assert sum(Posting.objects.values_list("amount_minor", flat=True)) == 0
    assert set(Movement.objects.values_list("entry_source_key", flat=True)) <= set(
        JournalEntry.objects.values_list("source_key", flat=True)
    )
