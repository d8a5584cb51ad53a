"""What did the gateways tell us, and what became of it? The inbox, one event, and its replay. Shows; the service replays.

A replay needs no version: what the event states and we know already is not done again, because movements are unique by
the gateway's own identity. Pressing twice is a second replay, and it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage
from console.rights import holds_right
from console.values import KeyValue, Link, Outcome, Preview, Shown, Step, Tone
from payments import errors
from payments.models import InboundEvent
from payments.queries import inbox_page as pages
from payments.queries.review_page import roles_that_may
from payments.services import inbox
from payments.services.actors import Actor
from payments.states import EventState

REPLAY = "payments.replay_event"
_REPLAY_COLUMNS = ("Fact", "Gateway's transaction", "Verdict", "Because", "What would change")


@admin.register(InboundEvent)
class InboundEventAdmin(LockedAdmin):
    """Verified deliveries, the newest first."""

    list_display = ("event", "state_shown", "event_type", "gateway", "received", "attempts", "became")
    list_filter = ("state", "gateway_account")
    exact_search = ("public_id", "event_key")
    search_help_text = "Our id of an event, or the gateway's. Compared exactly."
    address_field = "public_id"
    list_title = "Inbox"
    list_intro = "What gateways told us, each event once. Search by our id (evt_…) or by the gateway's own event key."
    empty_title = "No event has come in"
    empty_advice = (
        "Gateways post to /webhooks/<account>/. Their address and secret stand on the page of the gateway account."
    )
    detail_template = "admin/payments/inboundevent/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundEvent]:
        events = InboundEvent.objects.select_related("gateway_account")
        one = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return events if one else events.defer("body", "headers")  # a list of raw bytes would be megabytes

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (pages.find_events(term, queryset) if term else queryset), False

    @admin.display(description="Event")
    def event(self, event: InboundEvent) -> SafeString:
        return format_html(
            '<span class="cf-code">{}</span><br><span class="cf-hint cf-code cf-key" title="{}">{}</span>',
            event.public_id, event.event_key, event.event_key,
        )  # fmt: skip

    @admin.display(description="State")
    def state_shown(self, event: InboundEvent) -> SafeString:
        return display.chip(pages.event_chip(event.state))

    @admin.display(description="Gateway")
    def gateway(self, event: InboundEvent) -> str:
        return event.gateway_account.name

    @admin.display(description="Received")
    def received(self, event: Any) -> SafeString:
        return display.when(event.received_at, event.listed_at)

    @admin.display(description="What became of it")
    def became(self, event: InboundEvent) -> SafeString:
        return format_html('<span class="cf-became">{}</span>', event.error or event.outcome or "not worked on yet")

    # -- one event -----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = pages.event_page(obj)
        could = "" if holds_right(request.user, REPLAY) else f"{roles_that_may('replay_event')} could"
        step = Step(
            "Replay it", self.command_url("replay", obj), could,
            hint="Shows first what would change; what is known already is not done again.",
            primary=obj.state in (EventState.POISONED, EventState.PARKED),
        )  # fmt: skip
        return {
            "title": obj.event_type or "Event",
            "page": page,
            "head_chip": page.chip,
            "links": pages.links_of(obj),
            "steps_to_take": [step],
        }

    def commands(self) -> Sequence[Command]:
        page = CommandPage(
            name="replay",
            title="Replay the event",
            intro="The event is worked off again from its raw bytes, as if it had just come in.",
            button="Replay it now",
            form=forms.Form,
            preview=_preview,
            execute=self._replay,
            refusals=(errors.PaymentsError,),
            facts=_facts,
            return_to=self.url_of,
        )
        return [Command("replay", REPLAY, page=page)]

    def _replay(self, call: CommandCall) -> Outcome:
        done = inbox.replay_event(call.subject.public_id, actor=Actor.for_user(call.actor), now=call.now)
        failed = bool(done.error)
        text = f"It failed again: {done.error}" if failed else f"Replayed, now {done.state}. {done.outcome}"
        return Outcome(text, self.url_of(call.subject), Tone.BAD if failed else Tone.GOOD)


def _facts(event: InboundEvent) -> list[KeyValue]:
    return [
        KeyValue("Event", Link(event.public_id, "", code=True), event.event_type),
        KeyValue("State", pages.event_chip(event.state)),
        KeyValue("Became", event.error or event.outcome or None),
        KeyValue("Received", event.received_at),
    ]


def _preview(call: CommandCall) -> Preview:
    """The dry run: the code of a replay, rolled back."""
    would = inbox.preview_replay(call.subject.public_id, now=call.now)
    if would.error:
        return Preview("It would fail again.", warnings=[would.error])
    rows: list[Sequence[Shown]] = [
        (
            fact.fact.replace("_", " "),
            Link(fact.gateway_id, "", code=True),
            pages.verdict_chip(fact.verdict),
            fact.because,
            "; ".join(fact.changes) or "nothing",
        )
        for fact in would.facts
    ]
    summary = "It would change what stands below." if would.changes_anything else "It would change nothing."
    facts = [KeyValue("The event would become", pages.event_chip(would.state), would.outcome)]
    return Preview(summary, facts, _REPLAY_COLUMNS, rows)
