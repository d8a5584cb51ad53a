"""Does the next night leave alone what a person has ended, and does the proof hold before, after, and taken back?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from payments.queries.gateway_money import movement_by_id
from payments.services.approvals import approve
from reconciliation.models import Break, Resolution
from reconciliation.queries.proof import proof
from reconciliation.services.resolutions.undoing import undo
from reconciliation.states import BreakState
from tests.reconciliation.attacks.ends import end
from tests.reconciliation.factories import may_alone, person
from tests.reconciliation.running.night import DAY, LATER, NIGHT, LineKind, MovementKind, Night

pytestmark = pytest.mark.django_db(transaction=True)
MORNING = NIGHT + timedelta(hours=3)
Answers = dict[str, Any]


@pytest.fixture
def night() -> Night:
    may_alone()
    return Night()


def morning() -> Any:
    return MORNING


def residual(night: Night) -> int:
    return proof(night.account.pk, "USD", LATER).residual_minor


def run(night: Night) -> None:
    assert night.compare(LATER).balanced, night.compare(LATER).because
    assert residual(night) == 0


def other_sum(night: Night) -> Answers:
    night.taken(gross_minor=970, fee_minor=59)
    return {}


def off_by_one(night: Night) -> Answers:
    night.account.tolerance_minor = night.account.tolerance_day_minor = 5
    night.account.save()
    night.taken(gross_minor=999, fee_minor=59)
    return {}


def adjusted(night: Night) -> Answers:
    night.line(LineKind.ADJUSTMENT, -500)
    return {"treatment": "claim"}


def withheld(night: Night) -> Answers:
    night.line(LineKind.RESERVE_HOLD, -500)
    return {}


def never_reported(night: Night) -> Answers:
    night.moved(MovementKind.CAPTURE, 1000)
    return {}


def only_late(night: Night) -> Answers:
    night.moved(MovementKind.CAPTURE, 1000)
    return {"until": (MORNING + timedelta(days=5)).date().isoformat()}


def two_halves(night: Night) -> Answers:
    """The same money under two names: a movement, and a line that nobody knows."""
    movement = night.moved(MovementKind.CAPTURE, 1000)
    night.line(LineKind.CHARGE, 1000, fee_minor=59, gateway_id="other_name")
    row = movement_by_id(movement.pk)
    assert row is not None
    return {"counterpart": row.public_id}


def printed_twice(night: Night) -> Answers:
    movement, line = night.taken()
    night.line(LineKind.CHARGE, line.gross_minor, gateway_id=movement.gateway_id, status="settled")
    return {}


CASES: list[tuple[Callable[[Night], Answers], str, str]] = [
    (other_sum, "amount_mismatch", "adopt_amount"),
    (adjusted, "gateway_adjustment", "post_fee"),
    (withheld, "reserve_hold", "post_reserve"),
    (never_reported, "missing_at_gateway", "write_off"),
    (only_late, "missing_at_gateway", "mark_timing"),
    (printed_twice, "duplicate_at_gateway", "dismiss_duplicate"),
    (two_halves, "missing_in_payments", "link_by_hand"),
]


@pytest.mark.parametrize(("make", "kind", "command"), CASES, ids=[case[2] for case in CASES])
def test_what_was_ended_stays_ended_and_what_is_taken_back_is_found_again(
    night: Night, make: Callable[[Night], Answers], kind: str, command: str
) -> None:
    night.reported(DAY, LATER)
    answers = make(night)
    run(night)
    broken = next(row for row in night.open_breaks() if row.kind == kind)
    before = broken.difference_minor
    resolution = end(broken, command, **answers)
    assert (night.open_breaks(), residual(night)) == ([], 0)
    run(night)
    assert night.open_breaks() == []
    undone = undo(resolution.public_id, reason="it was wrong", actor=person(), now=MORNING)
    if undone.approval is not None:
        approve(undone.approval.public_id, digest=undone.approval.digest, note="", actor=person("frank"), clock=morning)
    broken.refresh_from_db()
    assert (broken.state, broken.difference_minor, residual(night)) == (BreakState.OPEN, before, 0)
    run(night)
    broken.refresh_from_db()
    assert (broken.state, broken.difference_minor) == (BreakState.OPEN, before)


def test_rounding_inside_the_terms_never_reaches_a_person(night: Night) -> None:
    night.reported(DAY, LATER)
    off_by_one(night)
    run(night)
    assert night.open_breaks() == []
    resolution = Resolution.objects.get()
    assert (resolution.rule, resolution.inputs["tolerance_minor"]) == ("rounding", 5)
    assert Break.objects.get().state == BreakState.AUTO_RESOLVED
