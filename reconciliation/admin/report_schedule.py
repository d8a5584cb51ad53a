"""Which reports make themselves? The list of schedules, the page of one with what it made, and the commands of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage, Conflict
from console.rights import holds_right
from console.values import Chip, KeyValue, Link, Outcome, Preview, Shown, Tone
from ledger.chart import CHART
from ledger.money import MINOR_DIGITS
from payments import errors
from payments.admin.payment_forms import CommandForm
from payments.services.actors import Actor
from reconciliation.admin import report_detail as detail
from reconciliation.models import ReportSchedule
from reconciliation.queries.exports import account_slugs
from reconciliation.reports.base import Format
from reconciliation.reports.registry import REPORTS
from reconciliation.services import report_schedules as schedules

RIGHT = schedules.RIGHT
ON = Chip("on", Tone.GOOD, "schedule", "It makes itself")
OFF = Chip("off", Tone.QUIET, "pause_circle", "Nothing is made until it is switched on")
_EVERY = {
    "day": "every day, of the day before",
    "week": "on Mondays, of the week before",
    "month": "on the first, of the month before",
}
_MADE_COLUMNS = ("For", "State", "Report", "Rows", "Sent")


class ScheduleForm(CommandForm):
    """What, how often, when and to whom. Parameters that a report does not take are refused."""

    report = forms.ChoiceField(choices=[(report.name, report.title) for report in REPORTS.values()])
    kind = forms.ChoiceField(label="Format", choices=[(kind.value, detail.format_words(kind.value)) for kind in Format])
    every = forms.ChoiceField(choices=list(_EVERY.items()))
    hour = forms.IntegerField(min_value=0, max_value=23, initial=7, help_text=f"In {settings.BUSINESS_TIME_ZONE}.")
    recipients = forms.CharField(
        max_length=2000, widget=forms.Textarea(attrs={"rows": 2}), help_text="E-mail addresses, one a line."
    )
    account = forms.ChoiceField(required=False)
    code = forms.ChoiceField(
        label="Ledger account", required=False,
        choices=[("", "Every account"), *((code, f"{code} {CHART[code].name}") for code in sorted(CHART))],
    )  # fmt: skip
    currency = forms.ChoiceField(
        required=False, choices=[("", "Every currency"), *((code, code) for code in sorted(MINOR_DIGITS))]
    )
    claim = forms.BooleanField(required=False, label="Only fees to claim")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["account"] = forms.ChoiceField(
            required=False, choices=[("", "Every account"), *((slug, slug) for slug in account_slugs())]
        )


class VersionForm(CommandForm):
    """The version the page was drawn from."""

    version = forms.IntegerField(widget=forms.HiddenInput, initial=0)


def _wanted(call: CommandCall) -> schedules.Wanted:
    answers = call.answers
    parameters = {
        name: "yes" if answers[name] is True else answers[name]
        for name in ("account", "code", "currency", "claim")
        if answers[name]
    }
    readers = answers["recipients"].replace(",", "\n").split()
    return schedules.Wanted(answers["report"], answers["kind"], parameters, answers["every"], answers["hour"], readers)


def _preview_add(call: CommandCall) -> Preview:
    wanted = _wanted(call)
    first = schedules.preview_schedule(wanted, actor=Actor.for_user(call.actor), now=call.now)
    return Preview(
        f"{REPORTS[wanted.report].title} is made {_EVERY[wanted.every]}, and sent to {', '.join(wanted.recipients)}.",
        [
            KeyValue("First time", first),
            KeyValue("Only", ", ".join(f"{name} {value}" for name, value in wanted.parameters.items()) or "everything"),
        ],
        warnings=["Figures leave the house by e-mail: make sure that every address is meant."],
    )


def _add(call: CommandCall) -> Outcome:
    made = schedules.add_schedule(
        _wanted(call), actor=Actor.for_user(call.actor), now=call.now, request_id=call.request_id
    )
    return Outcome("Set up.", _address(made))


def _switch(call: CommandCall, *, enabled: bool) -> Outcome:
    changed = schedules.switch_schedule(
        call.subject.pk,
        enabled=enabled,
        version=call.answers["version"],
        actor=Actor.for_user(call.actor),
        now=call.now,
    )
    return Outcome("It is on again." if enabled else "It is off.", _address(changed))


def _address(schedule: ReportSchedule) -> str:
    return reverse("admin:reconciliation_reportschedule_change", args=(schedule.pk,))


def _facts(schedule: ReportSchedule | None) -> list[KeyValue]:
    if schedule is None:
        return []
    return [
        KeyValue("State", ON if schedule.enabled else OFF),
        KeyValue("Report", f"{REPORTS[schedule.report].title}, {detail.format_words(schedule.format)}"),
        KeyValue("Made", _EVERY[schedule.every], f"At {schedule.hour}:00 in {settings.BUSINESS_TIME_ZONE}."),
        KeyValue("Only", ", ".join(f"{name} {value}" for name, value in schedule.parameters.items()) or "everything"),
        KeyValue("Sent to", ", ".join(schedule.recipients)),
        KeyValue("Next time", schedule.next_check_at if schedule.enabled else None),
        KeyValue("Last for", f"{schedule.last_for}" if schedule.last_for else None),
        KeyValue("Set up by", schedule.made_by),
    ]


def _page(name: str, title: str, intro: str, button: str, **more: Any) -> CommandPage:
    shared: dict[str, Any] = {
        "refusals": (errors.PaymentsError,),
        "conflicts": (errors.Conflict,),
        "describe_conflict": lambda error: Conflict("Somebody", str(error)),
        "facts": _facts,
    }
    return CommandPage(name=name, title=title, intro=intro, button=button, **{**shared, **more})


ADD = _page(
    "add", "New schedule", "A report that makes itself and is sent by e-mail. Each gets its own period.", "Set it up",
    form=ScheduleForm, preview=_preview_add, execute=_add,
    return_to=lambda subject: reverse("admin:reconciliation_reportschedule_changelist"),
)  # fmt: skip
PAUSE = _page(
    "pause", "Switch it off", "Nothing is made or sent until somebody switches it on.", "Switch it off",
    form=VersionForm, preview=lambda call: Preview("No further report is made by it."),
    execute=lambda call: _switch(call, enabled=False), return_to=_address,
    initial=lambda schedule: {"version": schedule.version},
)  # fmt: skip
RESUME = _page(
    "resume", "Switch it on", "It goes on at its next hour. What fell due meanwhile is not made up for.", "Switch it on",
    form=VersionForm, preview=lambda call: Preview("The next report is made at its next hour."),
    execute=lambda call: _switch(call, enabled=True), return_to=_address,
    initial=lambda schedule: {"version": schedule.version},
)  # fmt: skip


@admin.register(ReportSchedule)
class ReportScheduleAdmin(LockedAdmin):
    """Schedules, the newest first."""

    list_display = ("report_shown", "state", "every_shown", "readers", "last", "following")
    list_display_links = ("report_shown",)
    list_title = "Report schedules"
    list_intro = "Reports that make themselves and are sent by e-mail, each day's once. Large ones are sent as a link."
    empty_title = "No schedule yet"
    empty_advice = "Set one up for a report that somebody asks for every day, week or month."
    detail_template = "admin/reconciliation/reportschedule/detail.html"

    def commands(self) -> Sequence[Command]:
        return (
            Command("add", RIGHT, page=ADD, on_list=True),
            Command("pause", RIGHT, page=PAUSE),
            Command("resume", RIGHT, page=RESUME),
        )

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return (("New schedule", self.command_url("add")),) if holds_right(request.user, RIGHT) else ()

    @admin.display(description="Report")
    def report_shown(self, schedule: ReportSchedule) -> str:
        return f"{REPORTS[schedule.report].title}, {detail.format_words(schedule.format)}"

    @admin.display(description="State")
    def state(self, schedule: ReportSchedule) -> SafeString:
        return display.chip(ON if schedule.enabled else OFF)

    @admin.display(description="Made")
    def every_shown(self, schedule: ReportSchedule) -> str:
        return f"{_EVERY[schedule.every]}, at {schedule.hour}:00"

    @admin.display(description="Sent to")
    def readers(self, schedule: ReportSchedule) -> str:
        return ", ".join(schedule.recipients)

    @admin.display(description="Last for")
    def last(self, schedule: ReportSchedule) -> str:
        return f"{schedule.last_for}" if schedule.last_for else display.DASH

    @admin.display(description="Next time")
    def following(self, schedule: Any) -> SafeString:
        return display.when(schedule.next_check_at if schedule.enabled else None, schedule.listed_at)

    # -- one schedule --------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        name, label = ("pause", "Switch it off") if obj.enabled else ("resume", "Switch it on")
        may = holds_right(request.user, RIGHT)
        return {
            "title": self.report_shown(obj),
            "intro": _EVERY[obj.every],
            "facts": _facts(obj),
            "steps": [(label, self.command_url(name, obj))] if may else [],
            "columns": _MADE_COLUMNS,
            "rows": [_made(job) for job in obj.jobs.order_by("-id")[:50]],
        }


def _made(job: Any) -> list[Shown]:
    address = reverse("admin:reconciliation_reportjob_change", args=(job.public_id,))
    unsent = job.mail_failed_because and Chip("did not leave", Tone.BAD, "error", job.mail_failed_because)
    return [
        f"{job.for_day}", detail.chip_of(job), Link(job.public_id, address, code=True), f"{job.rows_done:,}",
        job.mailed_at or unsent or None,
    ]  # fmt: skip
