"""Rows and clocks for tests of payments: made through the services that make them in life."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count

from django.apps import apps
from django.db import connection

from payments.models import GatewayAccount, Payment
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM, Actor
from payments.services.execution import advance_payment
from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest, create_payment
from payments.services.sweep import Swept, sweep

_numbers = count(1)


@dataclass
class Clock:
    """Time as the test says: starts at the real present (HTTP deadlines are real) and is moved by hand."""

    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def pass_(self, **time: float) -> None:
        self.offset += timedelta(**time)


def until_noon(clock: Clock) -> timedelta:
    """How far it is to the noon of tomorrow: whoever lets minutes and hours pass from there meets no midnight by chance."""
    now = clock()
    return datetime.combine(now.date() + timedelta(days=1), time(12), UTC) - now


def operator(*permissions: str, user_id: int | None = None) -> Actor:
    """Somebody with exactly these rights of the payments app."""
    return Actor("olga", user_id=user_id, permissions=frozenset(f"payments.{name}" for name in permissions))


def nmi_account(**fields: object) -> GatewayAccount:
    """The demo's NMI account; `fields` change clocks and switches."""
    account = ensure_gateway_account("nmi", "nmi", "NMI")
    if fields:
        GatewayAccount.objects.filter(pk=account.pk).update(**fields)
        account.refresh_from_db()
    return account


def new_payment(
    clock: Clock,
    *,
    amount_minor: int = 1000,
    currency: str = "USD",
    reference: str = "",
    token: str = "tok_ok",
    capture: str = "automatic",
    email: str = "",
    **fields: object,
) -> Payment:
    """A stored intent, not yet worked on."""
    request = PaymentRequest(
        amount_minor=amount_minor,
        currency=currency,
        reference=reference or f"order-{next(_numbers)}",
        method=MethodRequest("card", token=token),
        payer=PayerRequest(email=email) if email else None,
        capture=capture,
        **fields,  # type: ignore[arg-type]
    )
    return create_payment(request, actor=SYSTEM, now=clock())


def paid(clock: Clock, **fields: object) -> Payment:
    """A payment taken as far as it goes by itself."""
    payment = new_payment(clock, **fields)  # type: ignore[arg-type]
    advance_payment(payment.pk, clock)
    payment.refresh_from_db()
    return payment


def sweep_until_quiet(clock: Clock, *, rounds: int = 40, step: timedelta = timedelta(minutes=5)) -> Swept:
    """Let the clock run and the sweep work: `rounds` times, `step` apart. Fails on any row that raised.

    A round in which no row is due is only waited for, as most are; the last one always sweeps.
    """
    last = Swept()
    for left in reversed(range(rounds)):
        clock.offset += step
        if left and not something_is_due(clock()):
            continue
        last = sweep(clock)
        assert last.failed == {}
    return last


def something_is_due(now: datetime) -> bool:
    """Has any row's clock run out that a sweep looks at?"""
    with connection.cursor() as cursor:
        cursor.execute(_ANYTHING_DUE, {"now": now})
        found: tuple[bool] = cursor.fetchone()
    return found[0]


_ANYTHING_DUE = "SELECT " + " OR ".join(
    f"EXISTS (SELECT FROM {model._meta.db_table} WHERE next_check_at <= %(now)s)"
    for model in apps.get_app_config("payments").get_models()
    if any(field.name == "next_check_at" for field in model._meta.get_fields())
)
