"""Which movements look like a line, sharing no identity with it? Listed for a person to judge, never matched by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from reconciliation.rules.base import Free, MovementEntry, Pairing

APART: Final = timedelta(days=3)
MOST: Final = 5


class Suggestion:
    """Kind, amount and currency agree within three days. At most five a line; they may overlap."""

    name = "suggestion"
    version = 1
    confirms = False

    def pair(self, free: Free) -> Iterator[Pairing]:
        alike: dict[tuple[str, int, str], list[MovementEntry]] = defaultdict(list)
        for movement in free.movements:
            alike[movement.kind, movement.minor, movement.currency].append(movement)
        for line in free.lines:
            near = [
                movement
                for movement in alike.get((line.kind, *line.presented), [])
                if abs(movement.occurred_at - line.occurred_at) <= APART
            ]
            for movement in near[:MOST]:
                yield Pairing(self.name, (line,), (movement,))
