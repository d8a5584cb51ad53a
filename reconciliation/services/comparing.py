"""What did a comparison come to, in words a person or a script can act on? For doors that run one day at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db.models import Count

from reconciliation.models import Break
from reconciliation.rules.base import said
from reconciliation.services.running import run_day
from reconciliation.states import OPEN_BREAK_STATES, RunState

_LINES = ("matched", "booked", "broken", "early", "rejected", "foreign")
_MOVEMENTS = ("matched", "broken", "expected")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run as it ended, and what is open at its account."""

    account: str
    day: date
    run: str
    state: str
    because: str
    balanced: bool
    lines: str
    movements: str
    proofs: tuple[str, ...]
    breaks: Mapping[str, int]
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0: balanced and nothing open; 1: breaks are open; 2: it waits or failed."""
        if self.state != RunState.DONE or not self.balanced:
            return 2
        return 1 if self.breaks else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.exit_code == 0,
            "account": self.account,
            "day": self.day.isoformat(),
            "run": self.run,
            "state": self.state,
            "because": self.because,
            "balanced": self.balanced,
            "equations": {"lines": self.lines, "movements": self.movements},
            "open_breaks": dict(self.breaks),
            **self.numbers,
        }


def compare_day(slug: str, day: date, clock: Callable[[], datetime]) -> Outcome:
    """This function will compare an account up to a day, as `run_day` does, and say what came of it.

    Raises: NotFound. Idempotent on: account and day. Writes: as `run_day`.
    """
    run = run_day(slug, day, clock)
    rows = Break.objects.filter(account_id=run.account_id, state__in=sorted(state.value for state in OPEN_BREAK_STATES))
    counted = rows.values("kind").annotate(count=Count("id")).order_by("kind")
    compared = run.state in {RunState.DONE, RunState.FAILED}
    return Outcome(
        account=slug,
        day=day,
        run=run.public_id,
        state=run.state,
        because=run.because,
        balanced=run.balanced and compared,
        lines=_sentence(run.lines, "read", "lines read", _LINES) if compared else "",
        movements=_sentence(run.movements, "open", "open movements in scope", _MOVEMENTS) if compared else "",
        proofs=tuple(_proof(one) for one in run.legs.get("proofs", ())) if compared else (),
        breaks={row["kind"]: row["count"] for row in counted},
        numbers={"lines": run.lines, "movements": run.movements, "legs": run.legs} if compared else {},
    )


def _sentence(numbers: Mapping[str, Any], whole: str, words: str, parts: tuple[str, ...]) -> str:
    sums = " + ".join(f"{numbers.get(part, 0)} {part}" for part in parts)
    lost = numbers.get("lost", 0)
    return f"{numbers.get(whole, 0)} {words} = {sums}" + (f"; {lost} in no part" if lost else "")


def _proof(one: Mapping[str, Any]) -> str:
    currency = one["currency"]
    books, timing, breaks, gateway, residual = (
        said(one[f"{name}_minor"], currency) for name in ("books", "timing", "breaks", "gateway", "residual")
    )
    return f"books {books} + timing {timing} + breaks {breaks} = gateway {gateway}, residual {residual}"
