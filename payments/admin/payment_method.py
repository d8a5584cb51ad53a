"""What do payers pay with, and what may be paid with? Methods masked, their credentials by state; block, and ask to lift.

Decides nothing. A credential is never shown, not even in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage
from console.rights import holds_right
from console.values import KeyValue, Outcome, Preview, Step, Tone
from payments import errors
from payments.admin.payment_chips import masked_payer
from payments.admin.payment_commands import describe_conflict
from payments.admin.payment_forms import CommandForm
from payments.admin.schedule_commands import MAKE
from payments.models import Credential, PaymentMethod
from payments.queries import approval_page, method_page, schedule_page
from payments.queries.review_page import roles_that_may
from payments.services import methods
from payments.services.actors import Actor
from payments.services.schedules.rows import RIGHT as SCHEDULE


class BlockedFilter(admin.SimpleListFilter):
    """Methods that are refused everywhere."""

    title = "blocked"
    parameter_name = "blocked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "blocked now")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PaymentMethod]) -> QuerySet[PaymentMethod]:
        return queryset.filter(blocked_at__isnull=False) if self.value() == "yes" else queryset


class ReasonForm(CommandForm):
    """Both commands need a reason, which the next person reads."""

    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), max_length=200)


@admin.register(PaymentMethod)
class PaymentMethodAdmin(LockedAdmin):
    """Payment methods, the newest first."""

    list_display = ("method", "payer_masked", "where", "state_shown")
    list_filter = (BlockedFilter,)
    exact_search = ("public_id", "payer__external_id")
    search_help_text = "A method's id, or the merchant's id of the payer. Compared exactly."
    address_field = "public_id"
    list_title = "Payment methods"
    list_intro = "One credential for each gateway account. Card numbers never come here, and credentials are not shown."
    empty_title = "No payment method yet"
    empty_advice = "Each payment brings one, or uses one again."
    detail_template = "admin/payments/paymentmethod/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PaymentMethod]:
        credentials = Prefetch("credentials", Credential.objects.select_related("gateway_account"))
        return PaymentMethod.objects.select_related("payer").prefetch_related(credentials)

    @admin.display(description="Method")
    def method(self, method: PaymentMethod) -> SafeString:
        return format_html('{} <span class="cf-hint cf-code">{}</span>', str(method), method.public_id)

    @admin.display(description="Payer")
    def payer_masked(self, method: PaymentMethod) -> SafeString | str:
        return masked_payer(method.payer) or display.hint("not told")

    @admin.display(description="Can be tried at")
    def where(self, method: PaymentMethod) -> SafeString | str:
        usable = [c.gateway_account.name for c in method.credentials.all() if c.usable]
        return ", ".join(usable) or display.hint("no gateway")

    @admin.display(description="State")
    def state_shown(self, method: PaymentMethod) -> SafeString:
        return display.chip(method_page.method_chip(method))

    # -- one method ----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        blocked = methods.why_blocked(obj)
        pending = approval_page.pending_about([obj.public_id], command="lift_block")
        return {
            "title": str(obj).capitalize(),
            "page": method_page.method_page(obj, payer=masked_payer(obj.payer), blocked=blocked),
            "blocked": blocked,
            "waits": list(pending.values()),
            "credential_columns": method_page.CREDENTIAL_COLUMNS,
            "block_columns": method_page.BLOCK_COLUMNS,
            "payment_columns": method_page.PAYMENT_COLUMNS,
            "schedules": schedule_page.schedules_of(obj),
            "schedule_columns": schedule_page.SCHEDULE_COLUMNS,
            "steps_to_take": self._steps(request, obj, pending=bool(pending)),
        }

    def _steps(self, request: HttpRequest, method: PaymentMethod, *, pending: bool) -> list[Step]:
        return [*self._block_steps(request, method, pending=pending), self._schedule_step(request, method)]

    def _schedule_step(self, request: HttpRequest, method: PaymentMethod) -> Step:
        could = "" if holds_right(request.user, SCHEDULE) else f"{roles_that_may('edit_schedule')} could"
        return Step("Set up a recurring charge", self.command_url("schedule", method), could)

    def _block_steps(self, request: HttpRequest, method: PaymentMethod, *, pending: bool) -> list[Step]:
        could = "" if holds_right(request.user, methods.BLOCK) else f"{roles_that_may('block_method')} could"
        if method.blocked_at is None:
            return [Step("Block it everywhere", self.command_url("block", method), could)]
        why = "It has been asked for already: somebody else has to agree." if pending else ""
        return [Step("Ask for the block to be lifted", self.command_url("lift", method), could or why)]

    def commands(self) -> Sequence[Command]:
        block = CommandPage(
            name="block",
            title="Block this payment method",
            intro="No payment is taken with it any more, at no gateway. What is sent already is followed to its end.",
            button="Block it",
            form=ReasonForm,
            preview=_preview_block,
            execute=self._block,
            refusals=(errors.PaymentsError,),
            facts=_facts,
            return_to=self.url_of,
        )
        lift = CommandPage(
            name="lift",
            title="Ask for the block to be lifted",
            intro="Nothing changes yet: another person has to agree.",
            button="Ask a second person",
            form=ReasonForm,
            preview=_preview_lift,
            execute=_ask_lift,
            refusals=(errors.PaymentsError,),
            conflicts=(errors.Conflict,),
            describe_conflict=describe_conflict,
            facts=_facts,
            return_to=self.url_of,
        )
        return [
            Command("block", methods.BLOCK, page=block),
            Command("lift", methods.BLOCK, page=lift),
            Command("schedule", SCHEDULE, page=MAKE),
        ]

    def _block(self, call: CommandCall) -> Outcome:
        method = methods.block_method(
            call.subject.public_id, reason=call.answers["reason"], actor=Actor.for_user(call.actor), now=call.now
        )
        return Outcome("Blocked everywhere.", self.url_of(method))


def _facts(method: PaymentMethod) -> list[KeyValue]:
    return [KeyValue("Method", str(method)), KeyValue("Payer", masked_payer(method.payer) or None)]


def _preview_block(call: CommandCall) -> Preview:
    """Say what follows. Raises: NotAllowedNow if it is blocked itself already."""
    method: PaymentMethod = call.subject
    if method.blocked_at is not None:
        raise errors.NotAllowedNow(methods.why_blocked(method))
    return Preview(
        "From now on every payment with it is refused, under other names of the same card as well. "
        "Lifting the block takes a second person.",
        [KeyValue("Reason", call.answers["reason"])],
    )


def _preview_lift(call: CommandCall) -> Preview:
    lines = methods.preview_lift(call.subject.public_id)
    return Preview(
        "A second person is asked. It stays blocked until they agree.",
        [KeyValue(label, value) for label, value in (*lines, ("Reason", call.answers["reason"]))],
    )


def _ask_lift(call: CommandCall) -> Outcome:
    asked = methods.ask_lift(
        call.subject.public_id, reason=call.answers["reason"], actor=Actor.for_user(call.actor), now=call.now
    )
    address = reverse("admin:payments_approval_change", args=(asked.public_id,))
    return Outcome("Asked. Another person has to agree.", address, Tone.INFO)
