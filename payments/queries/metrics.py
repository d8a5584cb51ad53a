"""What should a monitor see of payments? Gauges by query, each over an index of waiting rows; never a count of a whole table."""

from __future__ import annotations

from django.db.models.functions import Now

from payments.models import (
    GatewayAccount,
    GatewayHealth,
    InboundEvent,
    Incident,
    Operation,
    Payment,
    Refund,
    Review,
    Switch,
)
from payments.states import BreakerState, EventState, OperationState, ReviewState

Sample = tuple[str, str, dict[str, str], int]


def waiting_rows() -> list[Sample]:
    """Rows that are due now, by table; what grows here is not being worked on."""
    tables = {"payment": Payment, "operation": Operation, "refund": Refund, "event": InboundEvent}
    return [
        (
            "counterfoil_due_rows",
            "Rows whose next check is past.",
            {"table": name},
            model._default_manager.filter(next_check_at__lte=Now()).count(),  # noqa: SLF001 - four models, one loop
        )
        for name, model in tables.items()
    ]


def open_questions() -> list[Sample]:
    """Unknown outcomes, open reviews, parked and poisoned events, open incidents."""
    unknown = Operation.objects.filter(state=OperationState.UNKNOWN, next_check_at__isnull=False).count()
    reviews = Review.objects.filter(state=ReviewState.OPEN).count()
    parked = InboundEvent.objects.filter(state__in=[EventState.PARKED, EventState.POISONED]).count()
    incidents = Incident.objects.filter(closed_at=None).count()
    return [
        ("counterfoil_unknown_operations", "Calls whose outcome is being looked up.", {}, unknown),
        ("counterfoil_open_reviews", "Cases that wait for a person.", {}, reviews),
        ("counterfoil_parked_events", "Inbound events that wait, parked or poisoned.", {}, parked),
        ("counterfoil_open_incidents", "Gateways in trouble.", {}, incidents),
    ]


def sending() -> list[Sample]:
    """Which breakers are not closed, which accounts are paused, and whether a person has stopped sending."""
    moved = GatewayHealth.objects.exclude(state=BreakerState.CLOSED).values_list("gateway_account", flat=True)
    thrown = set(Switch.objects.filter(lifted_at=None).values_list("kind", flat=True))
    not_closed = set(moved)
    accounts = list(GatewayAccount.objects.values_list("pk", "slug", "paused_at").order_by("slug"))
    breaker = ("counterfoil_breaker_open", "1 while new payments go elsewhere because calls get no answer.")
    paused = ("counterfoil_gateway_paused", "1 while a person has paused the account.")
    stopped = ("counterfoil_sending_stopped", "1 while a person has stopped it.")
    return [
        *((*breaker, {"account": slug}, int(pk in not_closed)) for pk, slug, _ in accounts),
        *((*paused, {"account": slug}, int(since is not None)) for _, slug, since in accounts),
        *((*stopped, {"kind": kind}, int(kind in thrown)) for kind in Switch.Kind.values),
    ]
