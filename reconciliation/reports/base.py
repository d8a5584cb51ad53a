"""What is a report? Its columns, its parameters, and the query that answers it; who writes it to which file is not asked here.

A report's query yields typed columns: amounts as whole minor units beside a column with their currency. What is made of
them in a file (decimals, safe text, dates) is decided once, in `reports.rendering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

Value = date | datetime | str | bool | None
Given = Mapping[str, Value]
"""Parameters after `read_parameters`: every name of the report, None where nothing was given."""


class Kind(StrEnum):
    """What a cell holds, and so how it is written."""

    CODE = "code"  # an id, state or currency of ours: letters, digits, dots, dashes; never begins with a sign
    TEXT = "text"  # anything somebody else may have written
    AMOUNT = "amount"  # minor units of the row's currency; written in main units with the currency's decimals
    COUNT = "count"
    RATE = "rate"  # a decimal as it is
    DATE = "date"
    MOMENT = "moment"  # in UTC
    FLAG = "flag"  # yes or no


class Asks(StrEnum):
    """What a parameter takes."""

    DAY = "day"
    ACCOUNT = "account"  # slug of a gateway or bank account
    CURRENCY = "currency"
    CODE = "code"  # of the chart of accounts
    CHOICE = "choice"
    FLAG = "flag"
    TEXT = "text"


class Format(StrEnum):
    """The files a report can be."""

    CSV = "csv"
    XLSX = "xlsx"
    BEANCOUNT = "beancount"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a heading that never changes, what it holds, what it means. `summed` ones make the control totals."""

    name: str
    kind: Kind
    words: str
    summed: bool = False
    currency: str = "currency"
    """For amounts: the column that names their currency."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing a person may narrow a report by."""

    name: str
    asks: Asks
    words: str
    required: bool = False
    choices: tuple[str, ...] = ()
    default: str = ""
    """For days: `today` or `yesterday`, of the business's time zone."""
    label: str = ""
    """On a form; empty: its name."""
    anything: str = "Any"
    """On a form, what no choice means."""
    period: str = ""
    """`start` or `end` of the period that schedules fill in; empty: not part of one."""


@dataclass(frozen=True, slots=True)
class Query:
    """SQL with named arguments, without an order; and the columns that order it."""

    sql: str
    args: dict[str, Any]
    order_by: tuple[str, ...]


class Report(Protocol):
    """What a file below `reconciliation/reports` offers as `REPORT`."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def answers(self) -> str:
        """The question it answers, for its card."""

    @property
    def columns(self) -> tuple[Column, ...]: ...
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...
    @property
    def formats(self) -> tuple[Format, ...]: ...
    def query(self, given: Given) -> Query:
        """What to ask the database, for parameters as `read_parameters` gives them."""


@dataclass(frozen=True, slots=True)
class TableReport:
    """A report that is one query; the usual implementation of `Report`."""

    name: str
    title: str
    answers: str
    columns: tuple[Column, ...]
    parameters: tuple[Parameter, ...]
    ask: Callable[[Given], Query]
    formats: tuple[Format, ...] = (Format.CSV, Format.XLSX)

    def query(self, given: Given) -> Query:
        """See `Report`."""
        return self.ask(given)


FROM = Parameter("from", Asks.DAY, "First day, included.", period="start")
TO = Parameter("to", Asks.DAY, "Last day, included.", period="end")
DAY = Parameter("day", Asks.DAY, "As of the end of this day; empty: today.", default="today", period="end")
ACCOUNT = Parameter("account", Asks.ACCOUNT, "Only this gateway or bank account.", anything="Every account")
CURRENCY = Parameter("currency", Asks.CURRENCY, "Only this currency.", anything="Every currency")
CURRENCY_COLUMN = Column("currency", Kind.CODE, "ISO 4217 code of the amounts in this row.")
