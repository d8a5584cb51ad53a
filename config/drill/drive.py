"""What do merchant and gateway do during a drill? Payments at a rate, follow-ups, repetitions, late acts in the dashboard.

It only acts; whether the books are right is judged elsewhere.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from config.drill.client import Answer, Control, DrillError, Merchant
from config.drill.faults import Planned, Trouble

CLIENTS = 16  # merchants' systems at once; most of them wait for their payment to get somewhere
WINDOW_SECONDS = 2.0  # how long an outage lasts
FOLLOW_SECONDS = 12.0  # a follow-up waits so long for its payment to get there
_LOOK_SECONDS = 0.5
_HELD_UP_SECONDS = 1.2  # from the first hanging call to the kill


@dataclass
class Drive:
    """One drill under way. `ids`: our payment of each planned one; `done` counts what was done."""

    merchant: Merchant
    control: Control
    seed: int
    ids: dict[int, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    given_up: list[str] = field(default_factory=list)  # payments whose follow-up waited in vain

    def take_payments(
        self, planned: Sequence[Planned], rate: float, windows: Sequence[Trouble], kills: Sequence[Callable[[], None]]
    ) -> None:
        """Ask for every payment and follow each to where its story ends. Raises: DrillError.

        `kills` are carried out in between by the calling thread, evenly spread; `windows` likewise.
        """
        events = self._in_between(len(planned), rate, windows, kills)
        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as clients, ThreadPoolExecutor(2 * CLIENTS) as repeaters:
            futures: list[Future[None]] = []
            for number, each in enumerate(planned):
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                self._aim(each)
                futures.append(clients.submit(self._live, each, repeaters))
                for event in events.get(number, ()):
                    event()
            for future in futures:
                future.result()

    def _in_between(
        self, payments: int, rate: float, windows: Sequence[Trouble], kills: Sequence[Callable[[], None]]
    ) -> dict[int, list[Callable[[], None]]]:
        """After which payment what is done: each trouble begins, some payments go by, and it ends or strikes."""
        pairs = [(partial(self._hold_up), kill, _HELD_UP_SECONDS) for kill in kills]
        pairs += [(partial(self._begin, t), partial(self._end, t), WINDOW_SECONDS) for t in windows]
        events: dict[int, list[Callable[[], None]]] = {}
        for index, (begin, end, seconds) in enumerate(pairs):
            first = payments * (index + 1) // (len(pairs) + 1)
            last = min(payments - 1, first + math.ceil(rate * seconds))
            events.setdefault(first, []).append(begin)
            events.setdefault(last, []).append(end)
        return events

    def _hold_up(self) -> None:
        """A kill shall not strike between two calls: the gateway does its part, and some answers hang meanwhile."""
        for operation in ("sale", "auth"):
            self.control.fault("slow:3", operation, times=4)

    def _begin(self, trouble: Trouble) -> None:
        self.control.fault(trouble.text)

    def _end(self, trouble: Trouble) -> None:
        self.control.clear(trouble.name)
        self.done[f"window of {trouble.name}"] += 1

    def _aim(self, each: Planned) -> None:
        """The fault waits for this payment's call; faults of the queue of webhooks for its event."""
        if each.trouble is not None and each.operation:
            self.control.fault(each.trouble.text, each.operation, times=1, reference=each.reference)

    # ---- one payment -------------------------------------------------------------------------------------------------

    def _live(self, each: Planned, repeaters: ThreadPoolExecutor) -> None:
        payment_id = self._ask_for(each, repeaters)
        self.ids[each.number] = payment_id
        self.done[each.story] += 1
        tell = _STORIES.get(each.story)
        if tell is not None:
            tell(self, each, payment_id)

    def _ask_for(self, each: Planned, repeaters: ThreadPoolExecutor) -> str:
        body: dict[str, object] = {
            "amount_minor": each.amount_minor,
            "currency": "USD",
            "reference": each.reference,
            "payer": {"email": each.payer},
            "method": {"type": "card", "token": each.token},
            "capture": each.capture,
        }
        key = f"{each.reference}-create"
        asked = [
            repeaters.submit(self.merchant.post, "/payments", body, key=key) for _ in range(each.repeats)
        ]  # at once
        answers = [future.result() for future in asked]
        if not answers[0].accepted:
            raise DrillError(f"{each.reference} was refused: {answers[0].status} {answers[0].body}")
        self.done["requests repeated under one key"] += each.repeats - 1
        return str(answers[0].body["id"])

    def cancel(self, each: Planned, payment_id: str) -> None:
        """Ask to cancel, whatever the state."""
        self._follow(each, payment_id, "cancel", {})

    def capture(self, each: Planned, payment_id: str) -> None:
        """Take the hold, all or a part of it, once it is there."""
        amount_minor = each.part_minor if each.story == "captured in part" else each.amount_minor
        if self.reached(payment_id, {"authorised"}):
            self._follow(each, payment_id, "capture", {"amount_minor": amount_minor, "final": True})

    def cancel_hold(self, each: Planned, payment_id: str) -> None:
        """Let the hold go, once it is there."""
        if self.reached(payment_id, {"authorised"}):
            self.cancel(each, payment_id)

    def refund(self, each: Planned, payment_id: str) -> None:
        """Give back all of it, or a part twice and then more than is left, which must be refused."""
        if not self.reached(payment_id, {"captured", "settled"}):
            return
        if each.story == "refunded":
            self._follow(each, payment_id, "refunds", {"amount_minor": each.amount_minor, "reason": "all of it"})
            return
        for number in ("first", "second"):
            body = {"amount_minor": each.part_minor, "reason": f"{number} part"}
            self._follow(each, payment_id, "refunds", body, number)
        answer = self._follow(
            each, payment_id, "refunds", {"amount_minor": each.amount_minor, "reason": "too much"}, "beyond"
        )
        if answer.accepted:
            raise DrillError(f"{payment_id}: a refund beyond what was captured was accepted: {answer.body}")

    def _follow(self, each: Planned, payment_id: str, what: str, body: dict[str, object], number: str = "") -> Answer:
        """One command under its own key, repeated as often as the plan says; a refusal is an answer, too."""
        key = f"{each.reference}-{what}{number}"
        answers = [self.merchant.post(f"/payments/{payment_id}/{what}", body, key=key) for _ in range(each.repeats)]
        self.done[f"{what} {'accepted' if answers[0].accepted else 'refused'}"] += 1
        return answers[0]

    def reached(self, payment_id: str, states: set[str]) -> bool:
        """Wait until the payment is in one of the states; False if it ended elsewhere or takes too long."""
        ends = {"failed", "cancelled", "expired", "refunded", "captured", "settled"} - states
        until = time.monotonic() + FOLLOW_SECONDS
        while time.monotonic() < until:
            state = self.merchant.get(f"/payments/{payment_id}").body["state"]
            if state in states:
                return True
            if state in ends:
                return False
            time.sleep(_LOOK_SECONDS)
        self.given_up.append(payment_id)
        return False

    def catch_up(self, planned: Sequence[Planned]) -> None:
        """What came too late for its follow-up gets it now. Raises: DrillError."""
        waiting, self.given_up = set(self.given_up), []
        late = [(each, self.ids[each.number]) for each in planned if self.ids[each.number] in waiting]
        with ThreadPoolExecutor(CLIENTS) as clients:
            for future in [clients.submit(_STORIES[each.story], self, each, payment_id) for each, payment_id in late]:
                future.result()
        self.done["follow-ups made later"] = len(waiting) - len(self.given_up)
        self.done["follow-ups given up"] = len(self.given_up)

    # ---- the gateway's own side --------------------------------------------------------------------------------------

    def late_acts(self, planned: Sequence[Planned]) -> None:
        """Captures after a cancel, refunds in the dashboard, and sales that are none of ours."""
        dice = random.Random(self.seed + 1)  # noqa: S311 - chance that must repeat, no secret
        mine = {each.reference: each for each in planned}
        books = self.control.books()["transactions"]
        ours = [t for t in books if t["description"] in mine and t["type"] in ("sale", "auth")]
        some = max(1, len(planned) // 50)
        cancelled = [
            t for t in ours if mine[t["description"]].story == "hold cancelled" and t["condition"] == "canceled"
        ]
        for transaction in _some(dice, cancelled, some):
            self.control.act("capture", transaction_id=transaction["transaction_id"], force=True)
            self.done["captured in the dashboard after the cancel"] += 1
        plain = [t for t in ours if mine[t["description"]].story == "sale" and t["condition"] == "pendingsettlement"]
        for transaction in _some(dice, plain, 2 * some):
            self.control.act("batch_settle", transaction_id=transaction["transaction_id"])
            self.control.act(
                "refund",
                transaction_id=transaction["transaction_id"],
                amount_minor=max(1, transaction["captured_minor"] // 2),
            )
            self.done["refunded in the dashboard"] += 1
        for number in range(some):
            self.control.act("foreign_sale", reference=f"other-system-{self.seed}-{number}", amount_minor=777)
            self.done["sales of another system"] += 1


def _some(dice: random.Random, rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    rows = sorted(rows, key=lambda row: str(row["description"]))
    return dice.sample(rows, min(count, len(rows)))


_STORIES: dict[str, Callable[[Drive, Planned, str], None]] = {
    "cancelled at once": Drive.cancel,
    "captured": Drive.capture,
    "captured in part": Drive.capture,
    "hold cancelled": Drive.cancel_hold,
    "refunded": Drive.refund,
    "refunded in part": Drive.refund,
}
