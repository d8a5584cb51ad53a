"""Which breaks end by themselves? A missed message, a refund made in the gateway's dashboard, rounding in tolerance.

Nothing is guessed: the first two take the gateway's own record, which has to say what the line says. Each keeps rule,
version and inputs, and some of them, drawn by their own id, are looked at a second time by a person.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from payments.errors import PaymentsError
from payments.services.actors import SYSTEM
from payments.services.calls import Clock
from reconciliation.fixes import Fix
from reconciliation.models import Break, Resolution, Run
from reconciliation.services.resolutions.base import By
from reconciliation.services.resolutions.commanding import effects_of, lock_break, refuse_rest
from reconciliation.services.resolutions.ending import end_breaks
from reconciliation.services.resolutions.registry import command_of
from reconciliation.services.resolutions.rehearsal import run as carry_out
from reconciliation.states import BreakState, BreakType

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AutoRule:
    """One way in which a break ends without a person. A change of what it does is a new version."""

    name: str
    version: int
    fix: Fix
    kinds: frozenset[BreakType]
    reason: str
    note: str


RULES: Final = (
    AutoRule(
        "missed_message",
        1,
        Fix.REPLAY_FACT,
        frozenset({BreakType.MISSING_IN_PAYMENTS, BreakType.STATUS_MISMATCH, BreakType.CHARGEBACK_UNRECORDED}),
        "missed_message",
        "The gateway's own record says what its report says: the message had not come.",
    ),
    AutoRule(
        "dashboard_refund",
        1,
        Fix.RECORD_REFUND,
        frozenset({BreakType.REFUND_UNMATCHED}),
        "made_at_gateway",
        "The gateway's own record shows a refund that was made there.",
    ),
    AutoRule(
        "rounding",
        1,
        Fix.ROUNDING,
        frozenset({BreakType.AMOUNT_MISMATCH}),
        "rounding",
        "Inside the account's tolerance, and its cap for the day.",
    ),
)
_MOST: Final = 1_000


def resolve_automatically(run_id: int, clock: Clock) -> int:
    """This function will end what a rule can end among the breaks a run has found, and say how many.

    A break that somebody has taken or snoozed is theirs. What no rule ends stays as it is.
    Idempotent on: the break and its version. Writes: for each what its fix writes; the gateway is asked outside.
    """
    run = Run.objects.get(pk=run_id)
    awake = Q(snoozed_until=None) | Q(snoozed_until__lte=clock())
    waiting = Break.objects.filter(awake, last_run=run, state=BreakState.OPEN, owner=None).exclude(
        resolutions__resolution__undone_at__isnull=False  # a person took it back: no rule knows better
    )
    ended = 0
    for rule in RULES:
        rows = waiting.filter(kind__in=[kind.value for kind in rule.kinds]).order_by("id")
        for public_id in list(rows.values_list("public_id", flat=True)[:_MOST]):
            ended += _try(rule, public_id, clock)
    return ended


def _try(rule: AutoRule, public_id: str, clock: Clock) -> bool:
    """One break. A refusal leaves it open for a person; nothing of the attempt stays. A fault is logged, and its own alone."""
    command = command_of(rule.fix)
    try:
        broken = _read(public_id)
        if command.fits(broken):
            return False
        if command.before is not None:
            command.before(broken, {}, SYSTEM, clock)
        with transaction.atomic():
            return _end(rule, public_id, broken.version, clock())
    except PaymentsError:
        return False
    except Exception:
        log.exception("Rule %s broke off on %s", rule.name, public_id)
        return False


def _end(rule: AutoRule, public_id: str, version: int, now: datetime) -> bool:
    broken = lock_break(public_id)
    taken = broken.owner_id is not None or (broken.snoozed_until is not None and broken.snoozed_until > now)
    if broken.state != BreakState.OPEN or broken.version != version or taken:
        return False
    by = By(SYSTEM, f"auto:{rule.name}:{public_id[-20:]}:{version}"[:64], now)
    if Resolution.objects.filter(request_id=by.request_id).exists():
        return False
    command = command_of(rule.fix)
    ran = carry_out(broken, by, lambda: command.carry_out(broken, {}, by))
    refuse_rest(ran)
    resolution = Resolution(
        command=rule.fix.value, reason=rule.reason, note=rule.note, request_id=by.request_id, rule=rule.name,
        rule_version=rule.version, inputs=_inputs(broken), effects=effects_of(ran), at=now,
    )  # fmt: skip
    resolution.sampled = is_sampled(resolution.public_id, broken.account.sample_percent)
    resolution.save()
    end_breaks(resolution, [broken], ran.carried, by, auto=True)
    end_breaks(resolution, ran.carried.also_ends, ran.carried, by)
    return True


def _inputs(broken: Break) -> dict[str, Any]:
    """Everything it was decided on."""
    account = broken.account
    record = broken.evidence.order_by("-id").values_list("sha256", flat=True).first()
    return {
        "difference_minor": broken.difference_minor,
        "currency": broken.currency,
        "ours": broken.ours,
        "theirs": broken.theirs,
        "tolerance_minor": account.tolerance_minor,
        "tolerance_day_minor": account.tolerance_day_minor,
        "record_sha256": record or "",
        "version": broken.version,
    }


def is_sampled(public_id: str, percent: int) -> bool:
    """Is it one of those a person looks at again? Drawn by its id: nobody can choose, and anybody can check."""
    drawn = int(hashlib.sha256(public_id.encode()).hexdigest()[:8], 16) % 100
    return drawn < percent


def _read(public_id: str) -> Break:
    rows = Break.objects.select_related("account", "line__statement", "statement", "last_run")
    return rows.get(public_id=public_id)
