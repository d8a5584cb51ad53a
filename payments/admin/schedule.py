"""Which charges recur, when is each due next, and what became of its dates? List and page; the commands are beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.rights import holds_right
from console.values import Step
from payments.admin import schedule_commands as commands
from payments.admin.payment_chips import masked_payer
from payments.models import Approval, Schedule
from payments.queries import schedule_page as pages
from payments.queries.review_page import roles_that_may
from payments.services.schedules.rows import RIGHT
from payments.states import ApprovalState, ScheduleState


@admin.register(Schedule)
class ScheduleAdmin(LockedAdmin):
    """Recurring charges, the newest first."""

    list_display = ("what", "each", "due", "next_due", "method_shown", "state_shown")
    list_filter = ("state",)
    exact_search = ("public_id", "reference", "method__public_id")
    search_help_text = "A charge's id, its reference, or the id of its payment method. Compared exactly."
    address_field = "public_id"
    list_title = "Recurring charges"
    list_intro = (
        "Each date becomes one payment, at the start of its day. What the payer's bank revokes stops by itself."
    )
    empty_title = "No recurring charge yet"
    empty_advice = (
        "It needs a payment method with a stored credential: the payer pays once, then it can be charged again."
    )
    detail_template = "admin/payments/schedule/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        return Schedule.objects.select_related("method__payer")

    def commands(self) -> Sequence[Command]:
        return (
            Command("make", RIGHT, page=commands.MAKE, on_list=True),
            Command("edit", RIGHT, page=commands.EDIT),
            Command("pause", RIGHT, page=commands.PAUSE),
            Command("resume", RIGHT, page=commands.RESUME),
            Command("stop", RIGHT, page=commands.STOP),
            Command("charge_overdue", RIGHT, page=commands.CHARGE_OVERDUE),
        )

    # -- the list ------------------------------------------------------------------------------------------------------
    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return (("Set up a recurring charge", self.command_url("make")),) if holds_right(request.user, RIGHT) else ()

    @admin.display(description="Charge")
    def what(self, schedule: Schedule) -> SafeString:
        return format_html(
            '<span class="cf-ref">{}</span><span class="cf-ref__id cf-code">{}</span>',
            schedule.name,
            schedule.reference,
        )

    @admin.display(description="Each")
    def each(self, schedule: Schedule) -> SafeString:
        return display.money(schedule.amount_minor, schedule.currency)

    @admin.display(description="Due")
    def due(self, schedule: Schedule) -> str:
        return pages.interval_words(schedule)

    @admin.display(description="Next")
    def next_due(self, schedule: Schedule) -> str:
        active = schedule.state == ScheduleState.ACTIVE
        return (pages.day(schedule.next_due_on) if active else None) or display.DASH

    @admin.display(description="Paid with")
    def method_shown(self, schedule: Schedule) -> SafeString:
        payer = masked_payer(schedule.method.payer)
        return format_html('{} <span class="cf-hint">{}</span>', str(schedule.method), payer)

    @admin.display(description="State")
    def state_shown(self, schedule: Schedule) -> SafeString:
        return display.chip(pages.schedule_chip(schedule))

    # -- one charge ----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        skipped = bool(pages.skipped_dates(obj)[:1])
        return {
            "title": obj.name,
            "intro": pages.interval_words(obj).capitalize(),
            "page": pages.schedule_page(obj, payer=masked_payer(obj.method.payer)),
            "waits": list(_waiting(obj)),
            "date_columns": pages.DATE_COLUMNS,
            "change_columns": pages.CHANGE_COLUMNS,
            "upcoming_columns": ("Due", "Amount"),
            "steps_to_take": self._steps(request, obj, skipped=skipped),
        }

    def _steps(self, request: HttpRequest, schedule: Schedule, *, skipped: bool) -> list[Step]:
        could = "" if holds_right(request.user, RIGHT) else f"{roles_that_may('edit_schedule')} could"
        found = []
        if schedule.state == ScheduleState.PAUSED:
            found.append(Step("Resume it", self.command_url("resume", schedule), could, primary=True))
        if schedule.state in (ScheduleState.ACTIVE, ScheduleState.PAUSED):
            found.append(Step("Change it", self.command_url("edit", schedule), could))
        if schedule.state == ScheduleState.ACTIVE:
            found.append(Step("Pause it", self.command_url("pause", schedule), could))
        if schedule.state in (ScheduleState.ACTIVE, ScheduleState.PAUSED):
            found.append(Step("Stop it for good", self.command_url("stop", schedule), could))
        if skipped:
            stopped = "It has stopped for good." if schedule.state == ScheduleState.STOPPED else ""
            found.append(Step("Charge a skipped date", self.command_url("charge_overdue", schedule), could or stopped))
        return found


def _waiting(schedule: Schedule) -> QuerySet[Approval]:
    """Requests about it that a second person has not decided."""
    about = Q(command="edit_schedule", subject=schedule.public_id)
    about |= Q(command="charge_overdue", subject__startswith=f"{schedule.public_id}/")
    return Approval.objects.filter(about, state=ApprovalState.PENDING.value).order_by("id")
