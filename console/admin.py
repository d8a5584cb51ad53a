"""What may a page of the admin do? Show. The locked-down base of every admin class: no add, change, delete or action.

Writing happens on command pages and POST-only buttons that an app's admin names in `commands()`; each makes one service
call of the app's own. This module is a door (it reads the clock), and it writes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.checks import ModelAdminChecks
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.views.decorators.http import require_POST, require_safe
from unfold.admin import ModelAdmin

from console.commands import CommandPage
from console.listing import CursorError, KeysetChangeList, read_cursor
from console.rights import holds_right
from console.values import KeyValue

_MOST_FOUND = 200  # rows one search may show; a reference that hits more is no reference


@dataclass(frozen=True, slots=True)
class Command:
    """One address that writes: a page (form, preview, execute) or a button (`run`, POST only), behind one right.

    With `on_list` it belongs to the list and not to one row; its function then gets None for the row.
    """

    name: str
    right: str
    page: CommandPage | None = None
    run: Callable[[HttpRequest, Any], HttpResponse] | None = None
    on_list: bool = False


class LockedAdmin(ModelAdmin):
    """A window on rows nobody edits by hand.

    A subclass names `list_display`, `exact_search` (indexed fields, compared exactly), `address_field` (the public id),
    `detail_template` with `detail_context()`. Rights: Django's view permission to look, `Command.right` to do.
    """

    checks_class = ModelAdminChecks  # Unfold's own queries the database, which an empty one cannot answer
    actions = None
    list_per_page = 50
    list_disable_select_all = True
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # "Show counts" would count the whole table once for every value of every filter
    sortable_by: Sequence[str] = ()
    exact_search: ClassVar[Sequence[str]] = ()
    address_field: ClassVar[str] = "pk"
    detail_template: ClassVar[str] = "console/detail.html"
    change_list_template = "console/list.html"
    list_title: ClassVar[str] = ""
    list_intro: ClassVar[str] = ""
    empty_title: ClassVar[str] = "Nothing here yet"
    empty_advice: ClassVar[str] = ""

    # Nobody adds, changes or deletes here, superusers included.
    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Looking is a right of its own; Django's default would accept a change permission instead."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.view_{self.opts.model_name}"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @property
    def plural(self) -> str:
        """What the rows are called together, in headings and trails."""
        return self.list_title or str(capfirst(self.opts.verbose_name_plural))

    def commands(self) -> Sequence[Command]:
        """Name the addresses of this class that write; none by default."""
        return ()

    def get_urls(self) -> list[URLPattern]:
        """List, page and commands; the addresses for adding, deleting and history do not exist."""
        base = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        urls = [path("", view(self.changelist_view), name=f"{base}_changelist")]
        for command in self.commands():
            place = "" if command.on_list else "<str:object_id>/"
            urls.append(
                path(f"{place}{command.name}/", view(self._command_view(command)), name=f"{base}_{command.name}")
            )
        return [*urls, path("<str:object_id>/", view(self.change_view), name=f"{base}_change")]

    def command_url(self, name: str, obj: Model | None = None) -> str:
        """Return the address of one of `commands()`."""
        args = () if obj is None else (self.address_of(obj),)
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{name}", args=args)

    def address_of(self, obj: Model) -> str:
        """Return what stands for the row in addresses: its public id, else its key."""
        return str(getattr(obj, self.address_field))

    def url_of(self, obj: Model) -> str:
        """Return the address of the row's page."""
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=(self.address_of(obj),))

    def find_row(self, request: HttpRequest, object_id: str) -> Model:
        """Return the row of an address. Raises: Http404 naming what was looked for."""
        try:
            row: Model = self.get_queryset(request).get(**{self.address_field: object_id})
        except (self.model.DoesNotExist, ValueError, ValidationError) as error:
            raise Http404(f"There is no {self.opts.verbose_name} “{object_id}”.") from error
        return row

    # -- the list ------------------------------------------------------------------------------------------------------
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """A list is narrowed by its own filters. Django would let an address compare any column in any way."""
        allowed: set[str] = set()
        for item in self.get_list_filter(request) if request is not None else self.list_filter:
            if isinstance(item, str):
                allowed |= {item, f"{item}__exact", f"{item}__id__exact", f"{item}__isnull"}
            else:
                filter_class = item[1] if isinstance(item, tuple | list) else item
                allowed.add(str(getattr(filter_class, "parameter_name", "")))
        return lookup in allowed

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        return self.exact_search

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by exact references: one union over the indexes first, then those keys.

        A single OR would let the planner walk the primary key backwards over the whole table.
        """
        term = search_term.strip()
        if not term or not self.exact_search:
            return queryset, False
        plain = queryset.order_by()
        parts = [plain.filter(**{name: term}).values_list("pk", flat=True)[:_MOST_FOUND] for name in self.exact_search]
        keys = set(parts[0].union(*parts[1:])) if len(parts) > 1 else set(parts[0])
        return queryset.filter(pk__in=keys), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            read_cursor(request.GET, self.opts.pk)
        except CursorError as error:
            messages.warning(request, f"{error} Showing the newest rows instead.")
            return HttpResponseRedirect(request.path)
        context = {
            "title": self.plural,
            "list_intro": self.list_intro,
            "empty_title": self.empty_title,
            "empty_advice": self.empty_advice,
            "list_steps": self.list_steps(request),
            **(extra_context or {}),
        }
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        """Return (label, address) of what may be started from the list, for this person; none by default."""
        return ()

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Stamp each row with the moment the list was drawn, so that cells can tell ages without reading a clock."""
        found: ChangeList = super().get_changelist_instance(request)
        now = timezone.now()
        for row in found.result_list:
            row.listed_at = now
        return found

    # -- one row -------------------------------------------------------------------------------------------------------
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one row; Django's editing form is not used at all."""
        return require_safe(self._detail_view)(request, object_id)

    def _detail_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.find_row(request, object_id)
        return self.page(request, self.detail_template, self.detail_context(request, row, timezone.now()), row)

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        """Return what the page of one row shows; by default its columns as they are."""
        facts = [
            KeyValue(capfirst(field.verbose_name), _plain(field.value_from_object(obj)), str(field.help_text))
            for field in self.opts.concrete_fields
        ]
        return {"facts": facts}

    def page(
        self, request: HttpRequest, template: str, context: dict[str, Any], obj: Model | None = None
    ) -> HttpResponse:
        """Answer with a page in the frame of the site."""
        frame = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "subject": obj,
            "title": str(obj) if obj is not None else self.plural,
            "back_url": reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist"),
            "back_label": self.plural,
            "page_time": timezone.now(),
        }
        request.current_app = self.admin_site.name  # what Django's own admin views do
        return TemplateResponse(request, template, {**frame, **context})

    # -- commands ------------------------------------------------------------------------------------------------------
    def _command_view(self, command: Command) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str | None = None) -> HttpResponse:
            if not self.has_view_permission(request) or not holds_right(request.user, command.right):
                words = f"This needs the right “{command.right}”, which none of your roles gives."
                raise PermissionDenied(words, command.right)
            row = None if object_id is None else self.find_row(request, object_id)
            if command.page is not None:
                return command.page.respond(request, self, row, timezone.now())
            assert command.run is not None, f"command {command.name} names neither a page nor a function"
            return command.run(request, row)

        return view if command.page is not None else require_POST(view)


def _plain(value: object) -> Any:
    """Leave what a facts line can show, write the rest as text."""
    return value if value is None or isinstance(value, str | datetime) else str(value)
