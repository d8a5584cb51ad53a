"""Which way do payments go? The list of routes in the order they are asked, a page each, and commands that ask for changes.

Routes are a policy: what is asked for here is carried out when a second person has agreed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage, Conflict
from console.ordered import OrderedChangeList
from console.rights import holds_right
from console.values import KeyValue, Link, Outcome, Preview, Shown, Step
from ledger.money import MINOR_DIGITS, Money, MoneyError
from payments import errors
from payments.admin.payment_forms import CommandForm
from payments.models import GatewayAccount, Route
from payments.queries import route_page as pages
from payments.queries.review_page import roles_that_may
from payments.services import routes
from payments.services.actors import Actor

EDIT = "payments.edit_route"
_SECOND = "A second person has to agree before it is in force."
_REASON = forms.CharField(
    max_length=400, widget=forms.Textarea(attrs={"rows": 2}), help_text="The second person reads it."
)


class RouteForm(CommandForm):
    """A route as it shall be. Bounds are typed in the route's currency; the version is the one the form was made from."""

    version = forms.IntegerField(widget=forms.HiddenInput, initial=0)
    name = forms.CharField(max_length=80, help_text="Explanations of payments quote it.")
    account = forms.ChoiceField(label="Gateway account")
    enabled = forms.BooleanField(required=False, initial=True)
    priority = forms.IntegerField(min_value=0, max_value=32_767, initial=100, help_text="Lower is asked first.")
    currency = forms.ChoiceField(required=False)
    method_kind = forms.ChoiceField(label="Method", required=False)
    lowest = forms.CharField(label="From amount", max_length=40, required=False, help_text="Needs a currency.")
    highest = forms.CharField(label="Up to amount", max_length=40, required=False, help_text="Needs a currency.")
    reason = _REASON

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accounts = GatewayAccount.objects.values_list("slug", "name")
        kinds = [(kind, kind) for kind in routes.KINDS]
        self.fields["account"] = forms.ChoiceField(label="Gateway account", choices=list(accounts))
        codes = [(code, code) for code in sorted(MINOR_DIGITS)]
        self.fields["currency"] = forms.ChoiceField(choices=[("", "Every currency"), *codes], required=False)
        self.fields["method_kind"] = forms.ChoiceField(
            label="Method", choices=[("", "Every method"), *kinds], required=False
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        for name in ("lowest", "highest"):
            cleaned[f"{name}_minor"] = self._minor(name, cleaned)
        return cleaned

    def _minor(self, name: str, cleaned: dict[str, Any]) -> int | None:
        text, currency = str(cleaned.get(name, "")).strip(), cleaned.get("currency", "")
        if not text or self.has_error(name):
            return None
        if not currency:
            self.add_error(name, "An amount needs a currency above.")
            return None
        try:
            return Money.parse(text, currency).amount_minor
        except MoneyError as error:
            self.add_error(name, str(error))
            return None


class OrderForm(CommandForm):
    """One priority a route, in the order they are asked now."""

    reason = _REASON

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reason = self.fields.pop("reason")
        for route in Route.objects.select_related("gateway_account").order_by("priority", "pk"):
            self.fields[f"route_{route.pk}"] = forms.IntegerField(
                label=f"{route.name} · {route.gateway_account.name}", min_value=0, max_value=32_767,
                initial=route.priority,
            )  # fmt: skip
        self.fields["reason"] = reason

    @staticmethod
    def priorities(answers: dict[str, Any]) -> dict[int, int]:
        """Route number to priority."""
        return {int(name[6:]): value for name, value in answers.items() if name.startswith("route_")}


@admin.register(Route)
class RouteAdmin(LockedAdmin):
    """Routes by priority."""

    list_display = ("route", "state", "priority", "gateway", "currency_words", "method", "amounts")
    list_title = "Routes"
    list_intro = (
        "Asked from the top: the first route that fits, whose gateway account is healthy and holds a credential of the "
        "payer, takes the payment. The payment's page says why."
    )
    empty_title = "No route yet"
    empty_advice = "Without a route no payment goes anywhere."
    detail_template = "admin/payments/route/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request)
        return found.select_related("gateway_account")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OrderedChangeList.by("priority")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Mark the rows whose change waits: one query."""
        found = super().get_changelist_instance(request)
        waiting = pages.waiting_routes(list(found.result_list))
        for row in found.result_list:
            row.change_waits = row.pk in waiting
        return found

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        if not holds_right(request.user, EDIT):
            return ()
        return (("Change the order", self.command_url("order")), ("New route", self.command_url("new")))

    @admin.display(description="Route")
    def route(self, route: Route) -> str:
        return route.name

    @admin.display(description="State")
    def state(self, route: Any) -> SafeString:
        chips = [pages.ENABLED if route.enabled else pages.DISABLED]
        if route.change_waits:
            chips.append(pages.WAITING)
        return format_html_join(" ", "{}", ((display.chip(chip),) for chip in chips))

    @admin.display(description="Gateway account")
    def gateway(self, route: Route) -> SafeString:
        return display.link(_account_link(route.gateway_account))

    @admin.display(description="Currency")
    def currency_words(self, route: Route) -> Any:
        return route.currency or display.hint("every")

    @admin.display(description="Method")
    def method(self, route: Route) -> Any:
        return route.method_kind or display.hint("every")

    @admin.display(description="Amounts")
    def amounts(self, route: Route) -> Any:
        words = pages.band_words(route.currency, route.min_minor, route.max_minor)
        return display.hint("every") if words == "every amount" else format_html("{}", words)

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        could = "" if holds_right(request.user, EDIT) else f"{roles_that_may('edit_route')} could"
        waits = [pages.WAITING] if pages.waiting_routes([obj]) else []
        return {
            "title": obj.name,
            "chips": [pages.ENABLED if obj.enabled else pages.DISABLED, *waits],
            "facts": _facts(obj),
            "history_columns": pages.HISTORY_COLUMNS,
            "history": pages.history(obj),
            "steps_to_take": [Step("Change it", self.command_url("edit", obj), could)],
        }

    # -- commands ------------------------------------------------------------------------------------------------------
    def commands(self) -> Sequence[Command]:
        return [
            Command("new", EDIT, page=self._page("new", "New route", RouteForm, _preview, self._ask), on_list=True),
            Command("order", EDIT, on_list=True,
                    page=self._page("order", "Change the order", OrderForm, _preview_order, self._ask_order)),
            Command("edit", EDIT, page=self._page("edit", "Change the route", RouteForm, _preview, self._ask)),
        ]  # fmt: skip

    def _page(self, name: str, title: str, form: type[forms.Form], preview: Any, execute: Any) -> CommandPage:
        return CommandPage(
            name=name,
            title=title,
            intro=_SECOND,
            button="Ask a second person",
            form=form,
            preview=preview,
            execute=execute,
            refusals=(errors.PaymentsError,),
            conflicts=(errors.Conflict,),
            describe_conflict=_conflict,
            facts=lambda route: _facts(route) if route is not None else [],
            return_to=self._home_of,
            initial=_as_it_is if name == "edit" else lambda route: {},
        )

    def _home_of(self, route: Route | None) -> str:
        return self.url_of(route) if route is not None else reverse("admin:payments_route_changelist")

    def _ask(self, call: CommandCall) -> Outcome:
        approval = routes.ask_route(
            _plan(call.answers),
            route=call.subject.pk if call.subject is not None else None,
            version=call.answers["version"],
            reason=call.answers["reason"],
            actor=Actor.for_user(call.actor),
            now=call.now,
        )
        return Outcome(f"{approval.public_id} waits for a second person.", self._home_of(call.subject))

    def _ask_order(self, call: CommandCall) -> Outcome:
        approval = routes.ask_order(
            OrderForm.priorities(call.answers),
            reason=call.answers["reason"],
            actor=Actor.for_user(call.actor),
            now=call.now,
        )
        return Outcome(f"{approval.public_id} waits for a second person.", self._home_of(None))


def _plan(answers: dict[str, Any]) -> routes.RoutePlan:
    return routes.RoutePlan(
        name=" ".join(answers["name"].split()),
        account=answers["account"],
        enabled=answers["enabled"],
        priority=answers["priority"],
        currency=answers["currency"],
        method_kind=answers["method_kind"],
        min_minor=answers["lowest_minor"],
        max_minor=answers["highest_minor"],
    )


def _as_it_is(route: Route) -> dict[str, Any]:
    def typed(minor: int | None) -> str:
        return "" if minor is None else Money(minor, route.currency).to_decimal_string()

    return {
        "version": route.version, "name": route.name, "account": route.gateway_account.slug, "enabled": route.enabled,
        "priority": route.priority, "currency": route.currency, "method_kind": route.method_kind,
        "lowest": typed(route.min_minor), "highest": typed(route.max_minor),
    }  # fmt: skip


def _preview(call: CommandCall) -> Preview:
    """Compare the answers with the row. Raises: Conflict, InvalidInput, NotAllowedNow if nothing would change."""
    plan, route = _plan(call.answers), call.subject
    if route is not None and route.version != call.answers["version"]:
        raise errors.Conflict("Somebody changed the route since you opened this form. Leave it and open it again.")
    changed: list[Sequence[Shown]] = list(routes.differences(plan, route))
    if not changed:
        raise errors.NotAllowedNow("Nothing is changed yet.")
    summary = "A new route is asked for." if route is None else f"{len(changed)} of its settings would change."
    return Preview(summary, columns=("Setting", "Now", "Then"), rows=changed, warnings=[_SECOND])


def _preview_order(call: CommandCall) -> Preview:
    """Show what would be asked in which order. Raises: NotAllowedNow if nothing would change."""
    wanted = OrderForm.priorities(call.answers)
    found = list(Route.objects.select_related("gateway_account").filter(pk__in=wanted))
    if all(route.priority == wanted[route.pk] for route in found):
        raise errors.NotAllowedNow("Nothing is changed yet.")
    rows: list[Sequence[Shown]] = [
        (route.name, route.gateway_account.name, route.priority, wanted[route.pk])
        for route in sorted(found, key=lambda route: (wanted[route.pk], route.pk))
    ]
    columns = ("Asked in this order", "Gateway account", "Priority now", "Then")
    return Preview("The routes would be asked in this order.", columns=columns, rows=rows, warnings=[_SECOND])


def _conflict(error: Exception) -> Conflict:
    """Who was first, where the service knows."""
    who = str(getattr(error, "extra", {}).get("who", "")) or "Somebody"
    return Conflict(who, f"was first. {error}".rstrip("."))


def _facts(route: Route) -> list[KeyValue]:
    return [
        KeyValue("Gateway account", _account_link(route.gateway_account)),
        KeyValue("Priority", route.priority, "Lower is asked first."),
        KeyValue("Currency", route.currency or "every currency"),
        KeyValue("Method", route.method_kind or "every method"),
        KeyValue("Amounts", pages.band_words(route.currency, route.min_minor, route.max_minor)),
        KeyValue("Edits", route.version),
    ]


def _account_link(account: GatewayAccount) -> Link:
    return Link(account.name, reverse("admin:payments_gatewayaccount_change", args=(account.slug,)))
