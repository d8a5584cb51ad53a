"""Where are differences worked on? The queue, the page of one with its ways out, and the causes that share a fix."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console import display
from console.admin import Command, LockedAdmin
from console.links import link_to
from console.listing import KeysetChangeList
from console.ordered import OrderedChangeList
from console.rights import holds_right
from console.values import Amount, Link, Shown, Step
from reconciliation.admin import break_commands as commands
from reconciliation.admin.break_filters import AgeFilter, KindFilter, OwnerFilter, StateFilter, UrgencyFilter
from reconciliation.models import Break, BreakEvidence
from reconciliation.queries import break_page as pages
from reconciliation.queries.break_queue import CauseRow, causes, standing
from reconciliation.queries.break_words import age_of, kind_chip, kind_words, state_chip
from reconciliation.services.resolutions.base import RESOLVE
from reconciliation.services.resolutions.bulk import breaks_of_cause
from reconciliation.services.resolutions.commanding import Option, options_of
from reconciliation.services.resolutions.registry import COMMANDS
from reconciliation.states import OPEN_BREAK_STATES, BreakState

QUEUE = OrderedChangeList.by("due_at")
CAUSE_COLUMNS = ("Account", "Kind", "Cause", "Breaks", "Value at risk", "Difference", "Days", "")


@admin.register(Break)
class BreakAdmin(LockedAdmin):
    """Differences that wait for a person, the most urgent first."""

    list_display = ("kind_shown", "value", "account_shown", "what", "age", "due", "owner_shown", "state_shown")
    list_display_links = ("kind_shown",)
    list_filter = (StateFilter, KindFilter, AgeFilter, OwnerFilter, UrgencyFilter, "account")
    exact_search = ("public_id", "payment_public_id")
    search_help_text = "Break or payment. Compared exactly."
    address_field = "public_id"
    list_title = "Breaks"
    list_intro = "What the last comparisons could not explain. Each has its ways out; the most urgent comes first."
    empty_title = "Nothing is unexplained"
    empty_advice = "Every line and every movement of the compared days is accounted for."
    change_list_template = "admin/reconciliation/break/list.html"
    detail_template = "admin/reconciliation/break/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Break]:
        return Break.objects.select_related("account", "owner", "line__statement", "statement", "last_run")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """By due time while they wait, which an index serves; what is over is walked newest first."""
        ended = request.GET.get("state") not in {None, "", "investigating", "snoozed"}
        return KeysetChangeList if ended else QUEUE

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        now = timezone.now()
        return super().changelist_view(request, {"standing": standing(now.date()), "page_time": now})

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return (("By cause", reverse("admin:reconciliation_break_causes")),)

    def commands(self) -> Sequence[Command]:
        return [
            Command("take", RESOLVE, run=commands.take),
            Command("release", RESOLVE, run=commands.release),
            Command("give", RESOLVE, page=commands.GIVE),
            Command("snooze", RESOLVE, page=commands.SNOOZE),
            Command("note", RESOLVE, page=commands.NOTE),
            Command("evidence", RESOLVE, page=commands.EVIDENCE),
            *(Command(page.name, COMMANDS[fix].right, page=page) for fix, page in commands.FIX_PAGES.items()),
            *(Command(page.name, COMMANDS[fix].right, page=page) for fix, page in commands.BULK_PAGES.items()),
        ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("causes/", view(require_safe(self.causes_view)), name="reconciliation_break_causes"),
            path("<str:object_id>/cause/", view(require_safe(self.cause_view)), name="reconciliation_break_cause"),
            path(
                "<str:object_id>/evidence/<int:number>/",
                view(require_safe(self.file_view)),
                name="reconciliation_break_file",
            ),
            *super().get_urls(),
        ]

    # -- the queue -----------------------------------------------------------------------------------------------------
    @admin.display(description="Break")
    def kind_shown(self, broken: Break) -> SafeString:
        return display.chip(kind_chip(broken.kind))

    @admin.display(description="Value at risk")
    def value(self, broken: Break) -> SafeString:
        return display.money(broken.value_minor, broken.currency) if broken.currency else display.hint("no money")

    @admin.display(description="Account")
    def account_shown(self, broken: Break) -> str:
        return broken.account.name

    @admin.display(description="What")
    def what(self, broken: Break) -> SafeString:
        about = display.link(link_to(broken.payment_public_id)) if broken.payment_public_id else ""
        return format_html('{} <span class="cf-hint cf-because">{}</span>', about, broken.because)

    @admin.display(description="Age")
    def age(self, broken: Any) -> SafeString:
        days = age_of(broken.day, broken.listed_at.date())
        return format_html('<span class="cf-nowrap">{} {}</span>', days, "day" if days == 1 else "days")

    @admin.display(description="Resolve by")
    def due(self, broken: Any) -> SafeString:
        return display.when(broken.due_at, broken.listed_at)

    @admin.display(description="Owner")
    def owner_shown(self, broken: Break) -> str | SafeString:
        return broken.owner.get_username() if broken.owner else display.hint("nobody")

    @admin.display(description="State")
    def state_shown(self, broken: Any) -> SafeString:
        return display.chip(state_chip(broken, broken.listed_at))

    # -- one break -----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = pages.break_page(obj, now)
        is_open = BreakState(obj.state) in OPEN_BREAK_STATES
        return {
            "title": page.title,
            "page": page,
            "head_chip": page.chip,
            "side_columns": pages.BANK_SIDES if obj.account.kind == obj.account.Kind.BANK else pages.SIDES,
            "evidence_columns": pages.EVIDENCE,
            "resolution_columns": pages.RESOLUTIONS,
            "open": is_open,
            "ways_out": [self._way_out(request, obj, option) for option in options_of(obj)] if is_open else [],
            "work": self._work(request, obj, is_open=is_open),
            "cause_url": reverse("admin:reconciliation_break_cause", args=(obj.public_id,)),
        }

    def _way_out(self, request: HttpRequest, broken: Break, option: Option) -> Step:
        may = holds_right(request.user, option.right)
        could = "" if may else f"{pages.roles_that_may(option.right)} could"
        lacks = option.evidence and not broken.evidence.exists()
        return Step(
            label=option.label,
            url=self.command_url(f"fix_{option.name}", broken),
            blocked_by=option.refused or could or ("It needs evidence: add a file first." if lacks else ""),
            hint=option.explanation,
        )

    def _work(self, request: HttpRequest, broken: Break, *, is_open: bool) -> list[Step]:
        if not holds_right(request.user, RESOLVE):
            return []
        steps = [
            Step("Add a note", self.command_url("note", broken)),
            Step("Add a file", self.command_url("evidence", broken)),
        ]
        if not is_open:
            return steps
        mine = broken.owner_id == request.user.pk
        first = Step("Leave it to others", self.command_url("release", broken), post=True)
        if broken.owner_id is None:
            first = Step("Take it", self.command_url("take", broken), post=True, primary=True)
        give = Step("Give it to somebody", self.command_url("give", broken))
        return [*([first] if mine or broken.owner_id is None else []), give, *steps, self._snooze(broken)]

    def _snooze(self, broken: Break) -> Step:
        return Step("Snooze", self.command_url("snooze", broken))

    def file_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """A file of evidence, never shown inside the page: it is somebody else's content."""
        self._look(request)
        broken: Any = self.find_row(request, object_id)
        found: BreakEvidence | None = broken.evidence.filter(pk=number).first()
        if found is None:
            raise Http404("There is no such file beside this break.")
        headers = {
            "Content-Disposition": f'attachment; filename="{_safe(found.name)}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "no-store",
        }
        return HttpResponse(bytes(found.content), content_type=found.content_type, headers=headers)

    # -- causes --------------------------------------------------------------------------------------------------------
    def causes_view(self, request: HttpRequest) -> HttpResponse:
        """Open breaks by what they share."""
        self._look(request)
        rows = [self._cause_cells(row) for row in causes()]
        context = {
            "title": "Breaks by cause",
            "intro": "Breaks that share a cause end together by one approved fix.",
            "columns": CAUSE_COLUMNS,
            "rows": rows,
        }
        return self.page(request, "admin/reconciliation/break/causes.html", context)

    def _cause_cells(self, row: CauseRow) -> list[Shown]:
        days = f"{row.oldest:%d %b}" if row.oldest == row.newest else f"{row.oldest:%d %b} to {row.newest:%d %b}"
        money: list[Shown] = [Amount(row.value_minor, row.currency), Amount(row.difference_minor, row.currency)]
        return [
            row.account,
            kind_words(row.kind),
            row.cause.replace("_", " "),
            f"{row.count:,}",
            *(money if row.currency else [None, None]),
            days,
            Link("Open", reverse("admin:reconciliation_break_cause", args=(row.sample,))),
        ]

    def cause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One cause: its breaks, and the fixes that take all of them."""
        self._look(request)
        broken: Any = self.find_row(request, object_id)
        rows = breaks_of_cause(broken.public_id)
        number = f"{len(rows):,} open {'break' if len(rows) == 1 else 'breaks'}"
        may = holds_right(request.user, RESOLVE)
        could = "" if may else f"{pages.roles_that_may(RESOLVE)} could"
        ways = [
            Step(
                option.label,
                self.command_url(f"bulk_{option.name}", broken),
                blocked_by=option.refused or could,
                hint=option.explanation,
            )
            for option in options_of(broken)
            if option.name in commands.BULK_PAGES
        ]
        context = {
            "title": broken.cause.replace("_", " "),
            "intro": f"{kind_words(broken.kind)} at {broken.account.name}: {number}.",
            "ways_out": ways if rows else [],
            "columns": commands.BULK_COLUMNS,
            "rows": [
                (
                    link_to(row.public_id),
                    f"{row.day:%d %b %Y}",
                    Amount(row.difference_minor, row.currency) if row.currency else None,
                    Amount(row.value_minor, row.currency) if row.currency else None,
                )
                for row in rows
            ],
        }
        return self.page(request, "admin/reconciliation/break/cause.html", context, broken)

    def _look(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _safe(name: str) -> str:
    """A file name that fits into a header whatever somebody called it."""
    return (
        "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._- ") else "_" for sign in name) or "evidence"
    )
