"""What should a monitor see of the comparison? Gauges over open breaks, runs and alarms; never a count of all lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, Max, Min, Q, Sum
from django.db.models.functions import Now

from reconciliation.models import Alert, Break, StatementAccount
from reconciliation.states import OPEN_BREAK_STATES, RunState

Sample = tuple[str, str, dict[str, str], int]
_OPEN = [state.value for state in OPEN_BREAK_STATES]


def open_breaks() -> list[Sample]:
    """Number by account and type, money at risk by account and currency, age of the oldest by account."""
    rows = Break.objects.filter(state__in=_OPEN).order_by()
    by_kind = rows.values("account__slug", "kind").annotate(number=Count("pk"))
    by_currency = rows.exclude(currency="").values("account__slug", "currency").annotate(minor=Sum("value_minor"))
    age = ExpressionWrapper(Now() - Min("opened_at"), output_field=DurationField())
    return [
        *(
            _sample("open_breaks", "Differences nobody has explained yet.", row, row["number"], type=row["kind"])
            for row in by_kind
        ),
        *(
            _sample("value_at_risk_minor_units", "Money in open breaks.", row, row["minor"], currency=row["currency"])
            for row in by_currency
        ),
        *(
            _sample("oldest_break_seconds", "Age of the oldest open break.", row, int(row["age"].total_seconds()))
            for row in rows.values("account__slug").annotate(age=age)
        ),
    ]


def runs() -> list[Sample]:
    """When each account was last compared, and how many of its days wait. An account never compared has no age."""
    done = Max("runs__finished_at", filter=Q(runs__state=RunState.DONE.value))
    waiting = Count("runs", filter=~Q(runs__state=RunState.DONE.value))
    age = ExpressionWrapper(Now() - done, output_field=DurationField())
    rows = StatementAccount.objects.annotate(age=age, waiting=waiting).values("slug", "age", "waiting").order_by("slug")
    samples = [
        ("counterfoil_runs_waiting", "Days not compared yet.", {"account": row["slug"]}, row["waiting"]) for row in rows
    ]
    return samples + [
        (
            "counterfoil_last_run_seconds",
            "Since the account was last compared.",
            {"account": row["slug"]},
            int(row["age"].total_seconds()),
        )
        for row in rows
        if row["age"] is not None
    ]


def alarms() -> list[Sample]:
    """Which alarms ring, and how many of them nobody could be told of."""
    ringing = Alert.objects.filter(ended_at=None).order_by()
    rows = ringing.values("account__slug", "kind").annotate(number=Count("pk"))
    untold = Alert.objects.filter(next_check_at__isnull=False).exclude(failed_because="").count()
    return [
        *(_sample("alerts_firing", "Alarms that ring.", row, row["number"], kind=row["kind"]) for row in rows),
        ("counterfoil_alerts_not_sent", "Alarms whose e-mail did not leave.", {}, untold),
    ]


def _sample(name: str, text: str, row: Mapping[str, Any], value: int, **labels: str) -> Sample:
    return f"counterfoil_{name}", text, {"account": str(row["account__slug"]), **labels}, value
