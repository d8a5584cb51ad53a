"""Which alarms ring, what do they say, and did anybody hear? A window: thresholds are terms, and alarms end by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from console import display
from console.admin import LockedAdmin
from console.values import KeyValue
from reconciliation.models import Alert
from reconciliation.queries import alarms as pages


class StateFilter(admin.SimpleListFilter):
    """Those that ring unless something else is asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unsent", "not sent"), ("over", "over"), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "ringing"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        match self.value():
            case "all":
                return queryset
            case "over":
                return queryset.filter(ended_at__isnull=False)
            case "unsent":
                return queryset.filter(next_check_at__isnull=False).exclude(failed_because="")
            case _:
                return queryset.filter(ended_at=None)


@admin.register(Alert)
class AlertAdmin(LockedAdmin):
    """Alarms, the newest first."""

    list_display = ("state_shown", "detail", "account_shown", "raised", "told")
    list_display_links = ("detail",)
    list_filter = (StateFilter, "account")
    list_title = "Alarms"
    list_intro = (
        "What has passed a threshold of an account's terms. Each is told by e-mail once, and again when it has grown by as "
        "much once more; it ends by itself when it falls below."
    )
    empty_title = "No alarm rings"
    empty_advice = (
        "Thresholds and whom to tell stand in the terms of each account. What is over stays under the filter “state”."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return Alert.objects.select_related("account")

    @admin.display(description="State")
    def state_shown(self, alert: Alert) -> SafeString:
        return display.chip(pages.alert_chip(alert))

    @admin.display(description="Account")
    def account_shown(self, alert: Alert) -> str:
        return alert.account.name

    @admin.display(description="Since")
    def raised(self, alert: Any) -> SafeString:
        return display.when(alert.raised_at, alert.listed_at)

    @admin.display(description="Told")
    def told(self, alert: Any) -> SafeString:
        return display.when(alert.told_at, alert.listed_at)

    # -- one alarm -----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        facts = [
            KeyValue("State", pages.alert_chip(obj)),
            KeyValue("Account", obj.account.name),
            KeyValue("Rings since", obj.raised_at),
            KeyValue("Over since", obj.ended_at),
            KeyValue("Told", obj.told_at, ", ".join(obj.told_to) or "Nobody is named to be told by e-mail."),
        ]
        if obj.failed_because:
            facts.append(
                KeyValue("E-mail did not leave", obj.next_check_at, f"{obj.failed_because}. Tried again then.")
            )
        return {"title": obj.detail, "facts": facts}
