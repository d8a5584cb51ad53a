"""How is one small thing written on a page? The atoms of list cells and template tags, as safe HTML."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.html import format_html
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString, mark_safe

from console.moments import distance_in_words, exact
from console.values import Amount, Chip, Link, Shown

DASH = mark_safe('<span class="cf-dash" title="Not known yet">&ndash;</span>')


@cache
def _money_format(path: str) -> Callable[[int, str], str]:
    found: Callable[[int, str], str] = import_string(path)
    return found


def money_text(amount_minor: int, currency: str) -> str:
    """Write minor units as a grouped decimal number without currency: 1234567 USD is "12,345.67".

    Raises: ImproperlyConfigured if settings.CONSOLE_MONEY_FORMAT (amount_minor, currency) -> "12345.67" is not set.
    """
    path = getattr(settings, "CONSOLE_MONEY_FORMAT", "")
    if not path:
        raise ImproperlyConfigured(
            "Set CONSOLE_MONEY_FORMAT to the function that writes minor units as a decimal number."
        )
    return grouped(_money_format(path)(amount_minor, currency))


def grouped(number: str) -> str:
    """Group the whole part of a decimal number in thousands, exactly, and write the minus as U+2212."""
    sign, digits = ("\u2212", number[1:]) if number.startswith("-") else ("", number)
    whole, point, rest = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def money(amount: int | str, currency: str) -> SafeString:
    """Show an amount: minor units (int) or an already written number (str), the currency quiet behind."""
    number = amount if isinstance(amount, str) else money_text(amount, currency)
    tone = " cf-money--negative" if number.startswith(("-", "\u2212")) else ""
    return format_html(
        '<span class="cf-money{}"><span class="cf-money__number">{}</span> '
        '<span class="cf-money__currency">{}</span></span>',
        tone, number, currency,
    )  # fmt: skip


def when(moment: datetime | None, now: datetime) -> SafeString:
    """Show a moment as a distance from now, the exact time on hover and for machines."""
    if moment is None:
        return DASH
    return format_html(
        '<time class="cf-time" datetime="{}" title="{}">{}</time>',
        moment.isoformat(), exact(moment), distance_in_words(moment, now),
    )  # fmt: skip


def chip(value: Chip) -> SafeString:
    """Show a state: icon, text and tone together, so that no colour speaks alone."""
    return format_html(
        '<span class="cf-chip cf-chip--{}" title="{}">'
        '<span class="material-symbols-outlined cf-icon" aria-hidden="true">{}</span>{}</span>',
        value.tone, value.hint, value.icon, value.text,
    )  # fmt: skip


def link(value: Link) -> SafeString:
    """Show a name that leads somewhere; public ids in the type of identifiers. Without an address it is plain text."""
    kind = "cf-code" if value.code else "cf-plain"
    if not value.url:
        return format_html('<span class="{}">{}</span>', kind, value.text)
    return format_html('<a class="cf-link {}" href="{}">{}</a>', kind, value.url, value.text)


def hint(text: str) -> SafeString:
    """Show a word that steps back: what is absent, or goes without saying."""
    return format_html('<span class="cf-hint">{}</span>', text)


def shown(value: Shown, now: datetime) -> SafeString:
    """Show any value a facts line or a table cell may hold."""
    match value:
        case None | "":
            return DASH
        case Amount():
            return money(value.amount_minor, value.currency)
        case Chip():
            return chip(value)
        case Link():
            return link(value)
        case datetime():
            return when(value, now)
        case _:
            return format_html("{}", value)
