"""How are the gateway accounts set up and doing? A list, a page each, and one command that edits. Secrets are never shown.

Editing is safe to repeat: the form carries the version it was made from, and the service refuses any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage, Conflict
from console.ordered import OrderedChangeList
from console.rights import holds_right
from console.values import Chip, KeyValue, Link, Outcome, Preview, Shown, Step, Tone
from payments import errors
from payments.admin.pausing import pause_page, resume_page
from payments.models import GatewayAccount
from payments.queries import account_page as pages
from payments.queries.decline_page import provider_name
from payments.queries.health_page import CALL_COLUMNS, EVENT_COLUMNS, health_chips
from payments.queries.review_page import roles_that_may
from payments.services import accounts
from payments.services.actors import Actor
from payments.services.switches import RIGHT

EDIT = "payments.edit_gateway_account"
_SWITCHES = ("enabled", "shared")


class AccountForm(forms.Form):
    """Exactly what may be edited, and the version it was made from. The row is judged in the service, under its lock."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.update(forms.fields_for_model(GatewayAccount, fields=accounts.EDITABLE))
        for name in accounts.EDITABLE:
            limits = GatewayAccount._meta.get_field(name).validators  # type: ignore[union-attr]  # noqa: SLF001 - Django's documented interface
            known = self.fields[name].validators
            known.extend(limit for limit in limits if limit not in known)
            unit = pages.setting_unit(name)
            self.fields[name].label = f"{pages.setting_label(name)} ({unit})" if unit else pages.setting_label(name)


@admin.register(GatewayAccount)
class GatewayAccountAdmin(LockedAdmin):
    """Accounts; in which order they are asked stands in the routes."""

    list_display = ("account", "switches", "condition", "provided_by", "last_event", "trouble")
    address_field = "slug"
    list_title = "Gateway accounts"
    list_intro = "Who is asked first stands in the routes. Credentials come from the environment and are never shown."
    empty_title = "No gateway account yet"
    empty_advice = "Make one with: manage.py prepare --demo, or ask whoever runs the system."
    detail_template = "admin/payments/gatewayaccount/detail.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OrderedChangeList.by("priority", "slug")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Give each row its open trouble and its health: two queries for the rows of this page."""
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        known, chips = pages.open_incidents_of(rows), health_chips(rows)
        for row in rows:
            row.trouble_words, row.health_chips = known.get(row.pk, ""), chips[row.pk]
        return found

    @admin.display(description="Account")
    def account(self, account: GatewayAccount) -> SafeString:
        return format_html('{} <span class="cf-hint cf-code">{}</span>', account.name, account.slug)

    @admin.display(description="Switches")
    def switches(self, account: GatewayAccount) -> SafeString:
        chips = (*pages.switches(account), *_doubt(account))
        return format_html_join(" ", "{}", ((display.chip(chip),) for chip in chips))

    @admin.display(description="Health")
    def condition(self, account: Any) -> SafeString:
        return format_html_join(" ", "{}", ((display.chip(chip),) for chip in account.health_chips))

    @admin.display(description="Provider")
    def provided_by(self, account: GatewayAccount) -> str:
        return provider_name(account.provider)

    @admin.display(description="Last event")
    def last_event(self, account: Any) -> SafeString:
        return display.when(account.last_event_at, account.listed_at)

    @admin.display(description="Trouble")
    def trouble(self, account: Any) -> SafeString:
        if account.trouble_words:
            return display.chip(Chip(account.trouble_words, Tone.WARN, "cloud_off"))
        return display.hint("none")

    # -- one account ---------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        told = accounts.describe(obj)
        could = "" if holds_right(request.user, EDIT) else f"{roles_that_may('edit_gateway_account')} could"
        return {
            "title": obj.name,
            "page": pages.account_page(obj, now),
            "set_up": _set_up(obj, request),
            "credentials": [(Link(one.name, "", code=True), _credential(one)) for one in told.credentials],
            "missing": [one.name for one in told.credentials if one.needed and not one.is_set],
            "capabilities": _capabilities(told),
            "doubts": _doubt(obj),
            "assumptions": told.assumptions,
            "incident_columns": pages.INCIDENT_COLUMNS,
            "operation_columns": pages.OPERATION_COLUMNS,
            "call_columns": CALL_COLUMNS,
            "event_columns": EVENT_COLUMNS,
            "steps_to_take": [
                self._pausing(request, obj),
                Step("Edit switches and clocks", self.command_url("edit", obj), could, primary=True),
            ],
        }

    def _pausing(self, request: HttpRequest, account: GatewayAccount) -> Step:
        could = "" if holds_right(request.user, RIGHT) else f"{roles_that_may('throw_switch')} could"
        name = "pause" if account.paused_at is None else "resume"
        return Step(name.capitalize(), self.command_url(name, account), could)

    def commands(self) -> Sequence[Command]:
        page = CommandPage(
            name="edit",
            title="Edit switches and clocks",
            intro="Payments under way keep the clocks they were started with where these are written into them.",
            button="Save",
            form=AccountForm,
            preview=_preview,
            execute=self._edit,
            refusals=(errors.PaymentsError,),
            conflicts=(errors.Conflict,),
            describe_conflict=lambda error: Conflict("Somebody", f"edited it meanwhile. {error}".rstrip(".")),
            facts=lambda account: [
                KeyValue("Account", account.name),
                KeyValue("Provider", provider_name(account.provider)),
            ],
            return_to=self.url_of,
            initial=_as_it_is,
        )
        return [
            Command("edit", EDIT, page=page),
            Command("pause", RIGHT, page=pause_page(self.url_of)),
            Command("resume", RIGHT, page=resume_page(self.url_of)),
        ]

    def _edit(self, call: CommandCall) -> Outcome:
        changes = {name: call.answers[name] for name in accounts.EDITABLE}
        account = accounts.edit_gateway_account(
            call.subject.slug, changes, version=call.answers["version"], actor=Actor.for_user(call.actor)
        )
        return Outcome(f"{account.name} is saved.", self.url_of(account))


def _as_it_is(account: GatewayAccount) -> dict[str, Any]:
    return {name: getattr(account, name) for name in (*accounts.EDITABLE, "version")}


def _preview(call: CommandCall) -> Preview:
    """Compare the answers with the row. Raises: Conflict, NotAllowedNow if nothing would change."""
    account: GatewayAccount = call.subject
    if account.version != call.answers["version"]:
        raise errors.Conflict("Somebody edited the account since you opened this form. Leave it and open it again.")
    changed = [name for name in accounts.EDITABLE if call.answers[name] != getattr(account, name)]
    if not changed:
        raise errors.NotAllowedNow("Nothing is changed yet.")
    rows: list[Sequence[Shown]] = [
        (pages.setting_label(name), _words(name, getattr(account, name)), _words(name, call.answers[name]))
        for name in changed
    ]
    return Preview(
        f"{len(changed)} of its settings change.",
        columns=("Setting", "Now", "Then"),
        rows=rows,
        warnings=_warnings(account, call.answers),
        version=str(account.version),
    )


def _warnings(account: GatewayAccount, answers: dict[str, Any]) -> list[str]:
    if account.enabled and not answers["enabled"]:
        return ["No new attempt goes to this gateway any more. Open ones are followed to their end."]
    missing = accounts.missing_credentials(account) if answers["enabled"] and not account.enabled else []
    return [f"These credentials are missing in the environment: {', '.join(missing)}."] if missing else []


def _words(name: str, value: Any) -> str:
    if name in _SWITCHES:
        return "yes" if value else "no"
    return pages.clock_words(name, value)


def _set_up(account: GatewayAccount, request: HttpRequest) -> list[KeyValue]:
    address = request.build_absolute_uri(f"/webhooks/{account.slug}/")
    currencies = ", ".join(account.currencies) if account.currencies else "all it can"
    return [
        KeyValue("Provider", provider_name(account.provider)),
        KeyValue("Webhook address", Link(address, "", code=True), "Enter it in the gateway's own dashboard."),
        KeyValue("Currencies", currencies),
        KeyValue("Edits", account.version),
    ]


def _doubt(account: GatewayAccount) -> tuple[Chip, ...]:
    return () if accounts.is_confirmed(account) else (pages.UNCONFIRMED,)


def _credential(one: accounts.CredentialState) -> Chip:
    if one.is_set:
        return Chip("set", Tone.GOOD, "key")
    if one.needed:
        return Chip("missing", Tone.BAD, "key_off", "Set it in the environment and start again.")
    return Chip("not set", Tone.QUIET, "remove", "Only needed while a secret is rotated.")


def _capabilities(told: accounts.AccountDescription) -> list[KeyValue]:
    absence = (
        f"{told.absence_look_ups} answered look-ups without a trace, at the earliest "
        f"{pages.in_units(told.absence_seconds)} after the call"
        if told.absence_look_ups
        else "never: only presence can be proven"
    )
    return [
        KeyValue("Operations", ", ".join(told.operations)),
        KeyValue("Settlement", told.settlement),
        KeyValue(
            "Its answer to a sale", "final" if told.answer_is_final else "provisional: the webhook or look-up tells"
        ),
        KeyValue("Several captures of one hold", "yes" if told.multi_capture else "no"),
        KeyValue(
            "Refund before settlement", "yes" if told.refund_before_settlement else "no: void first, refund after"
        ),
        KeyValue("Reports its fees", "yes" if told.reports_fees else "no"),
        KeyValue("A hold lasts", f"{told.hold_days} days"),
        KeyValue("Proof of absence", absence),
        KeyValue("Reports asked for by API", ", ".join(told.reports) or "none: its reports are files"),
        KeyValue("Lists what changed", "yes" if told.lists_window else "no: nothing can be back-filled"),
    ]
