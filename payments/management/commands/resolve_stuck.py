"""Work on everything that is due, once: the sweep that beat runs, by hand. It re-sends nothing; unknown outcomes are looked up."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from payments.services.sweep import sweep


class Command(BaseCommand):
    help = "Work on every due payment, operation, refund and review once. Exits 1 if any row could not be worked on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=500, help="rows of each table at most")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        swept = sweep(timezone.now, limit=options["limit"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(swept)))
        else:
            worked = ", ".join(f"{count} {name}" for name, count in asdict(swept).items() if name != "failed")
            self.stdout.write(f"Worked on {worked}.")
        if swept.failed:
            lines = "\n".join(f"  {name}: {error}" for name, error in swept.failed.items())
            raise CommandError(f"{len(swept.failed)} could not be worked on:\n{lines}", returncode=1)
