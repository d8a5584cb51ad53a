"""Command `export`: a report as a file, with its manifest. Decides nothing itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from payments.errors import PaymentsError
from payments.services.actors import Actor
from reconciliation.reports.base import Asks, Format
from reconciliation.reports.registry import REPORTS
from reconciliation.services.reporting import export, verify

_ACTOR = Actor(label="command line", is_system=True)  # whoever reaches the machine has its rights
_MANIFEST = ".manifest.json"


class Command(BaseCommand):
    help = (
        "Write a report to standard output, or with --out to a file and its manifest beside it. With --json the manifest is "
        "printed, and the file lies below DATA_DIR unless --out names it. `export verify FILE` checks a file against its manifest."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Every parameter of every report is an option; a report refuses those that are not its own."""
        parser.add_argument("report", help=f"{', '.join(REPORTS)}; or: verify FILE")
        parser.add_argument("file", nargs="?", help="with verify: the file to check; its manifest lies beside it")
        parser.add_argument("--format", default=Format.CSV.value, choices=[kind.value for kind in Format])
        parser.add_argument("--out", help="file to write; <file>.manifest.json is written as well")
        parser.add_argument("--json", action="store_true", help="print the manifest as one JSON object")
        known = {parameter.name: parameter for report in REPORTS.values() for parameter in report.parameters}
        for name, parameter in known.items():
            if parameter.asks == Asks.FLAG:
                parser.add_argument(
                    f"--{name}", dest=f"ask_{name}", action="store_const", const="yes", help=parameter.words
                )
            else:
                parser.add_argument(f"--{name}", dest=f"ask_{name}", help=parameter.words)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exits 1 with a sentence for a refusal, and for a file that is not as its manifest says."""
        try:
            if options["report"] == "verify":
                self._verify(options["file"] or "", as_json=options["json"])
            else:
                self._export(options)
        except PaymentsError as refused:
            where = f"{refused.field}: " if refused.field else ""
            raise CommandError(f"{where}{refused.detail}") from refused
        except OSError as trouble:
            raise CommandError(f"{trouble.filename or options['out']}: {trouble.strerror or trouble}") from trouble

    def _export(self, options: dict[str, Any]) -> None:
        target = self._target(options)
        raw = {name.removeprefix("ask_"): value for name, value in options.items() if name.startswith("ask_")}
        if target is None and options["format"] == Format.XLSX and sys.stdout.isatty():
            raise CommandError("A workbook is no text: name a file with --out.")
        with _Output(self.stdout) if target is None else _private(target) as file:
            manifest = export(options["report"], options["format"], raw, file, actor=_ACTOR, now=timezone.now())
        if target is None:
            return
        manifest = {**manifest, "file": str(target)}
        beside = target.with_name(target.name + _MANIFEST)
        with _private(beside) as file:
            file.write(json.dumps(manifest, indent=2).encode())
        if options["json"]:
            self.stdout.write(json.dumps(manifest))
        else:
            self.stderr.write(
                f"{manifest['rows']:,} rows, {manifest['size']:,} bytes, SHA-256 {manifest['sha256']}: {target}"
            )

    def _target(self, options: dict[str, Any]) -> Path | None:
        if options["out"]:
            return Path(options["out"])
        if not options["json"]:
            return None
        folder = Path(settings.DATA_DIR) / "exports"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / f"{options['report']}-{timezone.now():%Y%m%dT%H%M%S%f}.{options['format']}"

    def _verify(self, name: str, *, as_json: bool) -> None:
        if not name:
            raise CommandError("Name the file: export verify FILE.")
        path = Path(name)
        try:
            manifest = json.loads(path.with_name(path.name + _MANIFEST).read_text())
        except ValueError as unreadable:
            raise CommandError(f"{path.name}{_MANIFEST} is no JSON.") from unreadable
        found = verify(path, manifest)
        if as_json:
            self.stdout.write(json.dumps({"file": name, "intact": not found, "differences": found}))
        else:
            self.stdout.writelines(found or [f"{name} is the file that was written."])
        if found:
            raise SystemExit(1)


class _Output:
    """Standard output as the commands' framework hands it out, for bytes."""

    def __init__(self, stdout: Any) -> None:
        inner = getattr(stdout, "_out", stdout)
        self._bytes: Any = getattr(inner, "buffer", None)
        self._text = inner

    def write(self, block: bytes) -> None:
        """As bytes where there is such a stream; a text stream takes UTF-8 in whole lines only at the end of a block."""
        if self._bytes is not None:
            self._bytes.write(block)
        else:
            self._text.write(bytes(block).decode())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *trouble: object) -> None:
        (self._bytes or self._text).flush()


def _private(path: Path) -> IO[bytes]:
    """A file that its owner alone may read."""
    path.touch(mode=0o600)
    return path.open("wb")
