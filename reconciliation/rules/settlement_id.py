"""Do line and movement name the same settlement of the gateway? The strongest identity: it is one line by definition."""

from __future__ import annotations

from collections.abc import Iterator

from reconciliation.rules.base import Free, MovementEntry, Pairing


class SettlementId:
    """The movement's settlement id is the line's own key."""

    name = "settlement_id"
    version = 1
    confirms = True

    def pair(self, free: Free) -> Iterator[Pairing]:
        told: dict[tuple[str, str], MovementEntry] = {}
        for movement in free.movements:
            if movement.settlement_id:
                told.setdefault((movement.settlement_id, movement.kind), movement)
        for line in free.lines:
            if (line.key, line.kind) in told:
                yield Pairing(self.name, (line,), (told.pop((line.key, line.kind)),))
