"""Which commands can wait for a second person, and how is each shown and carried out? One table: a new one is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

from django.conf import settings

from payments.errors import InvalidInput
from payments.models import Approval as Approval  # the type commands of other apps are handed
from payments.services.actors import Actor
from payments.services.calls import Clock

COMMANDS: dict[str, str] = {
    "start_batch": "payments.services.batches.starting.START_BATCH",
    "lift_block": "payments.services.methods.LIFT_BLOCK",
    "change_limit": "payments.services.limits.CHANGE_LIMIT",
    "change_route": "payments.services.routes.CHANGE_ROUTE",
    "order_routes": "payments.services.routes.ORDER_ROUTES",
    "change_decline_rule": "payments.services.declining.rules.CHANGE_DECLINE_RULE",
    "make_schedule": "payments.services.schedules.making.MAKE_SCHEDULE",
    "edit_schedule": "payments.services.schedules.editing.EDIT_SCHEDULE",
    "charge_overdue": "payments.services.schedules.overdue.CHARGE_OVERDUE",
    "accept_short": "payments.services.short.ACCEPT_SHORT",
    "change_ceiling": "payments.services.declining.ceiling_changes.CHANGE_CEILING",
    **settings.MORE_APPROVABLES,
}
"""Command to its `Approvable`, by dotted name, so that the commands may import this file and it none of them. Those of
apps above this one are named in the settings."""

Arguments = Mapping[str, Any]
Line = tuple[str, str]
"""What both people see: a label and a value, both text. No ages: they would change by themselves."""


class Execute(Protocol):
    """Carries the command out inside the approval's transaction; its answer is a sentence for people.

    A PaymentsError of its is taken as: what was agreed to can no longer be done. Nothing of it stays.
    """

    def __call__(
        self, subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Approvable:
    """One command as approvals see it.

    `right` is what asking takes; agreeing takes it as well, and `payments.approve`. `show` is read when it is asked for
    and again at execution: a changed line voids the request. `lock` runs just before that second reading and takes the
    locks that keep what is shown still till `execute` is done. `before` runs outside the transaction first, e.g. to ask
    the gateway. `ended` hears of a request that was not carried out, in the transaction that ends it.
    """

    title: str
    right: str
    show: Callable[[str, Arguments, datetime], Sequence[Line]]
    execute: Execute
    lock: Callable[[str, Arguments], None] | None = None
    before: Callable[[str, Arguments, Clock], None] | None = None
    ended: Callable[[str, Approval, datetime], None] | None = None
    lives: timedelta = timedelta(hours=24)
    due_in: timedelta = timedelta(hours=4)


@cache
def approvable(command: str) -> Approvable:
    """The command of this name. Raises: InvalidInput naming it."""
    if command not in COMMANDS:
        raise InvalidInput(f"No command called {command!r} waits for a second person.", field="command")
    module, _, name = COMMANDS[command].rpartition(".")
    return cast(Approvable, getattr(import_module(module), name))


def title_of(command: str) -> str:
    """What people call it; the bare name for one that is no longer offered."""
    return approvable(command).title if command in COMMANDS else command.replace("_", " ")
