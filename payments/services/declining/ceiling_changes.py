"""How often may a card be declined before it is left alone? Changing a ceiling, or adding one, takes two people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from payments.errors import Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.models import Approval, NetworkCeiling
from payments.network_rules import network_of
from payments.queries.decline_page import ceiling_words as most_words
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from payments.services.declining.rules import EDIT

NEW = "new"
LONGEST_WINDOW_HOURS = 90 * 24


@dataclass(frozen=True, slots=True)
class CeilingWanted:
    """A ceiling as it shall be. `network` empty: cards of every network without a ceiling of its own."""

    network: str
    declines: int
    window_hours: int
    same_amount: bool = False
    calendar_day: bool = False
    enabled: bool = True


def ask_ceiling(
    ceiling_id: int | None, wanted: CeilingWanted, *, version: int, reason: str, actor: Actor, now: datetime
) -> Approval:
    """This function will ask a second person to agree to a changed ceiling, or (id None) a new one.

    Raises: Forbidden, NotFound, InvalidInput naming the field, NotAllowedNow, Conflict (it changed since `version`, or
    somebody has asked). Idempotent as `ask_approval`. Writes: the approval.
    """
    actor.require(EDIT)
    subject = NEW if ceiling_id is None else str(ceiling_id)
    row = _row(subject)
    if (row.version if row else 0) != version:
        raise Conflict("The ceiling was changed since you opened it. Look at it again.")
    check_ceiling(row, wanted)
    return ask_approval("change_ceiling", subject, asdict(wanted), reason=reason, actor=actor, now=now)


def check_ceiling(row: NetworkCeiling | None, wanted: CeilingWanted) -> None:
    """Does this make sense? Raises: InvalidInput naming the field, NotAllowedNow."""
    if wanted.network != network_of(wanted.network) or len(wanted.network) > 20:
        raise InvalidInput("Name it in small letters, as gateways do: visa, mastercard, amex.", field="network")
    if row is not None and wanted.network != row.network:
        raise InvalidInput("A ceiling stays with its network: switch it off and add another.", field="network")
    if not 1 <= wanted.declines <= 1000:
        raise InvalidInput("Between 1 and 1,000.", field="declines")
    if not 1 <= wanted.window_hours <= LONGEST_WINDOW_HOURS:
        raise InvalidInput("Between one hour and 90 days.", field="window_hours")
    if wanted.calendar_day and wanted.window_hours != 24:
        raise InvalidInput("A business day has 24 hours.", field="window_hours")
    if row is not None and wanted == wanted_of(row):
        raise NotAllowedNow("Nothing is changed yet.")


def wanted_of(row: NetworkCeiling) -> CeilingWanted:
    """A ceiling as it is."""
    return CeilingWanted(row.network, row.declines, row.window_hours, row.same_amount, row.calendar_day, row.enabled)


def ceiling_words(ceiling: CeilingWanted) -> str:
    """A ceiling in one sentence."""
    row = NetworkCeiling(**asdict(ceiling))
    off = "" if row.enabled else ", switched off"
    return f"{row.network or 'every other network'}: at most {most_words(row)}{off}"


def _row(subject: str, *, lock: bool = False) -> NetworkCeiling | None:
    if subject == NEW:
        return None
    rows = NetworkCeiling.objects.select_for_update() if lock else NetworkCeiling.objects
    row = rows.filter(pk=subject).first()
    if row is None:
        raise NotFound(f"There is no ceiling {subject}.")
    return row


def preview_ceiling(row: NetworkCeiling | None, wanted: CeilingWanted) -> list[Line]:
    """Now and then, in words; `row` None: a new one. Raises: InvalidInput naming the field, NotAllowedNow."""
    check_ceiling(row, wanted)
    return [
        ("Now", ceiling_words(wanted_of(row)) if row else "no such ceiling"),
        ("Then", ceiling_words(wanted)),
    ]


def _show(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    row = _row(subject)
    return [*preview_ceiling(row, CeilingWanted(**arguments)), ("Version", str(row.version if row else 0))]


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    wanted = CeilingWanted(**arguments)
    row = _row(subject, lock=True) or NetworkCeiling()
    if dict(approval.shown)["Version"] != str(row.version):
        raise Conflict("The ceiling was changed at this moment.")
    check_ceiling(row if row.pk else None, wanted)
    for name, value in asdict(wanted).items():
        setattr(row, name, value)
    row.version += 1
    row.save()
    return f"In force: {ceiling_words(wanted)}."


CHANGE_CEILING = Approvable(title="Change a network's ceiling", right=EDIT, show=_show, execute=_execute)
