"""By what is the queue of breaks narrowed? State, kind, age, owner, urgency: each a filter with its own words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from reconciliation.models import Break
from reconciliation.queries.break_words import BUCKETS, bucket_name, kind_words
from reconciliation.states import OPEN_BREAK_STATES, BreakState, BreakType

_OPEN: Final = [state.value for state in OPEN_BREAK_STATES]


class StateFilter(admin.SimpleListFilter):
    """What waits for a person, unless something else is asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        ended = [(state.value, state.value.replace("_", " ")) for state in BreakState if state not in OPEN_BREAK_STATES]
        return [("investigating", "investigating"), ("snoozed", "snoozed"), *ended, ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "to resolve"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Break]) -> QuerySet[Break]:
        value, now = self.value(), timezone.now()
        if value == "all" or (request.GET.get("q") and not value):
            return queryset
        if value == "snoozed":
            return queryset.filter(state__in=_OPEN, snoozed_until__gt=now)
        if value:
            return queryset.filter(state=value)
        return queryset.filter(state__in=_OPEN).filter(Q(snoozed_until=None) | Q(snoozed_until__lte=now))


class KindFilter(admin.SimpleListFilter):
    """What kind of difference it is, in words."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.value, kind_words(kind.value)) for kind in BreakType]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Break]) -> QuerySet[Break]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class AgeFilter(admin.SimpleListFilter):
    """Since which business day: the ageing buckets."""

    title = "age"
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(low), bucket_name(low, high)) for low, high in BUCKETS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Break]) -> QuerySet[Break]:
        bounds = {str(low): (low, high) for low, high in BUCKETS}.get(self.value() or "")
        if bounds is None:
            return queryset
        today, (low, high) = timezone.now().date(), bounds
        if low:
            queryset = queryset.filter(day__lte=today - timedelta(days=low))
        return queryset.filter(day__gte=today - timedelta(days=high)) if high is not None else queryset


class OwnerFilter(admin.SimpleListFilter):
    """Whose is it?"""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("me", "mine"), ("nobody", "nobody's"), ("others", "other people's")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Break]) -> QuerySet[Break]:
        match self.value():
            case "me":
                return queryset.filter(owner=request.user.pk)
            case "nobody":
                return queryset.filter(owner=None)
            case "others":
                return queryset.exclude(owner=None).exclude(owner=request.user.pk)
        return queryset


class UrgencyFilter(admin.SimpleListFilter):
    """Past its time, or not yet."""

    title = "time to resolve"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("past", "overdue"), ("ahead", "not yet due")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Break]) -> QuerySet[Break]:
        now = timezone.now()
        match self.value():
            case "past":
                return queryset.filter(due_at__lte=now)
            case "ahead":
                return queryset.filter(due_at__gt=now)
        return queryset
