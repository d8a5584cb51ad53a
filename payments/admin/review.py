"""Where does a person decide a case? The queue, the case, and one command page for each prepared decision.

Decides nothing: `reviews.options_of` says what can be done, `prepare_decision` asks the gateway first and shows what
would be written, `decide_review` carries it out or refuses. Double submission is safe: the case's version is part of
the sealed preview, and the service carries a version out once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage, Conflict
from console.links import link_to
from console.listing import KeysetChangeList
from console.ordered import OrderedChangeList
from console.rights import holds_right
from console.values import KeyValue, Outcome, Preview, Step
from ledger.reports import ENTRY_COLUMNS
from payments import errors
from payments.admin.payment_chips import masked_payer
from payments.admin.payment_forms import CommandForm
from payments.models import Review
from payments.queries import review_page as pages
from payments.queries.review_words import REASON_WORDS
from payments.services import reviews
from payments.services.actors import Actor
from payments.services.dispositions import CHOICES, Choice
from payments.states import ReviewKind, ReviewState

DECIDE = "payments.decide_review"
QUEUE = OrderedChangeList.by("due_at")


class DecidedMeanwhile(Exception):
    """Somebody, or the gateway's word, was faster; carries who, what and when."""

    def __init__(self, who: str, what: str, at: datetime | None) -> None:
        super().__init__(what)
        self.conflict = Conflict(who, what, at)


class StateFilter(admin.SimpleListFilter):
    """Open cases unless something else is asked for: the list is a queue first."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((state.value, state.value) for state in ReviewState if state != ReviewState.OPEN), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "open"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        if self.value() == "all" or (request.GET.get("q") and not self.value()):
            return queryset
        return queryset.filter(state=self.value() or ReviewState.OPEN.value)


class OverdueFilter(admin.SimpleListFilter):
    """Cases whose time to decide is past."""

    title = "overdue"
    parameter_name = "overdue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "past due"), ("no", "not yet due")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        now = timezone.now()
        match self.value():
            case "yes":
                return queryset.filter(due_at__lt=now)
            case "no":
                return queryset.filter(due_at__gte=now)
        return queryset


class KindFilter(admin.SimpleListFilter):
    """What kind of question it is, in words."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.value, pages.kind_words(kind.value)) for kind in ReviewKind]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class DecisionForm(CommandForm):
    """What every decision needs: a reason from the list, and a note in the person's own words."""

    reason = forms.ChoiceField(
        choices=[("", "Choose…"), *((code, REASON_WORDS.get(code, code)) for code in reviews.REASONS)]
    )
    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=2000,
        help_text="What did you see, and why this? The next person reads it, so write it for them.",
    )


class OtherPaymentForm(DecisionForm):
    """The money pays another payment: which?"""

    target_payment = forms.CharField(
        label="Payment it pays", max_length=40, help_text="Its id, pay_…: failed or expired, over exactly this amount."
    )
    field_order = ("target_payment", "reason", "note")


class HoldForm(DecisionForm):
    """The case comes back: when?"""

    until = forms.DateField(
        label="Comes back on",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="At 09:00 UTC of that day, within the next 90 days.",
    )
    field_order = ("until", "reason", "note")


LABELS = {choice.code: choice.label for choice in CHOICES}
FORMS: dict[str, type[DecisionForm]] = {"apply_to_other": OtherPaymentForm, "hold_until": HoldForm}


@admin.register(Review)
class ReviewAdmin(LockedAdmin):
    """Cases that wait for a person, the most urgent first."""

    list_display = ("case", "held", "about", "gateway", "age", "due", "state_shown")
    list_filter = (StateFilter, OverdueFilter, KindFilter, "gateway_account")
    exact_search = ("public_id", "gateway_id", "payment__public_id", "payment__reference")
    search_help_text = "Case, payment, or their reference. Compared exactly."
    address_field = "public_id"
    list_title = "Reviews"
    list_intro = "Money is in the books already; a person says what it is for. The most urgent case comes first."
    empty_title = "No case is open"
    empty_advice = (
        "Cases appear here when facts contradict each other, or when a gateway cannot tell what happened. "
        "Decided ones stay under the filter “state”."
    )
    detail_template = "admin/payments/review/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return Review.objects.select_related(
            "payment__payer", "payment__method", "attempt", "operation", "gateway_account", "decided_by", "dispute"
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """By due time while cases wait, which an index serves; what is over is walked newest first."""
        return KeysetChangeList if request.GET.get("state") else QUEUE

    @admin.display(description="Case")
    def case(self, review: Review) -> SafeString:
        return display.chip(pages.kind_chip(review.kind))

    @admin.display(description="Amount held")
    def held(self, review: Review) -> SafeString:
        held = pages.held_amount(review)
        if held is None:
            return display.hint("no money")
        return format_html(
            '<span class="cf-held">{}<span class="cf-hint">{}</span></span>',
            display.money(held.amount_minor, held.currency), pages.held_place(review),
        )  # fmt: skip

    @admin.display(description="Payment")
    def about(self, review: Review) -> SafeString:
        if review.payment is None:
            return format_html('<span class="cf-hint">of no payment</span> {}', review.gateway_id)
        return format_html(
            '{}<br><span class="cf-hint">{}</span>',
            display.link(link_to(review.payment.public_id)), review.payment.reference,
        )  # fmt: skip

    @admin.display(description="Gateway")
    def gateway(self, review: Review) -> str:
        return review.gateway_account.name

    @admin.display(description="Opened")
    def age(self, review: Any) -> SafeString:
        return display.when(review.opened_at, review.listed_at)

    @admin.display(description="Decide by")
    def due(self, review: Any) -> SafeString:
        overdue = pages.due_chip(review, review.listed_at) is not None
        due = display.when(review.due_at, review.listed_at)
        return format_html('<span class="cf-overdue">{}</span>', due) if overdue else due

    @admin.display(description="State")
    def state_shown(self, review: Any) -> SafeString:
        return display.chip(pages.due_chip(review, review.listed_at) or pages.state_chip(review))

    # -- one case ------------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        payer = masked_payer(obj.payment.payer) if obj.payment else ""
        page = pages.review_page(obj, now, decision=LABELS.get(obj.decision, ""), payer=payer)
        may = holds_right(request.user, DECIDE)
        books = request.user.has_perm("ledger.view_journalentry")
        shown = None if books else -1  # the last column leads into the books
        return {
            "title": pages.kind_words(obj.kind),
            "page": page,
            "head_chip": page.chip,
            "taken_columns": pages.TAKEN_COLUMNS,
            "movement_columns": pages.MOVEMENT_COLUMNS[:shown],
            "movements": [cells[:shown] for cells in page.movements],
            "entry_columns": ENTRY_COLUMNS,
            "may_see_books": books,
            "open": obj.state == ReviewState.OPEN,
            "steps_to_take": [] if obj.state != ReviewState.OPEN else self._steps(obj, may=may),
        }

    def _steps(self, review: Review, *, may: bool) -> list[Step]:
        could = "" if may else f"{pages.roles_that_may('decide_review')} could"
        return [
            Step(
                label=option.label,
                url=self.command_url(f"decide_{option.code}", review),
                blocked_by=option.refused or could,
                hint=option.explanation,
                primary=option.recommended,
            )
            for option in reviews.options_of(review)
        ]

    # -- the decisions -------------------------------------------------------------------------------------------------
    def commands(self) -> Sequence[Command]:
        return [
            Command(f"decide_{choice.code}", DECIDE, page=decision_page(choice, self._address)) for choice in CHOICES
        ]

    def _address(self, review: Review) -> str:
        return self.url_of(review)


def decision_page(choice: Choice, address: Callable[[Review], str]) -> CommandPage:
    """Build the three screens of one kind of decision."""
    return CommandPage(
        name=f"decide_{choice.code}",
        title=choice.label,
        intro=f"{choice.explanation} The gateway is asked first, so that nothing is decided on old news.",
        button=f"{choice.label}: decide",
        form=FORMS.get(choice.code, DecisionForm),
        preview=lambda call: _preview(choice, call),
        execute=lambda call: _execute(choice, call, address),
        refusals=(errors.PaymentsError,),
        conflicts=(DecidedMeanwhile,),
        describe_conflict=lambda error: error.conflict,  # type: ignore[attr-defined]  # DecidedMeanwhile is the only one
        facts=_facts,
        return_to=address,
    )


def _facts(review: Review) -> list[KeyValue]:
    return [
        KeyValue("Question", pages.question_of(review.kind), review.because),
        KeyValue("Amount held", pages.held_amount(review), pages.held_place(review)),
        KeyValue("Payment", link_to(review.payment.public_id) if review.payment else None),
        KeyValue("Decide by", review.due_at),
    ]


def _preview(choice: Choice, call: CommandCall) -> Preview:
    """Ask the gateway, and show its word beside what would be written. Looking writes look-ups, and what they reveal."""
    prepared = reviews.prepare_decision(
        call.subject.public_id,
        option=choice.code,
        actor=Actor.for_user(call.actor),
        clock=timezone.now,
        target_payment=call.answers.get("target_payment", ""),
    )
    if prepared.refused:
        news = f" The gateway said just now: {' '.join(prepared.changes)}" if prepared.changes else ""
        raise errors.NotAllowedNow(prepared.refused + news)
    return Preview(
        summary=f"{choice.label}. {choice.explanation}",
        facts=[_word_of_gateway(call.subject, prepared), *_answers(call)],
        columns=("What is written",),
        rows=[(line,) for line in prepared.lines],
        warnings=[f"Since you opened the case: {change}" for change in prepared.changes],
        version=str(prepared.version),
    )


def _word_of_gateway(review: Review, prepared: reviews.Prepared) -> KeyValue:
    if review.payment_id is None:
        return KeyValue("The gateway's word", "not asked: no payment of ours made this money", "")
    said = "Something new, see above." if prepared.changes else "Nothing new: what we know is what it says now."
    return KeyValue("The gateway's word", said, "Asked just now; good for 15 minutes.")


def _answers(call: CommandCall) -> list[KeyValue]:
    until = _until(call.answers)
    return [
        *(
            [KeyValue("Pays", link_to(call.answers["target_payment"].strip()))]
            if "target_payment" in call.answers
            else []
        ),
        *([KeyValue("Comes back", until)] if until else []),
        KeyValue("Reason", REASON_WORDS.get(call.answers["reason"], call.answers["reason"])),
        KeyValue("Note", call.answers["note"]),
    ]


def _until(answers: dict[str, Any]) -> datetime | None:
    day = answers.get("until")
    return datetime.combine(day, time(9), tzinfo=UTC) if day else None


def _execute(choice: Choice, call: CommandCall, address: Callable[[Review], str]) -> Outcome:
    review: Review = call.subject
    try:
        done = reviews.decide_review(
            review.public_id,
            option=choice.code,
            reason=call.answers["reason"],
            note=call.answers["note"],
            version=int(call.version),
            actor=Actor.for_user(call.actor),
            now=call.now,
            target_payment=call.answers.get("target_payment", "").strip(),
            until=_until(call.answers),
        )
    except errors.Conflict as conflict:
        raise DecidedMeanwhile(*pages.last_word(review.public_id, str(conflict))) from conflict
    if done.state == ReviewState.OPEN:
        return Outcome(f"Put off until {done.due_at:%d %b %Y %H:%M} UTC. Nothing was posted.", address(review))
    return Outcome(f"Decided: {choice.label.lower()}.", address(review))
