"""How often do issuers refuse and payers dispute at each account, month by month? Counted by the sweep, alarmed by incident."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q

from payments.models import Dispute, GatewayAccount, GatewayMonth, Incident, Movement, Operation
from payments.queries.ratios import MONTHS_SHOWN, above
from payments.services.calls import Clock
from payments.services.incidents import close_incident, open_incident
from payments.states import COLLECTING, DisputeState, FailureClass, MovementKind, OperationState

_EVERY = timedelta(minutes=5)
_LATE = timedelta(days=3)  # outcomes of a month's last hours are still looked up after its end
# Refusals that no issuer spoke: ours, or the gateway's own.
_NOT_OF_ISSUERS = (
    FailureClass.CONFIGURATION_ERROR, FailureClass.INVALID_REQUEST, FailureClass.DUPLICATE,
    FailureClass.GATEWAY_ERROR, FailureClass.GATEWAY_UNAVAILABLE,
)  # fmt: skip
_NEVER_CHARGED = (DisputeState.INQUIRY, DisputeState.CLOSED)


def count_months(clock: Clock) -> int:
    """This function will count anew what is due: the running month every five minutes, others until they stand still.

    One month an account and run, so that a run stays short. Doubled runs count twice and write the same.
    Returns how many it counted. Writes: months, and incidents where a line is crossed or left.
    """
    now, counted = clock(), 0
    for account in GatewayAccount.objects.order_by("pk"):
        known = {row.month: row for row in account.months.order_by("-month")[:MONTHS_SHOWN]}
        due = next((month for month in _latest_months(now) if _is_due(known.get(month), month, now)), None)
        if due is None:
            continue
        row = _count(account, due, now)
        counted += 1
        if due == month_of(now):
            _alarm(account, row, now)
    return counted


def month_of(now: datetime) -> date:
    """The first day of the month, as the business counts days."""
    return now.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date().replace(day=1)


def _latest_months(now: datetime) -> list[date]:
    """The running month first, then back."""
    months = [month_of(now)]
    while len(months) < MONTHS_SHOWN:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    return months


def _bounds(month: date) -> tuple[datetime, datetime]:
    zone = ZoneInfo(settings.BUSINESS_TIME_ZONE)
    following = (month + timedelta(days=32)).replace(day=1)
    start, end = (datetime(day.year, day.month, 1, tzinfo=zone) for day in (month, following))
    return start, end


def _is_due(row: GatewayMonth | None, month: date, now: datetime) -> bool:
    if row is None:
        return True
    still_moves = row.counted_at < _bounds(month)[1] + _LATE
    return still_moves and row.counted_at <= now - (_EVERY if month == month_of(now) else timedelta(hours=6))


def _count(account: GatewayAccount, month: date, now: datetime) -> GatewayMonth:
    start, end = _bounds(month)
    calls = Operation.objects.filter(gateway_account=account, sent_at__gte=start, sent_at__lt=end)
    calls = calls.filter(kind__in=[kind.value for kind in COLLECTING])
    refused = Q(state=OperationState.DECLINED) & ~Q(failure_class__in=[one.value for one in _NOT_OF_ISSUERS])
    told = calls.aggregate(taken=Count("pk", filter=Q(state=OperationState.SUCCEEDED)), no=Count("pk", filter=refused))
    captures = Movement.objects.filter(gateway_account=account, occurred_at__gte=start, occurred_at__lt=end)
    disputes = Dispute.objects.filter(gateway_account=account, opened_at__gte=start, opened_at__lt=end)
    row, _ = GatewayMonth.objects.update_or_create(
        gateway_account=account,
        month=month,
        defaults={
            "answered": told["taken"] + told["no"],
            "declined": told["no"],
            "captured": captures.filter(kind=MovementKind.CAPTURE, revision=0, occurrence=0).count(),
            "disputed": disputes.exclude(state__in=[state.value for state in _NEVER_CHARGED]).count(),
            "counted_at": now,
        },
    )
    return row


def _alarm(account: GatewayAccount, row: GatewayMonth, now: datetime) -> None:
    """Open an incident above a line, close it below. Counted once: an alarm that lasts is not a new one every time."""
    lines = (
        (Incident.Kind.DECLINE_RATIO, row.declined, row.answered, account.decline_alarm_percent, "answers declined"),
        (Incident.Kind.DISPUTE_RATIO, row.disputed, row.captured, account.dispute_alarm_percent, "captures disputed"),
    )
    for kind, part, whole, line, words in lines:
        with transaction.atomic():
            if not above(part, whole, line):
                close_incident(account.pk, kind, now)
            elif not account.incidents.filter(kind=kind, closed_at=None).exists():
                detail = f"{part:,} of {whole:,} {words} in {row.month:%B %Y}; the line is at {line} %."
                open_incident(account.pk, kind, now, detail=detail)
