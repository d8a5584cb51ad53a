"""Close a business day and write its certificate: every proof first. Exit 1 where something does not hold."""

from __future__ import annotations

import getpass
import json
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from payments.errors import PaymentsError
from payments.services.actors import Actor
from reconciliation.services import closing


class Command(BaseCommand):
    help = "Checks all proofs, closes the day in the books and writes a certificate that verify_close checks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", required=True, help="The business day, e.g. 2026-11-20.")
        parser.add_argument("--out", help="Where the certificate goes; without it, to standard output.")
        parser.add_argument(
            "--json", action="store_true", help="One JSON object on standard output, also of a refusal."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            day = date.fromisoformat(options["date"])
        except ValueError as error:
            raise CommandError(f"--date {options['date']!r} is no day: write it as 2026-11-20.") from error
        person = Actor(label=f"command line ({getpass.getuser()})", is_system=True)
        try:
            close = closing.close_day(day, actor=person, now=timezone.now())
        except PaymentsError as refusal:
            if options["json"]:
                self.stdout.write(json.dumps({"ok": False, "day": str(day), "because": refusal.detail}))
            raise CommandError(refusal.detail) from refusal
        self._write(close.certificate, close.public_id, options)

    def _write(self, certificate: dict[str, Any], public_id: str, options: dict[str, Any]) -> None:
        text = json.dumps(certificate, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        if options["out"]:
            Path(options["out"]).write_text(text)
        if options["json"]:
            self.stdout.write(json.dumps({"ok": True, "close": public_id, "certificate": certificate}))
        elif options["out"]:
            self.stdout.write(f"{certificate['day']} is closed: {options['out']}, digest {certificate['digest']}.")
        else:
            self.stdout.write(text, ending="")
