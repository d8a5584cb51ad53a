"""By which terms and mappings is an account compared, in words? What its pages show; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.urls import reverse

from console.values import Amount, Chip, KeyValue, Link, Shown, Tone
from reconciliation.models import ColumnMapping, ContractRate, Statement, StatementAccount
from reconciliation.queries.statement_page import days_of, statement_chip
from reconciliation.queries.terms_words import hours_text, sum_words
from reconciliation.sources.registry import SOURCES

STATEMENT_COLUMNS: Final = ("Report", "Covers", "Lines", "State")
MAPPING_COLUMNS: Final = ("Mapping", "Made", "By", "")
FIELD_COLUMNS: Final = ("Our field", "Column of the file")
KIND_COLUMNS: Final = ("The file's word", "What it means")
_READ: Final = (
    "line_key", "gateway_id", "parent_id", "reference", "kind", "status", "occurred_at", "available_on", "currency", "gross",
    "debit", "credit", "fee", "tax", "net", "presentment", "presentment_currency", "rate", "payout_id", "bank_ref", "method",
    "text", "count",
)  # fmt: skip
_LAST_SECOND: Final = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
IN_FORCE: Final = Chip("in force", Tone.GOOD, "check_circle", "Files are read by it.")
EARLIER: Final = Chip("earlier", Tone.QUIET, "history", "Statements of its time keep it.")


def facts_of(account: StatementAccount) -> list[KeyValue]:
    """Whose, and in which form its reports come."""
    source = SOURCES[account.source].words if account.source in SOURCES else account.source
    return [
        KeyValue("Kind", account.get_kind_display()),
        KeyValue("Format", source),
        KeyValue("How it comes", "asked for by API" if account.fetched else "as a file, imported by people"),
        KeyValue("Time zone", account.time_zone, "In which its days begin and end"),
        KeyValue("Settles in", ", ".join(account.currencies) or "any currency"),
        KeyValue(
            "Books start on", str(account.books_start_on) if account.books_start_on else "not set: everything counts"
        ),
        KeyValue("Changes so far", str(account.version)),
    ]


def clocks_of(account: StatementAccount) -> list[KeyValue]:
    """When it is compared, and how long what may take."""
    night = (
        f"every night, its report is expected at {account.nightly_hour:02d}:00" if account.nightly else "by hand only"
    )
    return [
        KeyValue("Compared", night),
        KeyValue("A movement may take", f"{account.lag_days} business days", "to stand in a report"),
        KeyValue("And is missing after", f"{account.lag_cap_days} days", "whatever the lag"),
        KeyValue("A line may be ahead of us for", f"{hours_text(account.early_seconds)} h"),
        KeyValue("A payout may take", f"{account.bank_days} bank days", "to be in the bank"),
        KeyValue("Holidays", ", ".join(account.holidays) or "weekends only"),
    ]


def alarms_of(account: StatementAccount) -> list[KeyValue]:
    """What is booked by itself, and what rings."""
    return [
        KeyValue("Rounding booked by itself", _sum(account.tolerance_minor, account), "per line"),
        KeyValue("And in all", _sum(account.tolerance_day_minor, account), "per day and currency"),
        KeyValue("Rings from", f"{account.alert_count} open differences" if account.alert_count else "no count"),
        KeyValue("Or from", _sum(account.alert_value_minor, account) if account.alert_value_minor else "no value"),
        KeyValue("Or from an age of", f"{account.alert_age_days} days" if account.alert_age_days else "no age"),
        KeyValue("Or from a share of", f"{account.alert_share} % of lines" if account.alert_share else "no share"),
        KeyValue("Told by e-mail", ", ".join(account.alert_to) or "nobody"),
        KeyValue("Looked at a second time", f"{account.sample_percent} % of what rules resolve"),
    ]


def mappings_of(account: StatementAccount) -> list[tuple[Shown, ...]]:
    rows = account.mappings.order_by("-number")[:20]
    return [(_mapping_link(row), row.made_at, row.made_by, mapping_chip(row)) for row in rows]


def statements_of(account: StatementAccount) -> list[tuple[Shown, ...]]:
    rows: list[Statement] = list(account.statements.order_by("-id")[:10])
    return [
        (
            Link(row.name, reverse("admin:reconciliation_statement_change", args=(row.public_id,))),
            days_of(row),
            f"{row.lines_read:,}",
            statement_chip(row),
        )
        for row in rows
    ]


def rates_count(account: StatementAccount) -> int:
    return ContractRate.objects.filter(account=account).count()


def mapping_chip(mapping: ColumnMapping) -> Chip:
    return IN_FORCE if mapping.current else EARLIER


def mapping_facts(mapping: ColumnMapping) -> list[KeyValue]:
    account = Link(
        mapping.account.name, reverse("admin:reconciliation_statementaccount_change", args=(mapping.account_id,))
    )
    return [
        KeyValue("Account", account),
        KeyValue("Version", str(mapping.number)),
        KeyValue("Made", mapping.made_at),
        KeyValue("Made by", mapping.made_by),
        KeyValue("Delimiter", mapping.delimiter),
        KeyValue("Encoding", mapping.encoding),
        KeyValue("Decimal mark", mapping.decimal_mark or "none: amounts are minor units"),
        KeyValue("Thousands mark", mapping.thousands_mark or "none"),
        KeyValue(
            "Form of dates",
            mapping.date_format,
            f"{_example(mapping.date_format)}times without a zone are in {mapping.account.time_zone}",
        ),
        KeyValue("Fees that take away", "have a minus" if mapping.fees_negative else "have no sign"),
        KeyValue("Refunds and other debits", "have no minus" if mapping.debits_positive else "have a minus"),
        KeyValue("Row of totals", mapping.total_row or "none"),
    ]


def in_order(columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Our fields with their headings: what a line is, then its money, then the rest. Stored in no order of ours."""
    return sorted(columns.items(), key=lambda one: (_READ.index(one[0]) if one[0] in _READ else len(_READ), one[0]))


def fields_of(mapping: ColumnMapping) -> list[tuple[Shown, ...]]:
    return [(name.replace("_", " "), heading) for name, heading in in_order(mapping.columns) if heading]


def kinds_of(mapping: ColumnMapping) -> list[tuple[Shown, ...]]:
    return [(word or "(empty)", kind.replace("_", " ")) for word, kind in mapping.kinds.items()]


def mapping_numbers(slug: str) -> int:
    """The newest version of an account; 0: it has none."""
    newest: Any = ColumnMapping.objects.filter(account__slug=slug).order_by("-number").first()
    return newest.number if newest is not None else 0


def _example(form: str) -> str:
    """How the last second of a year is written by it; nothing for a form that writes none."""
    written = _LAST_SECOND.strftime(form).strip() if "%" in form else ""
    return f"such as {written}; " if written else ""


def _mapping_link(mapping: ColumnMapping) -> Link:
    return Link(f"version {mapping.number}", reverse("admin:reconciliation_columnmapping_change", args=(mapping.pk,)))


def _sum(amount_minor: int, account: StatementAccount) -> Shown:
    one = account.currencies[0] if len(account.currencies) == 1 else ""
    return Amount(amount_minor, one) if one else sum_words(amount_minor, account.currencies)
