"""Can more pass as rounding than the terms of an account allow for a day?"""

from __future__ import annotations

import pytest

from payments.errors import NotAllowedNow
from payments.queries.gateway_money import movement_by_id
from reconciliation.models import Break
from tests.reconciliation.attacks.ends import booked, end, residual
from tests.reconciliation.running.night import LATER, LineKind, MovementKind, Night


def linked(night: Night, *, from_line: bool) -> None:
    """A movement and a line under two names, a cent apart, linked by a person as rounding."""
    movement = night.moved(MovementKind.CAPTURE, 1000)
    line = night.line(LineKind.CHARGE, 1001, gateway_id=f"other_{movement.pk}")
    night.compare(LATER)
    row = movement_by_id(movement.pk)
    assert row is not None
    if from_line:
        end(Break.objects.get(line=line), "link_by_hand", counterpart=row.public_id, rest="rounding")
    else:
        end(Break.objects.get(movement_id=row.id), "link_by_hand", counterpart=line.line_key, rest="rounding")


@pytest.mark.parametrize("from_line", [True, False])
def test_links_by_hand_count_towards_the_cap_of_the_day(night: Night, from_line: bool) -> None:
    night.account.tolerance_minor, night.account.tolerance_day_minor = 1, 2
    night.account.save()
    for _ in range(2):
        linked(night, from_line=from_line)
    with pytest.raises(NotAllowedNow, match=r"more than 0\.02 USD of rounding"):
        linked(night, from_line=from_line)
    assert (booked("5035"), residual(night)) == (-2, 0)
