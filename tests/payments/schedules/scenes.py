"""Recurring charges for tests: made by the service on a method that paid once, and days that pass."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count

from payments.models import Credential, Limit, PaymentMethod, Schedule
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.intake import MethodRequest, PaymentRequest, create_payment
from payments.services.schedules.making import make_schedule
from payments.services.schedules.requests import ScheduleRequest
from payments.services.schedules.rows import business_day
from payments.services.sweep import sweep
from tests.payments.factories import Clock, something_is_due

_numbers = count(1)


def stored_method(token: str = "nmi_tok_ok", *, slug: str = "nmi", **fields: object) -> PaymentMethod:
    """A method with a stored credential at one account, as if its payer had paid before."""
    method = PaymentMethod.objects.create(kind="card", **fields)
    account = ensure_gateway_account(slug, slug, slug.upper())
    Credential.objects.create(method=method, gateway_account=account, token=token, reusable=True)
    return method


def wish(clock: Clock, method: PaymentMethod | None = None, **fields: object) -> ScheduleRequest:
    """Ten dollars a month from today on."""
    number = next(_numbers)
    asked: dict[str, object] = {
        "name": f"Member {number}",
        "reference": f"member-{number}",
        "payment_method": (method or stored_method()).public_id,
        "amount_minor": 1000,
        "currency": "USD",
        "interval": "month",
        "anchor": business_day(clock()),
        "mandate": "Signed on paper on 3 May",
    }
    return ScheduleRequest(**(asked | fields))  # type: ignore[arg-type]


def schedule(clock: Clock, method: PaymentMethod | None = None, **fields: object) -> Schedule:
    """One that runs."""
    made = make_schedule(wish(clock, method, **fields), actor=SYSTEM, now=clock()).schedule
    assert made is not None
    return made


def days_pass(clock: Clock, days: int = 1, *, each_day: bool = True) -> None:
    """The sweep works each day, or only once all of them are over; three times, as charges take some steps."""
    for _ in range(days if each_day else 1):
        clock.offset += timedelta(days=1 if each_day else days)
        work(clock)


def work(clock: Clock, rounds: int = 3) -> None:
    """Sweeps, a minute apart; after the first only while something is due."""
    for number in range(rounds):
        if number == 0 or something_is_due(clock()):
            assert sweep(clock).failed == {}
        clock.offset += timedelta(minutes=1)


def told(row: Schedule) -> list[tuple[date, str, str]]:
    """Each decided date, oldest first: the state of its payment, or why it was skipped."""
    found = row.due_dates.order_by("due_on").select_related("payment")
    return [(d.due_on, d.payment.state if d.payment else "", d.skipped_because) for d in found]


def fresh(row: Schedule) -> Schedule:
    return Schedule.objects.select_related("method").get(pk=row.pk)


def allow_alone(action: str = "edit_schedule", *, role: str = "operator", minor: int = 10_000_000) -> None:
    """The role may promise up to this sum without a second person."""
    Limit.objects.create(action=action, currency="USD", role=role, per_item_minor=minor, per_day_minor=minor)


def first_payment(clock: Clock, credential: str, *, slug: str = "nmi", **fields: object) -> PaymentMethod:
    """The payer pays once, with a token that works once; the method it was kept under."""
    number = next(_numbers)
    ensure_gateway_account(slug, slug, slug.upper())
    wanted = PaymentRequest(
        amount_minor=500,
        currency="USD",
        reference=f"first-{number}",
        method=MethodRequest("card", credentials={slug: credential}),
        **fields,  # type: ignore[arg-type]
    )
    payment = create_payment(wanted, actor=SYSTEM, now=clock())
    work(clock)
    return PaymentMethod.objects.get(pk=payment.method_id)
