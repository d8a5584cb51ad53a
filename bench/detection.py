"""Is every planted difference found, and nothing else? Prints precision and recall by type and by twist; 1 unless all are 1.0.

    python -m bench.detection [--transactions 4000] [--seed N] [--worlds 5] [--json]

The simulator, a process of its own, makes a world out of a seed drawn now: three gateways and three banks over a week, with
every kind of difference among thousands of clean orders, and keeps the labels. Our side is loaded into a database of our own;
reports come in through ingestion and the Stripe adapter; every account is compared every night. A break is true if a label
has its type, its key, its amounts and its currency. Worlds: an ordinary day, one restated, one partial, one duplicated, one
in other time zones; among them a day of 23 and one of 25 hours.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests import services  # before Django: it decides the database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
WORLDS = (
    ("none", "2026-03-11", "America/New_York"),
    ("restated", "2026-03-29", "Europe/Berlin"),
    ("partial", "2026-10-25", "Europe/Berlin"),
    ("duplicated", "2026-10-25", "Europe/Berlin"),
    ("rezoned", "2026-03-29", "Europe/Berlin"),
)
"""Twist, day and zone. On 29 March the clock goes forward in Berlin, on 25 October back."""


def main() -> None:
    options = _arguments()
    seed = options.seed if options.seed is not None else secrets.randbelow(2**31)
    import django

    django.setup()
    logging.disable(logging.WARNING)
    from bench.detecting.verdict import Score

    totals: dict[str, Score] = {}
    worlds = [_world(options, seed, number) for number in range(options.worlds)]
    for world in worlds:
        for name, score in world["scores"].items():
            totals.setdefault(name, Score()).add(score)
    whole = all(score.whole for score in totals.values()) and not any(world["wrong"] for world in worlds)
    if options.json:
        print(json.dumps(_as_json(seed, totals, worlds), indent=2))
    else:
        _print(seed, totals, worlds)
    sys.exit(0 if whole else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=4_000, help="orders of a world")
    parser.add_argument("--seed", type=int, help="drawn and printed, unless given")
    parser.add_argument("--worlds", type=int, default=len(WORLDS), choices=range(1, len(WORLDS) + 1))
    parser.add_argument("--only", choices=[twist for twist, _, _ in WORLDS], help="just this world")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _world(options: argparse.Namespace, seed: int, number: int) -> dict[str, Any]:
    from bench.detecting.nights import play
    from bench.detecting.verdict import judge, residuals
    from tests.simulator_fixture import start_simulator

    twist, day, zone = WORLDS[number]
    if options.only not in (None, twist):
        return {"twist": twist, "scores": {}, "wrong": []}
    wish = {"seed": seed + number, "day": day, "zone": zone, "transactions": options.transactions, "twist": twist}
    simulator = start_simulator()
    try:
        with _database(), _gateways(simulator.url):
            played = play(simulator, wish)
            verdict = judge(played.labels)
            wrong = [*verdict.wrong, *residuals(played.labels), *played.unbalanced]
    finally:
        simulator.stop()
    return {
        **wish, "hours": played.hours, "movements": played.movements, "lines": played.lines,
        "seconds": round(played.seconds, 1), "scores": verdict.scores, "wrong": wrong,
    }  # fmt: skip


@contextmanager
def _database() -> Iterator[None]:
    from django.db import connections

    services.make_database()
    try:
        yield
    finally:
        connections.close_all()
        services.drop_database()


@contextmanager
def _gateways(url: str) -> Iterator[None]:
    """Where the adapters find the simulator."""
    from bench.detecting.terms import environment

    names = environment(url)
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def _as_json(seed: int, totals: dict[str, Any], worlds: list[dict[str, Any]]) -> dict[str, Any]:
    def told(scores: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {
                "planted": score.planted, "found": score.told, "true": score.true, "false": score.told - score.true,
                "precision": score.precision, "recall": score.recall,
            }
            for name, score in sorted(scores.items())
        }  # fmt: skip

    return {
        "seed": seed,
        "types": told(totals),
        "worlds": [world | {"scores": told(world["scores"])} for world in worlds],
    }


def _print(seed: int, totals: dict[str, Any], worlds: list[dict[str, Any]]) -> None:
    heading = f"{'':24}{'planted':>9}{'found':>9}{'true':>9}{'false':>9}{'precision':>11}{'recall':>9}"
    print(f"seed {seed}\n\n{heading}")
    for name, score in sorted(totals.items()):
        print(_row(name, score))
    print()
    from bench.detecting.verdict import Score

    for world in worlds:
        if not world["scores"]:
            continue
        all_of_it = Score()
        for score in world["scores"].values():
            all_of_it.add(score)
        print(_row(f"{world['twist']} {world['day']}", all_of_it))
        print(
            f"    {world['lines']:,} lines, {world['movements']:,} movements, a day of {world['hours']} hours in"
            f" {world['zone']}, {world['seconds']} s"
        )
        for sentence in world["wrong"]:
            print(f"    wrong: {sentence}")


def _row(name: str, score: Any) -> str:
    false = score.told - score.true
    return f"{name:24}{score.planted:>9}{score.told:>9}{score.true:>9}{false:>9}{score.precision:>11.4f}{score.recall:>9.4f}"


if __name__ == "__main__":
    main()
