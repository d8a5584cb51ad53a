"""Do the books hold? Prints every finding and ends with 1 if there is one. Writes nothing."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import import_string

from ledger.queries import Finding, verify_books


class Command(BaseCommand):
    help = "Re-adds the whole ledger, checks its protection and the proofs of other apps. Exit 1 on any finding."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON object on standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = verify_books([import_string(path) for path in settings.LEDGER_PROOFS])
        kinds = Counter(finding.kind for finding in findings)
        if options["json"]:
            report = {
                "ok": not findings,
                "kinds": dict(sorted(kinds.items())),
                "findings": [asdict(finding) for finding in findings],
            }
            self.stdout.write(json.dumps(report, indent=2))
        else:
            self._write_text(findings, kinds)
        if findings:
            sys.exit(1)

    def _write_text(self, findings: list[Finding], kinds: Counter[str]) -> None:
        for kind in sorted(kinds):
            self.stdout.write(f"{kind} ({kinds[kind]})")
            for finding in findings:
                if finding.kind == kind:
                    self.stdout.write(f"  {finding.subject}: {finding.detail}")
        self.stdout.write(f"{len(findings)} findings." if findings else "The books hold.")
