"""Which rows stand on this page of a list? Walks by primary key and never counts: every page costs the same."""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from unfold.views import ChangeList

OLDER = "before"  # rows with a smaller key than this one
NEWER = "after"  # rows with a greater key than this one


class CursorError(ValueError):
    """The address names a row key that is none, or both directions at once."""


class KeysetPager(Paginator):
    """Names our pager's template to Unfold. It never counts: the list hands it the rows already cut."""

    template_name = "console/pager.html"

    @property
    def count(self) -> int:
        return len(self.object_list)


def read_cursor(params: QueryDict | dict[str, Any], key: Field) -> tuple[str, Any] | None:
    """Read direction and key out of an address; None for the first page.

    Raises: CursorError if the key does not fit the field, or both directions are given.
    """
    given = [(name, params[name]) for name in (OLDER, NEWER) if name in params]
    if not given:
        return None
    if len(given) == 2:
        raise CursorError("An address may name rows before or after a key, not both.")
    direction, raw = given[0]
    try:
        value = key.to_python(raw)
        key.run_validators(value)
    except ValidationError as error:
        raise CursorError(f"“{raw}” is no row of this list.") from error
    return direction, value


class KeysetChangeList(ChangeList):
    """The admin's list, newest first, cut by primary key: one query of per_page + 1 rows, no COUNT, no OFFSET."""

    newer_query: str = ""
    older_query: str = ""
    first_label = "Newest"
    newer_label = "Newer"
    older_label = "Older"

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (OLDER, NEWER)}

    def get_query_string(self, new_params: dict[str, Any] | None = None, remove: list[str] | None = None) -> str:
        """Every link that changes a filter starts at the first page again: a cursor belongs to one selection."""
        query: str = super().get_query_string(new_params, [*(remove or []), OLDER, NEWER])
        return query

    def get_results(self, request: HttpRequest) -> None:
        try:
            cursor = read_cursor(request.GET, self.lookup_opts.pk)
        except CursorError as error:
            raise IncorrectLookupParameters from error
        rows, more = self._cut(self.queryset, cursor)
        direction = cursor[0] if cursor else OLDER
        has_newer = more if direction == NEWER else cursor is not None
        has_older = more if direction == OLDER else True
        if rows and has_newer:
            self.newer_query = self.get_query_string({NEWER: rows[0].pk})
        if rows and has_older:
            self.older_query = self.get_query_string({OLDER: rows[-1].pk})
        self.first_query = self.get_query_string() if cursor else ""
        self.result_list = rows
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = False
        self.show_admin_actions = False
        self.can_show_all = False
        self.multi_page = bool(self.newer_query or self.older_query)
        self.paginator = KeysetPager(rows, self.list_per_page)

    def _cut(self, queryset: QuerySet[Model], cursor: tuple[str, Any] | None) -> tuple[list[Model], bool]:
        """Return the page's rows, newest first, and whether more follow in the direction walked."""
        size = self.list_per_page
        if cursor is None:
            found = list(queryset.order_by("-pk")[: size + 1])
            return found[:size], len(found) > size
        direction, key = cursor
        if direction == OLDER:
            found = list(queryset.filter(pk__lt=key).order_by("-pk")[: size + 1])
            return found[:size], len(found) > size
        found = list(queryset.filter(pk__gt=key).order_by("pk")[: size + 1])
        return found[:size][::-1], len(found) > size

    def url_for_result(self, result: Model) -> str:
        name = f"{self.model_admin.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=(self.model_admin.address_of(result),))
