"""How does somebody get a report at once? Right, parameters, hand-over if it is one, then the file with its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO

from payments.errors import InvalidInput
from payments.services.actors import Actor
from reconciliation.reports.base import Format, Given, Report
from reconciliation.reports.days import business_day, day_of
from reconciliation.reports.parameters import read_parameters
from reconciliation.reports.registry import report_named
from reconciliation.reports.sales_hand_over import REPORT as SALES
from reconciliation.services.exporting.manifest import Manifest, differences
from reconciliation.services.exporting.order import Order
from reconciliation.services.exporting.sink import Progress, no_progress
from reconciliation.services.exporting.writing import write_report
from reconciliation.services.handing_over import hand_over

RIGHT = "reconciliation.export_reports"


def export(
    name: str,
    kind: str,
    raw: Mapping[str, object],
    file: IO[bytes],
    *,
    actor: Actor,
    now: datetime,
    progress: Progress = no_progress,
) -> Manifest:
    """This function will write a report into `file` and return its manifest.

    Raises: Forbidden, NotFound for a report there is not, InvalidInput naming the parameter, ExportBroken.
    Writes: for the hand-over of sales its batch, once a day; else nothing.
    """
    report, checked, given = check(name, kind, raw, actor=actor, now=now)
    return write_checked(report, checked, given, file, actor=actor, now=now, progress=progress)


def check(
    name: str, kind: str, raw: Mapping[str, object], *, actor: Actor, now: datetime
) -> tuple[Report, Format, Given]:
    """What was asked for, if it can be had. Raises: Forbidden, NotFound, InvalidInput. Writes nothing."""
    actor.require(RIGHT)
    report = report_named(name)
    if kind not in report.formats:
        raise InvalidInput(f"{report.title} comes as {', '.join(report.formats)}, not as {kind!r}.", field="format")
    given = read_parameters(report, raw, business_day(now))
    narrowed = next((name for name in ("code", "account") if given.get(name)), "")
    if kind == Format.BEANCOUNT and narrowed:
        raise InvalidInput("Beancount text holds whole entries: it cannot be narrowed to an account.", field=narrowed)
    return report, Format(kind), given


def write_checked(
    report: Report,
    kind: Format,
    given: Given,
    file: IO[bytes],
    *,
    actor: Actor,
    now: datetime,
    progress: Progress = no_progress,
) -> Manifest:
    """The same for what `check` let through."""
    batch = ""
    if report.name == SALES.name:
        day = day_of(given, "day")
        assert day is not None, "the parameter has a default"
        batch = hand_over(day, actor=actor, now=now).public_id
    return write_report(Order(report, given, kind, actor.label, now, batch), file, progress)


def verify(path: Path, manifest: Manifest) -> list[str]:
    """What of a file is not as its manifest says; empty: it is the file that was written. Reads only."""
    if not {"size", "sha256"} <= manifest.keys():
        raise InvalidInput("This is no manifest of an exported report.", field="manifest")
    return differences(path, manifest)
