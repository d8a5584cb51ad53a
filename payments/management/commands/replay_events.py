"""Command `replay_events`: have parked or poisoned events worked on again, or see what it would change."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from payments.errors import PaymentsError
from payments.services.actors import Actor
from payments.services.inbox import ReplayPreview, ReplayResult, preview_replays, replay_events
from payments.states import EventState

_DEFAULT = (EventState.PARKED, EventState.POISONED)
_ACTOR = Actor(label="command line", is_system=True)  # whoever reaches the machine has its rights


class Command(BaseCommand):
    help = "Replay inbound events: the named ones, or all that are parked or poisoned. Exits 1 if one fails again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--state", default=",".join(_DEFAULT), help="comma-separated states (parked,poisoned)")
        parser.add_argument("--event", action="append", default=[], metavar="evt_…", help="this event; may be repeated")
        parser.add_argument("--dry-run", action="store_true", help="show what would change and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = {"states": _states(options["state"]), "event_ids": options["event"], "clock": timezone.now}
        try:
            results = preview_replays(**chosen) if options["dry_run"] else replay_events(**chosen, actor=_ACTOR)
        except PaymentsError as refused:
            raise CommandError(refused.detail) from refused
        failed = [result for result in results if result.error]
        if options["json"]:
            shown = {"dry_run": options["dry_run"], "failed": len(failed), "events": [asdict(r) for r in results]}
            self.stdout.write(json.dumps(shown))
        else:
            self._print(results)
        if failed:
            raise SystemExit(1)

    def _print(self, results: list[ReplayPreview] | list[ReplayResult]) -> None:
        for result in results:
            self.stdout.write(f"{result.event_id}  {result.state:9}  {result.error or result.outcome}")
            for fact in getattr(result, "facts", ()):
                self.stdout.write(f"    {fact.fact} {fact.gateway_id}: {fact.verdict}, {fact.because}")
                self.stdout.writelines(f"      {line}" for line in fact.changes)
        self.stdout.write(f"{len(results)} events.")


def _states(text: str) -> list[EventState]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(EventState)]
    if unknown or not names:
        known = ", ".join(EventState)
        raise CommandError(f"--state: there is no event state {unknown[0] if unknown else text!r}. States: {known}.")
    return [EventState(name) for name in names]
