"""Do our books, a gateway's report and the bank agree on a day? Runs the comparison and prints both equations.

Ends with 0 where everything balances and no break is open, 1 with open breaks, 2 where it could not be compared.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from payments.errors import PaymentsError
from reconciliation.services.comparing import Outcome, compare_day


def _day(text: str) -> date:
    return date.fromisoformat(text)


class Command(BaseCommand):
    help = "Compares one account for one day. Exit 0: balanced, no open break; 1: open breaks; 2: it could not run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("gateway", help="Gateway account or bank account, by its slug.")
        parser.add_argument("--date", required=True, type=_day, help="YYYY-MM-DD, a day of the account's zone.")
        parser.add_argument("--json", action="store_true", help="One JSON object on standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = compare_day(options["gateway"], options["date"], lambda: datetime.now(UTC))
        except PaymentsError as refused:
            self._refused(refused, as_json=options["json"])
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(outcome.as_json(), indent=2))
        else:
            self._write_text(outcome)
        sys.exit(outcome.exit_code)

    def _refused(self, refused: PaymentsError, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"ok": False, "error": refused.code, "detail": refused.detail}))
        else:
            self.stderr.write(refused.detail)

    def _write_text(self, outcome: Outcome) -> None:
        self.stdout.write(f"{outcome.account} {outcome.day}: {outcome.state}")
        if outcome.because:
            self.stdout.write(f"  {outcome.because}")
        for sentence in (outcome.lines, outcome.movements):
            if sentence:
                self.stdout.write(f"  {sentence}")
        for one in outcome.proofs:
            self.stdout.write(f"  {one}")
        for kind, count in outcome.breaks.items():
            self.stdout.write(f"  {count} open: {kind.replace('_', ' ')}")
        if not outcome.breaks:
            self.stdout.write("  No break is open.")
