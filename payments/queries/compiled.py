"""How are rows read that every step of every payment needs? By a question that Django compiles once; writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.transaction import TransactionManagementError

Row = TypeVar("Row", bound=Model)
_STANDS_FOR_IT = -1


class Question(Generic[Row]):
    """All rows of one model for one number, as a query set would read them; no `select_related`.

    Compiling a query set's SQL takes several times as long as asking it, and comes out the same each time.
    `ask`: the query set of a number; every other condition in it must be free of values.
    """

    def __init__(self, ask: Callable[[int], QuerySet[Row]]) -> None:
        self._ask = ask
        self._rows: QuerySet[Row] | None = None
        self._sql = ""

    def __call__(self, number: int) -> list[Row]:
        """The rows as they are now. Raises: TransactionManagementError, if it locks rows outside a transaction."""
        rows = self._compile() if self._rows is None else self._rows  # its truth would be a query
        if rows.query.select_for_update and not connection.in_atomic_block:
            raise TransactionManagementError("Rows are locked inside a transaction only.")
        return list(rows.raw(self._sql, [number]))

    def _compile(self) -> QuerySet[Row]:
        rows = self._ask(_STANDS_FOR_IT)
        self._sql, values = rows.query.sql_with_params()
        if values != (_STANDS_FOR_IT,):
            raise ValueError(f"A question stands for one number, not for {values}.")
        self._rows = rows
        return rows
