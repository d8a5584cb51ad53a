"""Which rows stand on this page of a list that is not sorted by age? The keyset walk over other columns; never counts.

A cursor names the row where the page before ended. Its place is read anew at each step, so a row that moved takes the
walk along instead of breaking it.
"""

from functools import reduce
from typing import Any, ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from console.listing import OLDER, KeysetChangeList

Place = list[tuple[str, Any]]


class OrderedChangeList(KeysetChangeList):
    """Rows in ascending order of `ordered_by` (columns that are never null), the key last: the first page starts lowest."""

    ordered_by: ClassVar[tuple[str, ...]] = ()
    first_label = "First"
    newer_label = "Previous"
    older_label = "Next"

    @classmethod
    def by(cls, *columns: str) -> type["OrderedChangeList"]:
        """Return a list in the order of these columns."""
        return type("OrderedBy" + "".join(columns), (cls,), {"ordered_by": columns})

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        """The columns of the walk, whatever the model's own order says."""
        return self._columns()

    def _columns(self) -> list[str]:
        return [*self.ordered_by, "pk"]

    def _cut(self, queryset: QuerySet[Model], cursor: tuple[str, Any] | None) -> tuple[list[Model], bool]:
        """Return the page's rows, lowest first, and whether more follow in the direction walked."""
        size, columns = self.list_per_page, self._columns()
        if cursor is None:
            found = list(queryset.order_by(*columns)[: size + 1])
            return found[:size], len(found) > size
        direction, key = cursor
        place = self._place(key)
        if direction == OLDER:  # the pager's onward step
            found = list(queryset.filter(_beyond(place, "gt")).order_by(*columns)[: size + 1])
            return found[:size], len(found) > size
        found = list(queryset.filter(_beyond(place, "lt")).order_by(*(f"-{c}" for c in columns))[: size + 1])
        return found[:size][::-1], len(found) > size

    def _place(self, key: Any) -> Place:
        columns = self._columns()
        values = self.root_queryset.filter(pk=key).values_list(*columns).first()
        if values is None:
            raise IncorrectLookupParameters(f"There is no row {key}.")
        return list(zip(columns, values, strict=True))


def _beyond(place: Place, side: str) -> Q:
    """Compare row by row: (a, b) > (x, y) as a > x or a = x and b > y, with a >= x first for the index."""
    (column, value), *rest = place
    if not rest:
        return Q(**{f"{column}__{side}": value})
    steps = []
    for at, (name, bound) in enumerate(place):
        same = reduce(lambda q, pair: q & Q(**{pair[0]: pair[1]}), place[:at], Q())
        steps.append(same & Q(**{f"{name}__{side}": bound}))
    return Q(**{f"{column}__{side}e": value}) & reduce(lambda a, b: a | b, steps)
