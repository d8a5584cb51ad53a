"""What would this file be read as? A dry run: first lines, rejected ones, sums and controls. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO, Final
from zoneinfo import ZoneInfo

from payments.services.actors import Actor
from reconciliation.errors import UnreadableStatement
from reconciliation.lines import RejectedLine, StatementLine
from reconciliation.models import StatementAccount
from reconciliation.services.controls import Tally, require_same_account
from reconciliation.services.ingestion import RUN, Report, account_of, current_mapping, reading_of
from reconciliation.services.staging import Stage
from reconciliation.sources.base import Columns, Reading
from reconciliation.sources.registry import source_of

_SHOWN: Final = 20


@dataclass
class Look:
    """What reading found. `lines` and `rejected` are the first of each, as they would be kept."""

    read: int = 0
    rejected_count: int = 0
    lines: list[StatementLine] = field(default_factory=list)
    rejected: list[RejectedLine] = field(default_factory=list)
    sums: dict[str, dict[str, int]] = field(default_factory=dict)
    controls: list[dict[str, Any]] = field(default_factory=list)
    first_day: date | None = None
    last_day: date | None = None


def look_at_report(slug: str, content: BinaryIO, report: Report, *, actor: Actor) -> Look:
    """What `ingest` would read from a file. Raises: Forbidden, NotFound, InvalidInput, UnreadableStatement."""
    actor.require(RUN)
    return look_into(account_of(slug), content, source=report.source)


def look_into(
    account: StatementAccount, content: BinaryIO, *, source: str = "", columns: Columns | None = None
) -> Look:
    """What a file of this account says, by its own mapping or by `columns`. Raises: InvalidInput, UnreadableStatement."""
    reader = source_of(source or account.source)
    reading = reading_of(account, current_mapping(account) if reader.mapped and columns is None else None)
    if columns is not None:
        reading = Reading(reading.zone, reading.currency, reading.provider, columns)
    content.seek(0)
    if not content.read(1):
        raise UnreadableStatement("The file is empty.")
    content.seek(0)
    tally = Tally()
    look = _look(account, tally, reader.read(content, reading))
    require_same_account(account, reader.name, tally.account)
    return look


def _look(account: StatementAccount, tally: Tally, items: Any) -> Look:
    look = Look()
    stage = Stage(ZoneInfo(account.time_zone), account.currencies, "")
    for item in tally.lines(items):
        rejected = stage.judge(item)
        if rejected is not None:
            if len(look.rejected) < _SHOWN:
                look.rejected.append(rejected)
        elif isinstance(item, StatementLine) and len(look.lines) < _SHOWN:
            look.lines.append(item)
    tally.finish(read=stage.read, rejected=stage.rejected)
    look.read, look.rejected_count = stage.read, stage.rejected
    look.sums, look.controls = tally.sums, tally.controls
    look.first_day, look.last_day = stage.first_day, stage.last_day
    return look
