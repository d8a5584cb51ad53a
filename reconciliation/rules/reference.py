"""Does the line echo the reference we gave? It is random and ours alone; kind and amount must agree beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reconciliation.rules.base import Free, LineEntry, MovementEntry, Pairing, contradicts, pair_off


class Reference:
    """Our reference and the kind agree, and neither names another transaction."""

    name = "reference"
    version = 2
    confirms = True

    def pair(self, free: Free) -> Iterator[Pairing]:
        lines: dict[tuple[str, str], list[LineEntry]] = defaultdict(list)
        movements: dict[tuple[str, str], list[MovementEntry]] = defaultdict(list)
        for line in free.lines:
            if line.reference:
                lines[line.reference, line.kind].append(line)
        for movement in free.movements:
            if movement.reference:
                movements[movement.reference, movement.kind].append(movement)
        for key, theirs in lines.items():
            ours = movements.get(key, [])
            fitting = [line for line in theirs if any(not contradicts(line, movement) for movement in ours)]
            for pairing in pair_off(self.name, fitting, ours):
                if not contradicts(pairing.lines[0], pairing.movements[0]):
                    yield pairing
