"""May this card be asked once more? The networks' ceilings over our own declines, and answers that bar a card at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import QuerySet

from ledger.money import Money
from payments.models import NetworkCeiling, Operation, PaymentMethod
from payments.network_rules import BAR, MASTERCARD, VISA, advise, network_of
from payments.queries.decline_page import window_words
from payments.states import COLLECTING, FailureClass, OperationState

_30_DAYS = 30 * 24

# Visa's lists say 15 and 20 reattempts in 30 days: 15 is safe under both. Both networks count per card and merchant.
DEFAULTS: tuple[NetworkCeiling, ...] = (
    NetworkCeiling(network=VISA, declines=15, window_hours=_30_DAYS),
    NetworkCeiling(network=MASTERCARD, declines=10, window_hours=24, calendar_day=True),
    NetworkCeiling(network=MASTERCARD, declines=35, window_hours=_30_DAYS, same_amount=True),
    NetworkCeiling(network="", declines=15, window_hours=_30_DAYS),
)
"""What holds for a network without a row of its own. Unsaved rows."""

# Refused before any network was asked: the gateway's own doing, or ours.
_NOT_THE_NETWORKS = frozenset(
    {
        FailureClass.GATEWAY_UNAVAILABLE,
        FailureClass.GATEWAY_ERROR,
        FailureClass.CONFIGURATION_ERROR,
        FailureClass.INVALID_REQUEST,
        FailureClass.DUPLICATE,
    }
)


@dataclass(frozen=True, slots=True)
class _Decline:
    at: datetime
    money: Money
    network_code: str
    network_advice: str
    gateway_advice: str


def ceiling_reached(method: PaymentMethod, money: Money, now: datetime, *, initiated_by: str = "customer") -> str:
    """Why this card must not be asked for this sum now, as a sentence; empty: it may.

    `initiated_by` merchant: the payer is not there, so consent they have withdrawn bars it too. Counts declines that
    reached the network, by the card's fingerprint. Writes nothing.
    """
    if method.kind != PaymentMethod.Kind.CARD:
        return ""
    if not _declined(method).exists():
        return ""  # almost every card: no rule counts anything
    network = network_of(method.brand)
    ceilings = [ceiling for ceiling in ceilings_of(network) if ceiling.enabled]
    longest = max([BAR, *(timedelta(hours=ceiling.window_hours) for ceiling in ceilings)])
    declines = _declines(method, since=now - longest)
    barred = _barred(method.brand, declines, now, initiated_by)
    if barred:
        return barred
    return next((words for ceiling in ceilings if (words := _over(ceiling, declines, money, now))), "")


def ceilings_of(network: str) -> list[NetworkCeiling]:
    """The rows of a network, or the defaults while it has none. A network nobody knows: those of every other card."""
    name = network if network in (VISA, MASTERCARD) else ""
    rows = list(NetworkCeiling.objects.filter(network__in={network, name}))
    rows = [row for row in rows if row.network == network] or rows
    return rows or [ceiling for ceiling in DEFAULTS if ceiling.network == name]


def _declined(method: PaymentMethod) -> QuerySet[Operation]:
    """By the card's fingerprint; calls sent before a gateway had told it stand under the method alone."""
    names = [f"pm:{method.public_id}", *([method.fingerprint] if method.fingerprint else [])]
    return Operation.objects.filter(fingerprint__in=names, state=OperationState.DECLINED.value)


def _declines(method: PaymentMethod, *, since: datetime) -> list[_Decline]:
    collecting = [kind.value for kind in COLLECTING]
    rows = (
        _declined(method)
        .filter(kind__in=collecting, ended_at__gt=since)
        .exclude(failure_class__in=[name.value for name in _NOT_THE_NETWORKS])
    )
    told = rows.values_list(
        "ended_at", "amount_minor", "currency", "network_code", "network_advice", "gateway_advice"
    ).order_by("-ended_at")
    return [_Decline(at, Money(minor, currency), *rest) for at, minor, currency, *rest in told if at is not None]


def _barred(brand: str, declines: Sequence[_Decline], now: datetime, initiated_by: str) -> str:
    """The newest answer within BAR after which the network forbids any other."""
    for decline in declines:
        if decline.at + BAR <= now:
            break
        told = advise(brand, decline.network_code, decline.network_advice, decline.gateway_advice)
        if told.bars or (told.revokes and initiated_by == "merchant"):
            return (
                f"The card was refused on {decline.at:%d %b %Y} with {told.source}: {told.words}. "
                f"It is not asked again before {decline.at + BAR:%d %b %Y}."
            )
    return ""


def _over(ceiling: NetworkCeiling, declines: Sequence[_Decline], money: Money, now: datetime) -> str:
    start = _day_start(now) if ceiling.calendar_day else now - timedelta(hours=ceiling.window_hours)
    counted = [decline for decline in declines if decline.at >= start]
    if ceiling.same_amount:
        counted = [decline for decline in counted if decline.money == money]
    if len(counted) < ceiling.declines:
        return ""
    network = ceiling.network.capitalize() or "The card's network"
    of_what = f" of {money}" if ceiling.same_amount else ""
    return (
        f"The card was declined {len(counted)} times{of_what} {window_words(ceiling)}. {network} allows no more than "
        f"{ceiling.declines}."
    )


def _day_start(now: datetime) -> datetime:
    zone = ZoneInfo(settings.BUSINESS_TIME_ZONE)
    return datetime.combine(now.astimezone(zone).date(), time.min, zone)
