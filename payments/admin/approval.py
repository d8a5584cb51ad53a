"""Where does a second person decide? The queue of requests, the page of one, and the commands agree, reject and withdraw.

Decides nothing: the approvals service judges who may and whether all is still as it was shown. Executing is safe to
repeat: the request is bound by its digest, and is carried out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage
from console.listing import KeysetChangeList
from console.ordered import OrderedChangeList
from console.values import Chip, KeyValue, Link, Outcome, Preview, QueueRow, Step, Tone, WorkQueue
from payments import errors
from payments.admin.payment_commands import describe_conflict
from payments.admin.payment_forms import CommandForm
from payments.models import Approval
from payments.queries import approval_page as pages
from payments.queries.queues import MOST_COUNTED, MOST_SHOWN, capped
from payments.services import approvals
from payments.services.actors import Actor
from payments.services.approvable import title_of
from payments.states import ApprovalState

VIEW = "payments.view_approval"
QUEUE = OrderedChangeList.by("due_at")
MINE = Chip("waits for another person", Tone.INFO, "person", "You asked for it yourself.")


class StateFilter(admin.SimpleListFilter):
    """What waits, unless something else is asked for: the list is a queue first."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((s.value, s.value) for s in ApprovalState if s != ApprovalState.PENDING), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "pending"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Approval]) -> QuerySet[Approval]:
        if self.value() == "all" or (request.GET.get("q") and not self.value()):
            return queryset
        return queryset.filter(state=self.value() or ApprovalState.PENDING.value)


class AgreeForm(CommandForm):
    """Agreeing needs no words; they may help whoever reads it later."""

    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), max_length=400, required=False, help_text="What convinced you?"
    )


class RejectForm(CommandForm):
    """Saying no needs the reason."""

    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), max_length=400, help_text="The person who asked reads it."
    )


@admin.register(Approval)
class ApprovalAdmin(LockedAdmin):
    """Requests that wait for a second person, the most urgent first."""

    list_display = ("what", "about", "asked_by_whom", "why", "age", "due", "state_shown")
    list_filter = (StateFilter,)
    exact_search = ("public_id", "subject")
    search_help_text = "A request's id, or the id of what it is about. Compared exactly."
    address_field = "public_id"
    list_title = "Approvals"
    list_intro = (
        "One person has asked, another one agrees or says no. What is agreed to is exactly what was shown: "
        "if any of it has changed, nothing is done."
    )
    empty_title = "Nothing waits for a second person"
    empty_advice = "Requests appear here when somebody asks for what one person may not do alone."
    detail_template = "admin/payments/approval/detail.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """By due time while requests wait, which an index serves; what is over is walked newest first."""
        return KeysetChangeList if request.GET.get("state") else QUEUE

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Mark what the person asked for themselves: it waits for somebody else."""
        found = super().get_changelist_instance(request)
        for row in found.result_list:
            row.mine = row.state == ApprovalState.PENDING and row.asked_by_user_id == request.user.pk
        return found

    @admin.display(description="What")
    def what(self, approval: Approval) -> str:
        return title_of(approval.command)

    @admin.display(description="About")
    def about(self, approval: Approval) -> SafeString:
        return display.link(pages.subject_link(approval))

    @admin.display(description="Asked by")
    def asked_by_whom(self, approval: Any) -> str:
        return f"{approval.asked_by} (you)" if approval.mine else approval.asked_by or "the system"

    @admin.display(description="Why")
    def why(self, approval: Approval) -> SafeString:
        short = approval.reason if len(approval.reason) <= 80 else f"{approval.reason[:79]}…"
        return format_html('<span title="{}">{}</span>', approval.reason, short)

    @admin.display(description="Asked")
    def age(self, approval: Any) -> SafeString:
        return display.when(approval.asked_at, approval.listed_at)

    @admin.display(description="Decide by")
    def due(self, approval: Any) -> SafeString:
        if approval.state != ApprovalState.PENDING:
            return display.hint("over")
        return display.when(approval.due_at, approval.listed_at)

    @admin.display(description="State")
    def state_shown(self, approval: Any) -> SafeString:
        chip = pages.state_chip(approval, approval.listed_at)
        return display.chip(MINE if approval.mine and chip.tone == Tone.WARN else chip)

    # -- one request ---------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        pending = obj.state == ApprovalState.PENDING
        mine = obj.asked_by_user_id == request.user.pk
        return {
            "title": title_of(obj.command),
            "head_chip": MINE if pending and mine and now < obj.expires_at else pages.state_chip(obj, now),
            "shown": pages.shown_lines(obj),
            "asked": pages.asked_lines(obj),
            "decided": pages.decided_lines(obj),
            "pending": pending,
            "could": _who_could(obj) if pending else "",
            "steps_to_take": self._steps(obj, _actor(request), now) if pending else [],
        }

    def _steps(self, approval: Approval, actor: Actor, now: datetime) -> list[Step]:
        refused = approvals.refusal_of(approval, actor, now)
        steps = [
            Step("Agree", self.command_url("approve", approval), refused, primary=True),
            Step("Reject", self.command_url("reject", approval), refused),
        ]
        if approval.asked_by_user_id == actor.user_id:
            hint = "Nothing is done, and it can be asked for anew."
            steps.append(Step("Withdraw", self.command_url("withdraw", approval), post=True, hint=hint))
        return steps

    # -- commands ------------------------------------------------------------------------------------------------------
    def commands(self) -> Sequence[Command]:
        approve = CommandPage(
            name="approve",
            title="Agree",
            intro="You are the second person. Read what will be done as if you did it yourself.",
            button="Agree: do it",
            form=AgreeForm,
            preview=_preview_approve,
            execute=self._approve,
            refusals=(errors.PaymentsError,),
            conflicts=(errors.Conflict,),
            describe_conflict=describe_conflict,
            facts=_facts,
            return_to=self.url_of,
        )
        reject = CommandPage(
            name="reject",
            title="Reject",
            intro="Nothing of what was asked for is done. It can be asked for anew.",
            button="Reject it",
            form=RejectForm,
            preview=_preview_reject,
            execute=self._reject,
            refusals=(errors.PaymentsError,),
            conflicts=(errors.Conflict,),
            describe_conflict=describe_conflict,
            facts=_facts,
            return_to=self.url_of,
        )
        return [
            Command("approve", approvals.APPROVE, page=approve),
            Command("reject", approvals.APPROVE, page=reject),
            Command("withdraw", VIEW, run=self._withdraw),  # the service lets nobody but the maker
        ]

    def _approve(self, call: CommandCall) -> Outcome:
        done = approvals.approve(
            call.subject.public_id,
            digest=call.version,
            note=call.answers["note"],
            actor=Actor.for_user(call.actor),
            clock=timezone.now,
        )
        executed = done.state == ApprovalState.EXECUTED
        return Outcome(done.outcome, self.url_of(done), Tone.GOOD if executed else Tone.WARN)

    def _reject(self, call: CommandCall) -> Outcome:
        done = approvals.reject(
            call.subject.public_id, note=call.answers["note"], actor=Actor.for_user(call.actor), now=call.now
        )
        return Outcome(done.outcome, self.url_of(done))

    def _withdraw(self, request: HttpRequest, approval: Any) -> HttpResponse:
        try:
            done = approvals.withdraw(approval.public_id, actor=_actor(request), now=timezone.now())
        except errors.PaymentsError as refusal:
            messages.error(request, refusal.detail)
        else:
            messages.success(request, done.outcome)
        return HttpResponseRedirect(self.url_of(approval))


def _actor(request: HttpRequest) -> Actor:
    assert isinstance(request.user, User), "only signed-in people get here"
    return Actor.for_user(request.user)


def _who_could(approval: Approval) -> str:
    needed = approvals.rights_to_decide(approval)
    return pages.who_could(approval, needed) if needed else ""


def _facts(approval: Approval) -> list[KeyValue]:
    return [
        KeyValue("What", title_of(approval.command)),
        KeyValue("Asked by", approval.asked_by or "the system"),
        KeyValue("Why", approval.reason),
    ]


def _preview_approve(call: CommandCall) -> Preview:
    """Read everything anew. Raises: NotAllowedNow if it is no longer as it was shown."""
    actor = Actor.for_user(call.actor)
    prepared = approvals.prepare(call.subject.public_id, actor=actor, clock=timezone.now)
    if prepared.changed:
        raise errors.NotAllowedNow(
            f"This is no longer what was asked for, so that it can not be agreed to. {prepared.changed} "
            "Reject it, and let it be asked for anew."
        )
    times = pages.agreed_before(call.subject, actor.user_id, call.now)
    pair = f"You agreed to {call.subject.asked_by}'s requests {times} times in the last 30 days."
    return Preview(
        "This is done at once, and you are named beside the person who asked.",
        columns=("What", "As you see it now"),
        rows=[(label, pages.grouped_money(value)) for label, value in prepared.lines],
        warnings=[pair] if times > 2 else [],
        version=prepared.digest,
    )


def _preview_reject(call: CommandCall) -> Preview:
    refused = approvals.refusal_of(call.subject, Actor.for_user(call.actor), call.now)
    if refused:
        raise errors.NotAllowedNow(refused)
    return Preview("The request ends, and nothing of it is done.", [KeyValue("Your note", call.answers["note"])])


def approvals_waiting(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """The heap of the home page: requests of other people that this person could decide, the most urgent first."""
    if not request.user.has_perm(VIEW):
        return None
    found = Approval.objects.filter(state=ApprovalState.PENDING, expires_at__gt=now).order_by("due_at", "id")
    rows = list(found[: MOST_COUNTED + 1])
    return WorkQueue(
        title="Waits for a second person",
        url=reverse("admin:payments_approval_changelist"),
        rows=[_queue_row(approval, request, now) for approval in rows[:MOST_SHOWN]],
        more=len(rows) > MOST_SHOWN,
        count=capped(len(rows)),
        empty="Nobody has asked for anything.",
    )


def _queue_row(approval: Approval, request: HttpRequest, now: datetime) -> QueueRow:
    chip = pages.state_chip(approval, now)
    mine = approval.asked_by_user_id == request.user.pk
    address = reverse("admin:payments_approval_change", args=(approval.public_id,))
    return QueueRow(
        title=Link(title_of(approval.command), address),
        why=f"{approval.asked_by or 'The system'}: {approval.reason}",
        since=approval.asked_at,
        due=approval.due_at,
        chip=MINE if mine else chip if chip.tone == Tone.BAD else None,
        suggestion=pages.subject_words(approval),
    )
