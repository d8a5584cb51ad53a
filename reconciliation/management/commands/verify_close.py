"""Is a certificate of a closed day true? Prints what is not; exit 0 true, 1 not, 2 unreadable. Writes nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from reconciliation.queries.verification import objections_to

_LARGEST = 64 * 1024 * 1024


class Command(BaseCommand):
    help = "Checks a certificate's own digest, then every number of it against the database, then the chain behind it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The certificate that close_day wrote.")
        parser.add_argument("--json", action="store_true", help="One JSON object on standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        certificate, unreadable = _read(Path(options["file"]))
        found = [unreadable] if unreadable else objections_to(certificate)
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not found, "objections": found}))
        elif found:
            self.stdout.write("\n".join(found))
        else:
            self.stdout.write(f"The certificate of {certificate['day']} is true.")
        if found:
            sys.exit(2 if unreadable else 1)


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """The certificate, or why it can not be read."""
    try:
        if path.stat().st_size > _LARGEST:
            return {}, f"{path} is no certificate: it is larger than {_LARGEST} bytes."
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        return {}, f"{path} can not be read as a certificate: {error}"
    return (found, "") if isinstance(found, dict) else ({}, f"{path} is no certificate.")
