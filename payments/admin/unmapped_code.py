"""Which codes does nobody know yet? The heap with counts, money and a sample; one click gives a code its class.

Safe to press twice: the same class again changes nothing, another one is refused and leads to the code's own page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from console.admin import Command, LockedAdmin
from console.rights import holds_right
from console.values import Amount, KeyValue
from payments import errors
from payments.models import UnmappedCode
from payments.queries import decline_page as pages
from payments.queries.review_page import roles_that_may
from payments.services.actors import Actor
from payments.services.declining.rules import CLASSES, CLASSIFY, classify_code


@admin.register(UnmappedCode)
class UnmappedCodeAdmin(LockedAdmin):
    """Unclassified codes, the newest first."""

    list_display = ("code", "provider", "seen")
    list_title = "Unmapped codes"
    list_intro = (
        "Refusals with a code that neither the gateway's sheet nor anybody here knows. They stop and wait for a person; "
        "a class given here counts from the next refusal on, and is changed on the code's own page."
    )
    empty_title = "Every code is known"
    empty_advice = "A code that nobody knows appears here with its first refusal."
    change_list_template = "admin/payments/unmappedcode/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[UnmappedCode]:
        codes = UnmappedCode.objects.select_related("sample__payment")
        one = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return codes if one else codes.filter(classified_at=None)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = holds_right(request.user, CLASSIFY)
        context = {
            "classes": [(name.value, pages.words(name), pages.class_chip(name)) for name in CLASSES],
            "could": "" if may else f"{roles_that_may('classify_code')} could classify it",
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Each row with its money and where its buttons post to."""
        found = super().get_changelist_instance(request)
        for row in found.result_list:
            row.facts, row.gateway = pages.unmapped_facts(row), pages.provider_name(row.provider)
            row.amounts = [Amount(minor, currency) for currency, minor in sorted(row.money.items())]
            row.classify_url = self.command_url("classify", row)
        return found

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        state = KeyValue(
            "Classified", obj.classified_at, "" if obj.classified_at else "Not yet: it stands on the heap."
        )
        return {"title": str(obj), "facts": [*pages.unmapped_facts(obj), state]}

    def commands(self) -> Sequence[Command]:
        return [Command("classify", CLASSIFY, run=self._classify)]

    def _classify(self, request: HttpRequest, row: Any) -> HttpResponse:
        back = HttpResponseRedirect(reverse(f"{self.admin_site.name}:payments_unmappedcode_changelist"))
        try:
            rule = classify_code(
                row.provider,
                row.code,
                request.POST.get("failure_class", ""),
                actor=Actor.for_user(request.user),  # type: ignore[arg-type]  # the right was asked for: nobody is anonymous here
                now=timezone.now(),
            )
        except errors.PaymentsError as refusal:
            messages.error(request, str(refusal))
            return back
        text = f"{rule} counts as {pages.words(rule.failure_class)} from the next refusal on."
        messages.success(request, f"{text} Its page, below Decline codes, changes it.")
        return back
