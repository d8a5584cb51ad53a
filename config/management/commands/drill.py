"""Does the system keep its promises under trouble? Drives payments with faults and kills, then checks the books from outside."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.drill.client import DrillError
from config.drill.faults import NAMES, UnknownFaultError, chosen_faults
from config.drill.run import drill
from config.drill.system import System, attached, own
from config.drill.wishes import GATEWAYS, UnknownWishError, Wish, chosen_gateways, chosen_outage, chosen_share
from config.embedded import EmbeddedError
from config.supervisor import CannotStartError


class Command(BaseCommand):
    """`manage.py drill [--payments N] [--seed N] [--gateways nmi,…] [--faults all|none|…] [--settle] [--json]`"""

    help = (
        "Drive payments through the API with faults and kills, check every invariant from outside; exits 1 on a miss."
    )
    requires_system_checks = ()  # the drilled system has a database of its own

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How much, which chance, what trouble, and against which system."""
        parser.add_argument("--payments", type=int, default=200)
        parser.add_argument("--seed", type=int, default=1, help="the same seed plans the same drill")
        parser.add_argument("--faults", default="all", help=f"all, none, or names with commas: {', '.join(NAMES)}")
        parser.add_argument(
            "--gateways", default="", help=f"in the order of routing; without it {','.join(GATEWAYS)}, at --url nmi"
        )
        parser.add_argument("--decline-rate", default="", help="share of payments by cards that decline, from 0 to 1")
        parser.add_argument("--outage", default="", help="nmi@40%%-70%%: away while that part of the payments comes in")
        parser.add_argument(
            "--settle", action="store_true", help="let ten days pass; then only final states and open cases may be left"
        )
        parser.add_argument("--rate", type=float, default=8.0, help="payments a second")
        parser.add_argument("--url", default="", help="a running system; without it one is brought up and taken away")
        parser.add_argument("--simulator", default="", help="the running system's simulator")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it; 1 if an invariant was broken, 2 if the drill itself could not go on."""
        wish = _wish(options)
        self._began = time.monotonic()
        try:
            with self._system(wish, options) as system:
                told = drill(wish, system, self._progress)
        except (DrillError, CannotStartError, EmbeddedError) as trouble:
            raise CommandError(str(trouble), returncode=2) from trouble
        self.stdout.write(json.dumps(told.as_json(), ensure_ascii=False) if options["json"] else told.as_text())
        if told.missed:
            sys.exit(1)

    @contextlib.contextmanager
    def _system(self, wish: Wish, options: dict[str, Any]) -> Iterator[System]:
        if options["url"]:
            yield attached(options["url"], options["simulator"])
            return
        with own(self._progress, seed=wish.seed, gateways=wish.gateways) as system:
            yield system

    def _progress(self, words: str) -> None:
        self.stderr.write(f"drill {time.monotonic() - self._began:4.0f} s: {words}")
        self.stderr.flush()


def _wish(options: dict[str, Any]) -> Wish:
    if options["payments"] < 1 or options["rate"] <= 0:
        raise CommandError("--payments and --rate are above zero.", returncode=2)
    if bool(options["url"]) != bool(options["simulator"]):
        raise CommandError("--url and --simulator go together.", returncode=2)
    default = GATEWAYS[:1] if options["url"] else GATEWAYS
    try:
        gateways = chosen_gateways(options["gateways"]) if options["gateways"] else default
        return Wish(
            options["payments"],
            options["seed"],
            chosen_faults(options["faults"]),
            options["rate"],
            gateways,
            chosen_share(str(options["decline_rate"])),
            chosen_outage(options["outage"], gateways),
            options["settle"],
        )
    except (UnknownFaultError, UnknownWishError) as unknown:
        raise CommandError(str(unknown), returncode=2) from unknown
