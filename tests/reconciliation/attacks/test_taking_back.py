"""Can a fix be taken back so that the same money is open although it is booked, or has come?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.errors import NotAllowedNow
from reconciliation.models import Match
from reconciliation.services.desk import return_due_timing
from reconciliation.services.resolutions.undoing import undo
from reconciliation.states import BreakState
from tests.reconciliation.attacks.ends import AFTER, MORNING, booked, end, residual
from tests.reconciliation.factories import person
from tests.reconciliation.running.night import LATER, MovementKind, Night


def test_an_earlier_resolution_is_not_taken_back_under_a_later_one(night: Night) -> None:
    """Marked as timing, written off once it had not come, and then the mark taken back: the money would be lost twice."""
    night.moved(MovementKind.CAPTURE, 1000)
    night.compare(LATER)
    broken = night.open_breaks()[0]
    timing = end(broken, "mark_timing", until=(MORNING + timedelta(days=2)).date().isoformat())
    assert return_due_timing(lambda: MORNING + timedelta(days=4)) == 1
    end(broken, "write_off")
    assert booked("5040") == 1000
    with pytest.raises(NotAllowedNow, match="later"):
        undo(timing.public_id, reason="it was wrong", actor=person(), now=MORNING)
    broken.refresh_from_db()
    assert broken.state == BreakState.WRITTEN_OFF
    assert residual(night) == 0


def test_timing_taken_back_after_the_line_came_opens_nothing(night: Night) -> None:
    movement = night.moved(MovementKind.CAPTURE, 1000)
    night.compare(LATER)
    broken = night.open_breaks()[0]
    timing = end(broken, "mark_timing", until="2026-03-12")
    night.reports(movement, on=LATER)
    night.compare(LATER, AFTER)
    assert Match.objects.filter(undone_at=None).count() == 1
    undo(timing.public_id, reason="it was wrong", actor=person(), now=AFTER)
    broken.refresh_from_db()
    assert (broken.state, residual(night)) == (BreakState.RESOLVED, 0)
