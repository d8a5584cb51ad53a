"""Command `back_fill`: list a gateway's window and record what webhooks did not tell. Decides nothing itself."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from payments.errors import PaymentsError
from payments.services.actors import Actor
from payments.services.inbox import back_fill

_ACTOR = Actor(label="command line", is_system=True)  # whoever reaches the machine has its rights


class Command(BaseCommand):
    help = "After downtime, a signature incident or a disabled webhook: list what changed at the gateway and record it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", help="slug of the gateway account")
        parser.add_argument("--start", required=True, help="2026-01-05T12:00+00:00; without an offset it is UTC")
        parser.add_argument("--end", help="the same; now if left out")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        start = _moment("--start", options["start"])
        end = _moment("--end", options["end"]) if options["end"] else timezone.now()
        try:
            filled = back_fill(options["account"], start, end, timezone.now, actor=_ACTOR)
        except PaymentsError as refused:
            raise CommandError(refused.detail) from refused
        if options["json"]:
            self.stdout.write(json.dumps(asdict(filled), cls=DjangoJSONEncoder))
            return
        self.stdout.write(
            f"{sum(filled.facts.values())} facts on {filled.pages} pages, {filled.changed} changed something."
        )
        if filled.waiting:
            self.stdout.write(
                f"{len(filled.waiting)} find no payment yet: list the window again after {filled.again_after}."
            )
        self.stdout.writelines(f"not readable: {line}" for line in filled.unreadable)


def _moment(option: str, text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{option}: {text!r} is no date and time such as 2026-01-05T12:00+00:00.")
    return moment if moment.tzinfo else timezone.make_aware(moment)
