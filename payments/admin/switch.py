"""Is sending stopped? One page with both switches; stopping and resuming are commands with a preview and a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage, Conflict
from console.rights import holds_right
from console.values import KeyValue, Outcome, Preview, Step, Tone
from payments import errors
from payments.admin.payment_forms import CommandForm
from payments.models import Switch
from payments.queries import stops
from payments.queries.review_page import roles_that_may
from payments.services import switches
from payments.services.actors import Actor

_TITLES = {Switch.Kind.CHARGES: "new charges", Switch.Kind.EVERYTHING: "all sending"}


class ReasonForm(CommandForm):
    """Why: everybody at the admin will read it."""

    reason = forms.CharField(max_length=300, help_text="Shown above every page, with your name.")


@admin.register(Switch)
class SwitchAdmin(LockedAdmin):
    """Both switches on top, what was stopped before below."""

    list_display = ("what", "because", "thrown", "since", "lifted", "until", "resumed_because")
    list_title = "Stop sending"
    list_intro = "For a bank's incident, a wave of fraud, or a mistake of ours. Nothing is lost: what is stopped waits."
    empty_title = "Nothing was ever stopped"
    change_list_template = "admin/payments/switch/list.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        states = [(state, self._step(request, state)) for state in stops.switch_states()]
        return super().changelist_view(request, {"states": states, **(extra_context or {})})

    def _step(self, request: HttpRequest, state: stops.SwitchState) -> Step:
        could = "" if holds_right(request.user, switches.RIGHT) else f"{roles_that_may('throw_switch')} could"
        verb = "Resume" if state.thrown else "Stop"
        name = f"{verb.lower()}_{state.kind}"
        return Step(f"{verb} {_TITLES[Switch.Kind(state.kind)]}", self.command_url(name), could)

    @admin.display(description="What")
    def what(self, switch: Switch) -> str:
        return str(switch.get_kind_display()).capitalize()

    @admin.display(description="Stopped by")
    def thrown(self, switch: Switch) -> str:
        return switch.thrown_by

    @admin.display(description="Stopped")
    def since(self, switch: Any) -> SafeString:
        return display.when(switch.thrown_at, switch.listed_at)

    @admin.display(description="Resumed by")
    def lifted(self, switch: Switch) -> Any:
        return switch.lifted_by or display.DASH

    @admin.display(description="Resumed")
    def until(self, switch: Any) -> SafeString:
        return display.when(switch.lifted_at, switch.listed_at)

    @admin.display(description="Resumed because")
    def resumed_because(self, switch: Switch) -> Any:
        return switch.lifted_because or display.DASH

    def commands(self) -> Sequence[Command]:
        kinds = (Switch.Kind.CHARGES, Switch.Kind.EVERYTHING)
        return [
            Command(f"{verb}_{kind.value}", switches.RIGHT, page=page(kind), on_list=True)
            for kind in kinds
            for verb, page in (("stop", _stop_page), ("resume", _resume_page))
        ]


def _home(_: Any = None) -> str:
    return reverse("admin:payments_switch_changelist")


def taken(error: Exception) -> Conflict:
    """Who was first, and what they did."""
    extra = getattr(error, "extra", {})
    return Conflict(str(extra.get("who", "Somebody")), str(extra.get("what", error)).rstrip("."))


def _stop_page(kind: Switch.Kind) -> CommandPage:
    title = _TITLES[kind]

    def preview(call: CommandCall) -> Preview:
        thrown = stops.open_switch(kind)
        if thrown is not None:
            raise errors.NotAllowedNow(f"{thrown.thrown_by} has stopped it already: {thrown.because}")
        warnings = ["Captures, refunds and voids that people ask for wait as well."] if kind == "everything" else []
        facts = [KeyValue("Reason", call.answers["reason"]), KeyValue("Shown as", call.actor.get_username())]
        return Preview(f"This stops {title} at once. {stops.effect_of(kind)}", facts, warnings=warnings)

    def execute(call: CommandCall) -> Outcome:
        actor = Actor.for_user(call.actor)
        switches.throw_switch(kind, reason=call.answers["reason"], actor=actor, now=call.now)
        return Outcome(f"You stopped {title}.", _home(), Tone.WARN)

    return CommandPage(
        f"stop_{kind}", f"Stop {title}", stops.effect_of(kind), f"Stop {title}", ReasonForm, preview, execute,
        refusals=(errors.PaymentsError,), conflicts=(errors.Conflict,), describe_conflict=taken, return_to=_home,
    )  # fmt: skip


def _resume_page(kind: Switch.Kind) -> CommandPage:
    title = _TITLES[kind]

    def preview(call: CommandCall) -> Preview:
        thrown = stops.open_switch(kind)
        if thrown is None:
            raise errors.NotAllowedNow("It is not stopped.")
        facts = [
            KeyValue("Stopped by", thrown.thrown_by),
            KeyValue("Stopped", thrown.thrown_at),
            KeyValue("Because", thrown.because),
            KeyValue("Resumed because", call.answers["reason"]),
        ]
        return Preview(f"This resumes {title}: what waits goes on within a minute.", facts, version=str(thrown.pk))

    def execute(call: CommandCall) -> Outcome:
        actor, reason = Actor.for_user(call.actor), call.answers["reason"]
        switches.lift_switch(kind, reason=reason, actor=actor, now=call.now, seen=int(call.version))
        return Outcome(f"You resumed {title}.", _home())

    return CommandPage(
        f"resume_{kind}", f"Resume {title}", "Say why it is safe again.", f"Resume {title}", ReasonForm, preview,
        execute, refusals=(errors.PaymentsError,), conflicts=(errors.Conflict,), describe_conflict=taken,
        return_to=_home,
    )  # fmt: skip
