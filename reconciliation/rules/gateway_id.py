"""Do line and movement name the same transaction and the same kind of money? Several of each are paired by amount."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reconciliation.rules.base import Free, LineEntry, MovementEntry, Pairing, pair_off


class GatewayId:
    """The canonical id of the transaction and the kind agree."""

    name = "gateway_id"
    version = 2
    confirms = True

    def pair(self, free: Free) -> Iterator[Pairing]:
        lines: dict[tuple[str, str], list[LineEntry]] = defaultdict(list)
        movements: dict[tuple[str, str], list[MovementEntry]] = defaultdict(list)
        for line in free.lines:
            if line.gateway_id:
                lines[line.gateway_id, line.kind].append(line)
        for movement in free.movements:
            movements[movement.gateway_id, movement.kind].append(movement)
        for key, theirs in lines.items():
            if key in movements:
                yield from pair_off(self.name, theirs, movements[key])
