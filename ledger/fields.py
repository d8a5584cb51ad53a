"""Which database columns does the ledger need that Django lacks? Minor units, currency codes and transaction ids."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Func

CURRENCY_MAX_LENGTH = 8


class MinorUnitsField(models.BigIntegerField[int, int]):
    """A signed amount in whole minor units; its currency stands beside it."""


class CurrencyField(models.CharField[str, str]):
    """An upper-case currency code of the table in `ledger.money`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", CURRENCY_MAX_LENGTH)
        super().__init__(*args, **kwargs)


class PgCurrentXactId(Func):
    """`pg_current_xact_id()`: the top-level transaction, also inside savepoints (a row's xmin is the savepoint's)."""

    function = "pg_current_xact_id"
    arity = 0


class Xid8Field(models.Field[int, int]):
    """PostgreSQL's 64-bit transaction id. It compares and sorts; there is no arithmetic on it."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "xid8"

    def from_db_value(self, value: str | int | None, expression: object, connection: BaseDatabaseWrapper) -> int | None:
        return None if value is None else int(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return str(value)
