"""Do both stand in the same payout with an amount that stands there once? Sharing the payout is what makes it more than chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reconciliation.rules.base import Free, LineEntry, MovementEntry, Pairing, contradicts

Place = tuple[str, str, int, str]


class PayoutAmount:
    """Payout, kind, amount and currency agree, once on either side, and no identity speaks against it."""

    name = "payout_amount"
    version = 1
    confirms = True

    def pair(self, free: Free) -> Iterator[Pairing]:
        lines: dict[Place, list[LineEntry]] = defaultdict(list)
        movements: dict[Place, list[MovementEntry]] = defaultdict(list)
        for line in free.lines:
            if line.payout_id:
                lines[line.payout_id, line.kind, *line.presented].append(line)
        for movement in free.movements:
            if movement.payout_id:
                movements[movement.payout_id, movement.kind, movement.minor, movement.currency].append(movement)
        for place, theirs in lines.items():
            ours = movements.get(place, [])
            if len(theirs) == len(ours) == 1 and not contradicts(theirs[0], ours[0]):
                yield Pairing(self.name, (theirs[0],), (ours[0],))
