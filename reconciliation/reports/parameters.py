"""What did somebody ask a report for? Text out of forms, commands and schedules becomes checked values, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from ledger.chart import CHART
from ledger.money import MINOR_DIGITS
from payments.errors import InvalidInput
from reconciliation.reports.base import Asks, Given, Parameter, Report, Value

_YES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_LONGEST = 200


def read_parameters(report: Report, raw: Mapping[str, object], today: date) -> Given:
    """Every parameter of the report, None where nothing was given and there is no default.

    Raises: InvalidInput naming the parameter: unknown to this report, not readable, missing, or a period turned round.
    """
    known = {parameter.name: parameter for parameter in report.parameters}
    texts = {name: str(value).strip() for name, value in raw.items() if value is not None and str(value).strip()}
    for name in texts:
        if name not in known:
            takes = ", ".join(known) or "none"
            raise InvalidInput(f"{report.title} has no parameter “{name}”; it takes {takes}.", field=name)
    given = {name: _read(parameter, texts.get(name, ""), today) for name, parameter in known.items()}
    start, end = given.get("from"), given.get("to")
    if isinstance(start, date) and isinstance(end, date) and start > end:
        raise InvalidInput(f"The period ends on {end} before it starts on {start}.", field="to")
    return given


def as_text(given: Given) -> dict[str, str]:
    """The same as text again: what is kept with a job and stands in the manifest."""
    return {name: _text(value) for name, value in given.items() if value is not None and value is not False}


def _text(value: Value) -> str:
    if value is True:
        return "yes"
    return value.isoformat() if isinstance(value, date) else str(value)


def _read(parameter: Parameter, text: str, today: date) -> Value:
    if not text and parameter.default:
        return today if parameter.default == "today" else today - timedelta(days=1)
    if not text:
        if parameter.required:
            raise InvalidInput(f"“{parameter.name}” is needed. {parameter.words}", field=parameter.name)
        return False if parameter.asks == Asks.FLAG else None
    if parameter.asks == Asks.DAY:
        return _day(parameter, text)
    if parameter.asks == Asks.FLAG:
        return _flag(parameter, text)
    _check(parameter, text)
    return text


def _day(parameter: Parameter, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{parameter.name}: {text!r} is no day such as 2026-01-31.", field=parameter.name) from None


def _flag(parameter: Parameter, text: str) -> bool:
    try:
        return _YES[text.lower()]
    except KeyError:
        raise InvalidInput(f"{parameter.name} is yes or no, not {text!r}.", field=parameter.name) from None


def _check(parameter: Parameter, text: str) -> None:
    problem = ""
    if parameter.asks == Asks.CURRENCY and text not in MINOR_DIGITS:
        problem = f"{text!r} is no currency: write an upper-case ISO 4217 code such as USD."
    elif parameter.asks == Asks.CODE and text not in CHART:
        problem = f"{text!r} is no code of the chart of accounts."
    elif parameter.asks == Asks.CHOICE and text not in parameter.choices:
        problem = f"{parameter.name} is one of {', '.join(parameter.choices)}, not {text!r}."
    elif len(text) > _LONGEST or not text.isprintable():
        problem = f"{parameter.name} is longer than {_LONGEST} characters or holds signs that cannot be seen."
    if problem:
        raise InvalidInput(problem, field=parameter.name)
