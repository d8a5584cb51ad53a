"""One gateway account's day, a person who may end breaks alone, and the proof that has to hold whatever was done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from payments.models import Movement
from payments.queries.gateway_money import movement_by_id
from reconciliation.models import Break, Line, Match
from reconciliation.services.resolutions.commanding import Done, resolve
from reconciliation.services.resolutions.meeting import worth_of
from reconciliation.states import OPEN_BREAK_STATES
from tests.reconciliation.booking.world import NOW, World
from tests.reconciliation.factories import may_alone, person, wish

LATER = NOW + timedelta(hours=3)


class Scene(World):
    """Lines and movements without a break are timing items here: nothing is left unexplained before or after."""

    def __init__(self, slug: str = "stripe") -> None:
        super().__init__(slug)
        self.fiona = person()
        may_alone()

    def resolve(self, broken: Break, command: str, **answers: Any) -> Done:
        broken.refresh_from_db()
        return resolve(broken.public_id, wish(command, broken, **answers), actor=self.fiona, clock=lambda: LATER)

    def residual(self, currency: str = "USD") -> int:
        """The gateway's balance, less ours, the timing items and the open breaks. Minor units; 0 is the proof."""
        lines = Line.objects.filter(account=self.account, currency=currency, removed=False)
        theirs = sum(_net(line) for line in lines)
        open_ones = Break.objects.filter(account=self.account, state__in=[state.value for state in OPEN_BREAK_STATES])
        broken = sum(one.difference_minor for one in open_ones if one.currency == currency)
        return theirs - self.balance("1110", currency) - broken - self._timing(list(open_ones), lines, currency)

    def _timing(self, open_ones: list[Break], lines: Any, currency: str) -> int:
        live = Match.objects.filter(undone_at=None)
        met = set(live.values_list("movement_id", flat=True)) | {one.movement_id for one in open_ones}
        ended = Break.objects.filter(account=self.account, resolutions__resolution__undone_at=None, expected_until=None)
        met |= set(ended.exclude(pk__in=[one.pk for one in open_ones]).values_list("movement_id", flat=True))
        any_break = Break(account=self.account, currency=currency)
        rows = (movement_by_id(movement.pk) for movement in Movement.objects.filter(gateway_account=self.gateway))
        unreported = sum(worth_of(row, any_break) for row in rows if row is not None and row.id not in met)
        marked = Break.objects.filter(account=self.account, expected_until__isnull=False, currency=currency)
        ahead = sum(one.difference_minor for one in marked if one.line_id is not None)
        return ahead - unreported


def _net(line: Line) -> int:
    return line.gross_minor if line.net_minor is None else line.net_minor
