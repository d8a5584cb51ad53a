"""How is a drill told? One object for machines, one table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from config.drill.invariants import Invariant


@dataclass(frozen=True, slots=True)
class Report:
    """All there is to say of one drill."""

    payments: int
    seed: int
    gateways: Sequence[str]
    decline_rate: float | None
    outage: str | None
    settled: bool
    faults: Sequence[str]
    seconds: float
    simulated_days: float
    states: Mapping[str, int]
    cases: Mapping[str, int]
    attempts: Mapping[str, int]
    declines: Mapping[str, int]
    failovers: int
    retries: Mapping[str, int]
    done: Mapping[str, int]
    struck: Mapping[str, int]
    statuses: Mapping[str, int]
    notes: Mapping[str, int]
    invariants: Sequence[Invariant]

    @property
    def missed(self) -> int:
        """How many invariants were broken at least once."""
        return sum(invariant.missed > 0 for invariant in self.invariants)

    def as_json(self) -> dict[str, Any]:
        """Plain values; `ok` says whether every invariant held."""
        return {"ok": not self.missed, **asdict(self)}

    def as_text(self) -> str:
        """For a terminal."""
        lines = [
            f"{self.payments} payments at {', '.join(self.gateways)}, seed {self.seed}, {self.seconds:.0f} s"
            f" and {self.simulated_days:g} simulated days; faults: {', '.join(self.faults) or 'none'}",
            f"  payments  {_counts(self.states)}",
            f"  cases     {_counts(self.cases)}",
            f"  attempts  {_counts(self.attempts)}; {self.failovers} of them at another gateway",
            f"  declines  {_counts(self.declines)}",
            f"  retries   {_counts(self.retries)}",
            f"  done      {_counts(self.done)}",
            f"  struck    {_counts(self.struck)}",
            *(f"  {count} × {note}" if count > 1 else f"  {note}" for note, count in self.notes.items()),
            "",
            f"  {'invariant':<34} {'checked':>8} {'missed':>7}",
        ]
        for invariant in self.invariants:
            lines.append(f"  {invariant.name:<34} {invariant.checked:>8} {invariant.missed:>7}")
            lines += [f"      {example}" for example in invariant.examples]
        verdict = f"{self.missed} invariants were broken." if self.missed else "Every invariant held."
        return "\n".join([*lines, "", verdict])


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counted.items())) or "none"


def tally(values: Sequence[str]) -> dict[str, int]:
    """How often each stands there."""
    return dict(sorted(Counter(values).items()))
