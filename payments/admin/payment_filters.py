"""By what can the list of payments be narrowed? Each filter rides on an index; none offers values read from the big table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from payments.models import Attempt, GatewayAccount, Payment, Review
from payments.states import OPEN_OR_PAID_STATES, PAID_STATES, ReviewState, Waits

_UNFINISHED = sorted(OPEN_OR_PAID_STATES - PAID_STATES)
_HELD_UP = [Waits.PAYER.value, Waits.RETRY.value, Waits.SWITCH.value]
_OVERDUE_AFTER = timedelta(minutes=2)  # the sweep comes round every minute; twice that is late
_AGES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "3d": timedelta(days=3)}


class GatewayFilter(admin.SimpleListFilter):
    """Payments that were tried at a gateway account."""

    title = "gateway"
    parameter_name = "gateway"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(GatewayAccount.objects.values_list("slug", "name"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Payment]) -> QuerySet[Payment]:
        if not self.value():
            return queryset
        account = GatewayAccount.objects.filter(slug=self.value()).values_list("pk", flat=True).first()
        tried = Attempt.objects.filter(payment=OuterRef("pk"), gateway_account_id=account)
        return queryset.filter(Exists(tried))


class AttentionFilter(admin.SimpleListFilter):
    """What somebody should look at."""

    title = "attention"
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("person", "Needs a person (open review)"),
            ("duplicate", "Possible duplicate"),
            ("late", "Late success"),
            ("overdue", "Its next step is overdue"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Payment]) -> QuerySet[Payment]:
        match self.value():
            case "person":
                return queryset.filter(pk__in=Review.objects.filter(state=ReviewState.OPEN).values("payment"))
            case "duplicate":
                return queryset.filter(possible_duplicate_of__isnull=False)
            case "late":
                return queryset.filter(late_success=True)
            case "overdue":
                return queryset.filter(next_check_at__lt=timezone.now() - _OVERDUE_AFTER)
            case _:
                return queryset


class WaitsFilter(admin.SimpleListFilter):
    """Payments that are held up by somebody else than us; an index of their own serves these three."""

    title = "waits for"
    parameter_name = "waits"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(Waits.PAYER, "Its payer"), (Waits.RETRY, "Its next try"), (Waits.SWITCH, "Sending to resume")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Payment]) -> QuerySet[Payment]:
        if self.value() not in _HELD_UP:
            return queryset
        return queryset.filter(waits_for__in=_HELD_UP, waits_for=self.value())


class AgeFilter(admin.SimpleListFilter):
    """Payments that should have ended by now. Only unfinished ones: an age over the whole table would walk it."""

    title = "unfinished for"
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1h", "More than an hour"), ("1d", "More than a day"), ("3d", "More than three days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Payment]) -> QuerySet[Payment]:
        age = _AGES.get(self.value() or "")
        if age is None:
            return queryset
        return queryset.filter(state__in=_UNFINISHED, created_at__lt=timezone.now() - age)
