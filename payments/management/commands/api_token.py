"""Which merchant system may call the API? Makes, renews or revokes a bearer token; the secret is printed once."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from payments.errors import PaymentsError
from payments.services import tokens


class Command(BaseCommand):
    help = "Make a bearer token for the API and print it once; for a known name the secret is renewed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The name, and what it may do."""
        parser.add_argument("name", help="whose token this is; the owner keeps it over renewals")
        parser.add_argument("--scopes", nargs="+", help=f"of {', '.join(tokens.SCOPES)} (blanks or commas between)")
        parser.add_argument("--per-minute", type=int, help=f"requests a minute before 429 ({tokens.PER_MINUTE})")
        parser.add_argument("--revoke", action="store_true", help="end the token with this name")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token alone on standard output, what else is to be said on standard error."""
        try:
            self._revoke(**options) if options["revoke"] else self._issue(**options)
        except PaymentsError as refusal:
            raise CommandError(refusal.detail) from refusal

    def _issue(self, *, name: str, scopes: list[str] | None, per_minute: int | None, **options: Any) -> None:
        wanted = None if scopes is None else [scope for text in scopes for scope in re.split(r"[,\s]+", text) if scope]
        issued = tokens.issue_token(name, scopes=wanted, per_minute=per_minute, now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(asdict(issued)))
            return
        self.stdout.write(issued.token)
        self.stderr.write(f"Scopes: {', '.join(issued.scopes)}. It is not shown again.")
        if issued.renewed:
            self.stderr.write(f"The earlier token of “{issued.name}” no longer works.")

    def _revoke(self, *, name: str, **options: Any) -> None:
        tokens.revoke_token(name, now=timezone.now())
        self.stdout.write(json.dumps({"name": name, "revoked": True}) if options["json"] else f"“{name}” is revoked.")
