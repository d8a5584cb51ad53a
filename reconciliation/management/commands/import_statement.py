"""Read a report of a gateway or bank from a file: once, whatever it repeats."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from payments.errors import PaymentsError
from payments.services.actors import SYSTEM
from reconciliation.services.ingestion import Report, Taken, take_in
from reconciliation.sources.registry import SOURCES
from reconciliation.states import StatementState

READ, FAULTY, REFUSED = 0, 1, 2


class Command(BaseCommand):
    """`manage.py import_statement nmi acquirer.csv --from 2026-11-20 --to 2026-11-20`"""

    help = (
        "Read a report from a file. Exit status 0: read whole (or known already), 1: read, but incomplete or with rejected "
        "lines, 2: refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("gateway", help="the account: a gateway account's slug or a bank account's name")
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", default="", choices=["", *SOURCES], help="its format; default: the account's")
        parser.add_argument("--from", dest="starts_on", type=_day, help="first day it covers")
        parser.add_argument("--to", dest="ends_on", type=_day, help="last day it covers")
        parser.add_argument("--open", action="store_true", help="it is not final: a later report completes it")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        report = Report(
            path.name,
            options["source"],
            options["starts_on"],
            options["ends_on"],
            closed=not options["open"],
        )
        try:
            with path.open("rb") as content:
                taken = take_in(options["gateway"], content, report, actor=SYSTEM, now=timezone.now())
        except OSError as trouble:
            self._refuse(f"{path}: {trouble.strerror}", as_json=options["json"])
        except PaymentsError as refusal:
            self._refuse(refusal.detail, as_json=options["json"])
        else:
            self._tell(taken, as_json=options["json"])

    def _tell(self, taken: Taken, *, as_json: bool) -> None:
        statement = taken.statement
        if statement.state == StatementState.REFUSED:
            self._refuse(statement.refused_because, as_json=as_json)
        told = _told(taken)
        if as_json:
            self.stdout.write(json.dumps(told))
        else:
            known = "known already; " if taken.again else ""
            self.stdout.write(f"{statement.public_id}: {known}{_words(told['lines'])}")
            self.stdout.write(
                f"covers {statement.starts_on} to {statement.ends_on}; {statement.incomplete_because or 'complete'}"
            )
        sys.exit(READ if statement.complete and not statement.lines_rejected else FAULTY)

    def _refuse(self, sentence: str, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"refused": sentence}))
        else:
            self.stderr.write(sentence)
        sys.exit(REFUSED)


def _told(taken: Taken) -> dict[str, Any]:
    one = taken.statement
    lines = {
        "read": one.lines_read,
        "new": one.lines_new,
        "known": one.lines_known,
        "completed": one.lines_completed,
        "restated": one.lines_restated,
        "rejected": one.lines_rejected,
        "removed": one.lines_removed,
    }
    return {
        "statement": one.public_id,
        "again": taken.again,
        "from": str(one.starts_on),
        "to": str(one.ends_on),
        "complete": one.complete,
        "incomplete_because": one.incomplete_because,
        "sha256": one.sha256,
        "lines": lines,
        "totals": one.totals,
    }


def _words(lines: dict[str, int]) -> str:
    parts = ", ".join(f"{count:,} {name}" for name, count in lines.items() if count and name != "read")
    return f"{lines['read']:,} lines read" + (f": {parts}" if parts else "")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as wrong:
        raise ArgumentTypeError(f"{text!r} is no day as 2026-11-20") from wrong
