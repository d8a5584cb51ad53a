"""Is a line that was part of a fix compared on when the gateway says something else of it, or says it late?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.errors import NotAllowedNow
from payments.queries.gateway_money import movement_by_id
from reconciliation.models import Line, LineChange, Match
from reconciliation.states import BreakType
from tests.reconciliation.attacks.ends import AFTER, booked, end, residual
from tests.reconciliation.factories import a_break
from tests.reconciliation.running.night import LATER, MovementKind, Night


def restated(line: Line, **money: int) -> None:
    """As a later reading leaves it: the line with its new word, and the change beside it."""
    before = {"gross_minor": line.gross_minor, "net_minor": line.net_minor, "fee_minor": line.fee_minor}
    net = line.net_minor if line.net_minor is not None else line.gross_minor
    for name, value in money.items():
        setattr(line, name, value)
    after = {**before, **money}
    new = line.net_minor if line.net_minor is not None else line.gross_minor
    line.revision += 1
    line.save()
    LineChange.objects.create(
        line=line,
        statement=line.statement,
        kind="changed",
        before=before,
        after=after,
        net_difference_minor=new - net,
        currency=line.currency,
        at=AFTER - timedelta(hours=1),
    )


def test_a_line_whose_fee_was_accepted_is_compared_when_it_is_restated(night: Night) -> None:
    night.rate()
    _, line = night.taken(10_000, fee_minor=420)
    night.compare(LATER)
    end(night.open_breaks()[0], "post_fee", treatment="variance")
    restated(line, gross_minor=9_000, net_minor=8_580)
    run = night.compare(LATER, AFTER)
    assert run.balanced and residual(night) == 0
    assert "amount_mismatch" in night.kinds()


def test_a_movement_of_a_break_closed_as_explained_still_meets_its_line(night: Night) -> None:
    night.taken(1000)
    refund = night.moved(MovementKind.REFUND, 1000, on=LATER)
    broken = a_break(
        night.account, BreakType.REFUND_EXCEEDS, movement=refund, day=LATER, difference_minor=0, value_minor=1000
    )
    end(broken, "close_explained")
    night.reports(refund, on=LATER)
    night.compare(LATER, AFTER)
    assert Match.objects.filter(undone_at=None, movement_id=refund.pk).exists()


def test_a_line_that_comes_after_the_write_off_does_not_meet_the_money_given_up(night: Night) -> None:
    movement = night.moved(MovementKind.CAPTURE, 1000)
    night.compare(LATER)
    end(night.open_breaks()[0], "write_off")
    assert (booked("5040"), residual(night)) == (1000, 0)
    night.reports(movement, on=LATER)
    night.compare(LATER, AFTER)
    broken = night.open_breaks()[0]
    row = movement_by_id(movement.pk)
    assert row is not None
    with pytest.raises(NotAllowedNow, match="take that back first"):
        end(broken, "link_by_hand", counterpart=row.public_id)
    assert residual(night) == 0
