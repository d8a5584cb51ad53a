"""How do a million lines get into the database in flat memory? By COPY into a table of this transaction alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from django.db import connection

from ledger.money import BIGINT_MAX, MINOR_DIGITS
from payments.card_numbers import has_card_number, without_card_numbers
from reconciliation.lines import RejectedLine, StatementLine

TABLE: Final = "staged_line"
COLUMNS: Final = (
    ("number", "integer"),
    ("reason", "text"),
    ("raw", "jsonb"),
    ("content_hash", "text"),
    ("text", "text"),
    ("line_key", "text"),
    ("kind", "text"),
    ("day", "date"),
    ("occurred_at", "timestamptz"),
    ("gateway_id", "text"),
    ("parent_id", "text"),
    ("reference", "text"),
    ("payout_id", "text"),
    ("bank_ref", "text"),
    ("currency", "text"),
    ("gross_minor", "bigint"),
    ("fee_minor", "bigint"),
    ("tax_minor", "bigint"),
    ("net_minor", "bigint"),
    ("presentment_minor", "bigint"),
    ("presentment_currency", "text"),
    ("rate", "numeric(20,10)"),
    ("status", "text"),
    ("method", "text"),
    ("available_on", "date"),
)
_LIMITS: Final = {
    "line_key": 100,  # leaves room for the number of its occurrence
    "gateway_id": 100,
    "parent_id": 100,
    "reference": 120,
    "payout_id": 100,
    "bank_ref": 140,
    "presentment_currency": 10,
}
_SHORTEST_LIMIT: Final = min(_LIMITS.values())
_LARGEST: Final = BIGINT_MAX // 10_000
"""Minor units of one line: beyond it the sums of a few lines could not be kept, and no night of the account would end."""
_NULL: Final = "\x01"
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_ESCAPES: Final = dict.fromkeys(range(32), " ") | {92: "\\\\", 9: "\\t", 10: "\\n", 13: "\\r"}
_DIGITS_APART: Final = re.compile(r"[0-9][0-9\s./_+\-]{12,}+")  # possessive: each sign is looked at once
_SHORTEST_CARD: Final = 13
_as_json: Final = json.JSONEncoder(ensure_ascii=False).encode
_PIECE: Final = 400  # lines sent at once


class Stage:
    """Takes lines in, in order, and checks what every format has to keep: lengths, currencies, no card numbers."""

    def __init__(self, zone: ZoneInfo, currencies: Collection[str], payout_id: str) -> None:
        self._zone, self._payout_id = zone, payout_id
        self._currencies = frozenset(currencies)
        self._waiting: list[str] = []
        self.read = self.rejected = self.unkeyed = 0
        self.first_day: date | None = None
        self.last_day: date | None = None
        self._day = date.min  # of the line at hand

    def fill(self, items: Iterable[StatementLine | RejectedLine]) -> None:
        """Make the table and copy every line into it. The lines are produced while the server takes earlier ones."""
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
        names = ", ".join(name for name, _ in COLUMNS)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{TABLE}")
            cursor.execute(f"CREATE TEMPORARY TABLE {TABLE} ({columns}) ON COMMIT DROP")
            with cursor.copy(f"COPY {TABLE} ({names}) FROM STDIN (NULL E'\\x01')") as copy:
                for item in items:
                    self._waiting.append(self._row(item))
                    if len(self._waiting) >= _PIECE:
                        copy.write(self._piece())
                copy.write(self._piece())

    def _piece(self) -> bytes:
        piece = "".join(self._waiting).encode(errors="replace")
        self._waiting.clear()
        return piece

    def judge(self, item: StatementLine | RejectedLine) -> RejectedLine | None:
        """Count one line; None: it can be kept, else the line as rejected, without card numbers."""
        self.read += 1
        if isinstance(item, StatementLine):
            reason = self._problem(item)
            if not reason:
                self._note_day(item)
                return None
            item = RejectedLine(item.number, reason, item.raw)
        self.rejected += 1
        shown = {without_card_numbers(name): without_card_numbers(cell) for name, cell in item.raw.items()}
        return RejectedLine(item.number, without_card_numbers(item.reason)[:400], shown)

    def _note_day(self, line: StatementLine) -> None:
        day = self._day = line.occurred_at.astimezone(self._zone).date()
        if self.first_day is None or day < self.first_day:
            self.first_day = day
        if self.last_day is None or day > self.last_day:
            self.last_day = day

    def _row(self, item: StatementLine | RejectedLine) -> str:
        rejected = self.judge(item)
        if rejected is None and isinstance(item, StatementLine):
            return self._take(item)
        assert rejected is not None, "a rejected line stays rejected"
        fields = [str(rejected.number), rejected.reason, _as_json(rejected.raw)]
        return _line_of([*fields, *([_NULL] * (len(COLUMNS) - len(fields)))])

    def _take(self, line: StatementLine) -> str:
        content = _content(line, self._day, line.payout_id or self._payout_id)
        digest = hashlib.sha256("\t".join(content).encode(errors="replace")).hexdigest()
        if not line.line_key:
            self.unkeyed += 1
        raw, text = _as_json(line.raw), line.text[:300]
        if not text.isprintable():
            text = _CONTROL.sub(" ", text)
        if _may_hold_card(f"{raw}|{text}"):
            shown = {without_card_numbers(name): without_card_numbers(cell) for name, cell in line.raw.items()}
            raw, text = _as_json(shown), without_card_numbers(text)[:300]
        return _line_of([str(line.number), _NULL, raw, digest, text, *content])

    def _problem(self, line: StatementLine) -> str:
        """Why this line can not be kept; empty: it can."""
        if self._currencies and line.currency not in self._currencies:
            settles = ", ".join(sorted(self._currencies))
            return f"It is in {line.currency}; this account settles in {settles}."
        if line.currency not in MINOR_DIGITS:
            return f"Currency {line.currency[:10]!r} is in no table."
        named = (
            f"{line.line_key}|{line.gateway_id}|{line.parent_id}|{line.reference}|{line.payout_id}|{line.bank_ref}"
            f"|{line.presentment_currency}"
        )
        if len(named) > _SHORTEST_LIMIT:
            for name, limit in _LIMITS.items():
                if len(getattr(line, name)) > limit:
                    return f"Its {name.replace('_', ' ')} is longer than {limit} characters."
        if not all(amount is None or -_LARGEST <= amount <= _LARGEST for amount in _amounts(line)):
            return "An amount is more than the books can hold."
        if not f"{named}{line.status}{line.method}".isprintable() and _CONTROL.search(
            f"{named}{line.status}{line.method}"
        ):
            return "What identifies it holds control characters."
        if _may_hold_card(named) and has_card_number(named):
            return "What identifies it looks like a card number: the line was not kept."
        return ""


def _amounts(line: StatementLine) -> tuple[int | None, ...]:
    return line.gross_minor, line.fee_minor, line.tax_minor, line.net_minor, line.presentment_minor


def _content(line: StatementLine, day: date, payout_id: str) -> list[str]:
    """What makes two readings of one line the same: everything but its place, its evidence and its wording."""
    return [
        line.line_key,
        line.kind.value,
        day.isoformat(),
        line.occurred_at.isoformat(),
        line.gateway_id,
        line.parent_id,
        line.reference,
        payout_id,
        line.bank_ref,
        line.currency,
        str(line.gross_minor),
        _or_null(line.fee_minor),
        _or_null(line.tax_minor),
        _or_null(line.net_minor),
        _or_null(line.presentment_minor),
        line.presentment_currency,
        _or_null(line.rate),
        line.status[:30],
        line.method[:40],
        _or_null(line.available_on),
    ]


def _or_null(value: object) -> str:
    return _NULL if value is None else str(value)


def _line_of(fields: list[str]) -> str:
    row = "\t".join(fields)
    if (
        "\\" not in row
        and row.count("\t") == len(fields) - 1
        and row.replace("\t", "").replace(_NULL, "").isprintable()
    ):
        return row + "\n"
    return "\t".join(field if field == _NULL else field.translate(_ESCAPES) for field in fields) + "\n"


def _may_hold_card(text: str) -> bool:
    """A quick look that never misses one: most lines hold no thirteen digits without a letter between them."""
    if not text.isascii() or "%" in text or "\\u" in text:
        return True
    return any(sum(map(str.isdigit, run)) >= _SHORTEST_CARD for run in _DIGITS_APART.findall(text))
