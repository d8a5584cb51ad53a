"""What should a monitor see of payments? Gauges by query, each over an index of waiting rows; never a count of a whole table."""

from __future__ import annotations

from django.db.models import Count, DurationField, ExpressionWrapper, Min, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Now

from payments.models import (
    Attempt,
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


def unfinished_payments() -> list[Sample]:
    """Progress, not traffic: how many are not at their end, for whom they wait, where, how much and since when.

    Reads the rows that are looked at again, which finished payments are not. The gateway is the one tried last.
    """
    tried = Attempt.objects.filter(payment=OuterRef("pk")).order_by("-number")
    waiting = Payment.objects.filter(next_check_at__isnull=False).annotate(
        gateway=Coalesce(Subquery(tried.values("gateway_account__slug")[:1]), Value(""))
    )
    age = ExpressionWrapper(Now() - Min("created_at"), output_field=DurationField())
    rows = waiting.values("state", "waits_for", "gateway", "currency").annotate(
        number=Count("pk"), minor=Sum("amount_minor"), age=age
    )
    samples: list[Sample] = []
    for row in rows.order_by("state", "waits_for", "gateway", "currency"):
        labels = {name: row[name] for name in ("state", "waits_for", "gateway", "currency")}
        samples += [
            ("counterfoil_unfinished_payments", "Payments not at their end.", labels, row["number"]),
            ("counterfoil_unfinished_minor_units", "What they are over, in minor units.", labels, row["minor"]),
            ("counterfoil_unfinished_oldest_seconds", "Age of the oldest.", labels, int(row["age"].total_seconds())),
        ]
    return samples
