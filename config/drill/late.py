"""What do the gateways' own people, issuers and banks do after a payment? Acts over the control interface; nothing is judged."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.drill.client import Control
from config.drill.plan import Planned

Transaction = Mapping[str, Any]


@dataclass
class LateActs:
    """Of one drill. `done` counts what was done."""

    control: Control
    planned: Sequence[Planned]
    seed: int
    done: Counter[str]

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed + 1)  # noqa: S311 - chance that must repeat, no secret
        self._some = max(1, len(self.planned) // 50)
        known = {each.reference: each for each in self.planned}
        self._by_label = known | {each.payer: each for each in self.planned}

    def act(self, gateways: Sequence[str]) -> None:
        """Captures after a cancel, refunds in the dashboard, sales that are none of ours; disputes and refunds that fail."""
        for gateway in gateways:
            rows = [t for t in self.control.books(gateway)["transactions"] if t["type"] in ("sale", "auth")]
            ours = sorted((t for t in rows if self._planned(t)), key=lambda t: self._order(t).number)
            self._capture_after_cancel(gateway, ours)
            self._refund_in_dashboard(gateway, ours)
            if gateway == "stripe":
                self._dispute(ours)
            self._fail_refunds(gateway, ours)
            for number in range(self._some):
                self.control.act(gateway, "foreign_sale", reference=f"other-{self.seed}-{number}", amount_minor=777)
                self.done[f"sales of another system at {gateway}"] += 1

    def _planned(self, transaction: Transaction) -> Planned | None:
        named = self._by_label.get(transaction.get("description") or "")
        return named or self._by_label.get(transaction["payer_email"])

    def _order(self, transaction: Transaction) -> Planned:
        planned = self._planned(transaction)
        assert planned is not None
        return planned

    def _pick(
        self, rows: Sequence[Transaction], count: int, fits: Callable[[Transaction, Planned], bool]
    ) -> list[Transaction]:
        fitting = [t for t in rows if fits(t, self._order(t))]
        return self._dice.sample(fitting, min(count, len(fitting)))

    def _do(self, gateway: str, told: str, action: str, transaction: Transaction, **more: object) -> bool:
        did = self.control.may_act(gateway, action, transaction_id=transaction["transaction_id"], **more)
        self.done[f"{told} at {gateway}"] += did
        return did

    def _capture_after_cancel(self, gateway: str, ours: Sequence[Transaction]) -> None:
        gone = ("canceled", "Cancelled")
        for t in self._pick(ours, self._some, lambda t, p: p.story == "hold cancelled" and t["condition"] in gone):
            forced = {"force": True, "amount_minor": t["requested_minor"]}
            if gateway == "stripe":
                self._do(gateway, "captured after the cancel", "capture_after_all", t)
            else:
                self._do(gateway, "captured after the cancel", "capture", t, **forced)

    def _refund_in_dashboard(self, gateway: str, ours: Sequence[Transaction]) -> None:
        for t in self._pick(ours, 2 * self._some, lambda t, p: p.story == "sale" and _untouched(t)):
            if gateway == "nmi":
                self.control.may_act(gateway, "batch_settle", transaction_id=t["transaction_id"])
            self._do(gateway, "refunded in the dashboard", "refund", t, amount_minor=max(1, t["captured_minor"] // 2))

    def _dispute(self, ours: Sequence[Transaction]) -> None:
        """Some are won, some lost, some wait for evidence; an inquiry takes no money."""
        ends = ("dispute_win", "dispute_lose", "")
        for number, t in enumerate(self._pick(ours, len(ours), lambda t, p: p.story == "disputed" and _untouched(t))):
            kind = "inquiry" if number % 4 == 3 else "chargeback"
            if self._do("stripe", f"{kind} opened", "dispute", t, kind=kind) and kind == "chargeback":
                end = ends[number % 3]
                if end:
                    self._do("stripe", end.replace("_", " "), end, t)

    def _fail_refunds(self, gateway: str, ours: Sequence[Transaction]) -> None:
        action = {"convesiopay": "refund_fails", "stripe": "refund_fail"}.get(gateway)
        if action:
            for t in self._pick(
                ours, len(ours), lambda t, p: p.story == "refund comes back" and bool(t["refunded_minor"])
            ):
                self._do(gateway, "refund came back", action, t)


def _untouched(transaction: Transaction) -> bool:
    return bool(transaction["captured_minor"]) and not transaction["refunded_minor"]
