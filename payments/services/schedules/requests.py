"""What may be asked of a recurring charge? The values people hand in, and what is wrong with them; writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ledger.money import Money, UnknownCurrency, minor_digits
from payments.card_numbers import has_card_number
from payments.errors import CardNumberRefused, InvalidInput
from payments.models import PaymentMethod, Schedule
from payments.services.schedules.rows import business_day, why_not_recurring

LONGEST = {"name": 100, "reference": 80, "mandate": 200}
_MOST_STEPS = 400


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """A recurring charge as it shall be; amount in minor units, dates as business days."""

    name: str
    reference: str
    payment_method: str
    amount_minor: int
    currency: str
    interval: str
    anchor: date
    mandate: str
    every: int = 1
    ends_on: date | None = None

    @property
    def money(self) -> Money:
        """What each date charges."""
        return Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Changes:
    """What may be changed of a running schedule; None leaves it. `endless` takes the end away."""

    name: str | None = None
    amount_minor: int | None = None
    ends_on: date | None = None
    endless: bool = False
    payment_method: str | None = None
    mandate: str | None = None


def check_request(request: ScheduleRequest, now: datetime) -> PaymentMethod:
    """The method it would charge. Raises: InvalidInput naming the field, CardNumberRefused."""
    for name in LONGEST:
        check_text(name, getattr(request, name))
    check_money(request.amount_minor, request.currency)
    if request.interval not in Schedule.Interval.values:
        raise InvalidInput(f"It can be due every {', '.join(Schedule.Interval.values)}.", field="interval")
    if not 1 <= request.every <= _MOST_STEPS:
        raise InvalidInput(f"It is due every 1 to {_MOST_STEPS} intervals.", field="every")
    if request.anchor < business_day(now):
        raise InvalidInput("The first charge can not lie in the past.", field="anchor")
    check_end(request.ends_on, not_before=request.anchor)
    return recurring_method(request.payment_method)


def check_text(name: str, text: str) -> None:
    """Raises: InvalidInput, CardNumberRefused."""
    if not text.strip():
        raise InvalidInput(f"A recurring charge needs a {name}.", field=name)
    if len(text.strip()) > LONGEST[name]:
        raise InvalidInput(f"The {name} has at most {LONGEST[name]} characters.", field=name)
    if has_card_number(text):
        raise CardNumberRefused(f"The {name} looks like it holds a card number. Nothing was stored.", field=name)


def check_money(amount_minor: int, currency: str) -> None:
    """Raises: InvalidInput."""
    if amount_minor <= 0:
        raise InvalidInput("The amount must be more than zero.", field="amount_minor")
    try:
        minor_digits(currency)
    except UnknownCurrency as error:
        raise InvalidInput(str(error), field="currency") from error


def check_end(ends_on: date | None, *, not_before: date) -> None:
    """Raises: InvalidInput."""
    if ends_on is not None and ends_on < not_before:
        raise InvalidInput(f"It can not end before {not_before:%d %b %Y}.", field="ends_on")


def recurring_method(public_id: str) -> PaymentMethod:
    """The method of this id. Raises: InvalidInput if there is none, or if it can not be charged without its payer."""
    method = PaymentMethod.objects.filter(public_id=public_id.strip()).first()
    if method is None:
        raise InvalidInput(f"There is no payment method {public_id}.", field="payment_method")
    refused = why_not_recurring(method)
    if refused:
        raise InvalidInput(f"This payment method can not be charged again and again. {refused}", field="payment_method")
    return method
