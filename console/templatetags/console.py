"""What do the templates of every app share? Tags for amounts, moments, states and evidence; they read no database."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.template.context import Context
from django.utils.safestring import SafeString

from console import display
from console.charts import Chart, drawn
from console.redaction import redact
from console.values import Amount, Chip, KeyValue, Link, Shown, TimelineItem, Tone

register = template.Library()
_SHORT = 16


def _now(context: Context) -> datetime:
    """The page's own moment: read once by the view, so that every age on one page agrees."""
    now = context.get("page_time")
    if not isinstance(now, datetime):
        raise template.TemplateSyntaxError("A page that shows ages needs `page_time` in its context.")
    return now


@register.simple_tag
def money(amount: int | str, currency: str) -> SafeString:
    """{% money 1234 "USD" %}: minor units (int) or an already written number (str), and its currency."""
    return display.money(amount, currency)


@register.simple_tag(takes_context=True)
def when(context: Context, moment: datetime | None) -> SafeString:
    """{% when payment.created_at %}: "12 min ago", exact time on hover."""
    return display.when(moment, _now(context))


@register.simple_tag
def chip(value: Chip | str, tone: str = "quiet", icon: str = "circle", hint: str = "") -> SafeString:
    """{% chip payment_chip %} or {% chip "captured" "good" "check_circle" %}."""
    return display.chip(value if isinstance(value, Chip) else Chip(value, Tone(tone), icon, hint))


@register.simple_tag
def public_id(text: str, url: str = "") -> SafeString:
    """{% public_id "pay_…" url %}: an identifier in its own type, leading to its page."""
    return display.link(Link(text, url, code=True))


@register.simple_tag(takes_context=True)
def shown(context: Context, value: Shown) -> SafeString:
    """{% shown value %}: whatever a facts line or a cell holds."""
    return display.shown(value, _now(context))


@register.inclusion_tag("console/_evidence.html")
def evidence(value: object, label: str = "Raw evidence") -> dict[str, Any]:
    """{% evidence body "Webhook" %}: the raw message, secrets and card numbers hidden, folded away until asked for."""
    safe = redact(value)
    text = safe if isinstance(safe, str) else json.dumps(safe, indent=2, ensure_ascii=False, default=str)
    text = text.encode(errors="backslashreplace").decode()  # half a surrogate pair cannot be sent; its escape can
    return {"label": label, "text": text, "lines": text.count("\n") + 1}


@register.inclusion_tag("console/_empty.html")
def empty_state(title: str, advice: str = "", icon: str = "inbox") -> dict[str, str]:
    """{% empty_state "No reviews" "They appear when…" %}: an empty page that says what to do."""
    return {"title": title, "advice": advice, "icon": icon}


@register.inclusion_tag("console/_facts.html", takes_context=True)
def facts(context: Context, lines: Sequence[KeyValue]) -> dict[str, Any]:
    """{% facts lines %}: labels and values in aligned columns."""
    return {"lines": lines, "page_time": _now(context)}


@register.inclusion_tag("console/_table.html", takes_context=True)
def table(context: Context, columns: Sequence[str], rows: Sequence[Sequence[Shown]]) -> dict[str, Any]:
    """{% table columns rows %}: shown values in columns; a column with an amount in it is set right."""
    numeric = [any(isinstance(row[at], Amount) for row in rows) for at in range(len(columns))]
    lines = [
        [(cell, _cell_class(cell, of_amounts)) for cell, of_amounts in zip(row, numeric, strict=True)] for row in rows
    ]
    return {"heads": list(zip(columns, numeric, strict=True)), "lines": lines, "page_time": _now(context)}


def _cell_class(cell: Shown, of_amounts: bool) -> str:  # noqa: FBT001 - one of two columns
    """Amounts stand right; a day, a count or a short id is not broken over two lines."""
    if of_amounts:
        return "cf-num"
    text = cell.text if isinstance(cell, Link) else cell
    return "cf-nowrap" if isinstance(text, str) and len(text) <= _SHORT and any(map(str.isdigit, text)) else ""


@register.inclusion_tag("console/_timeline.html", takes_context=True)
def timeline(context: Context, items: Sequence[TimelineItem]) -> dict[str, Any]:
    """{% timeline items %}: what happened in causal order, each line with its cause and evidence."""
    return {"items": items, "page_time": _now(context)}


@register.inclusion_tag("console/_bars.html", takes_context=True)
def bar_chart(context: Context, chart: Chart) -> dict[str, Any]:
    """{% bar_chart chart %}: lying bars, each with its name and number, leading to its rows."""
    return {"chart": chart, "drawn": drawn(chart), "page_time": _now(context)}


@register.inclusion_tag("console/_columns.html", takes_context=True)
def column_chart(context: Context, chart: Chart) -> dict[str, Any]:
    """{% column_chart chart %}: columns over time; the numbers stand in a table behind them."""
    ends = {"first": chart.bars[0], "last": chart.bars[-1]} if chart.bars else {}
    numbers = [(bar.label, bar.shown) for bar in chart.bars]
    return {"chart": chart, "drawn": drawn(chart), "numbers": numbers, "page_time": _now(context), **ends}
