"""What do merchant and gateway do during a drill? Payments at a rate, follow-ups, repetitions, late acts in the dashboard.

It only acts; whether the books are right is judged elsewhere.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from config.drill.client import Answer, Control, DrillError, Merchant
from config.drill.faults import Trouble
from config.drill.plan import PATIENCE_DAYS, Planned
from config.drill.wishes import Outage

CLIENTS = 16  # merchants' systems at once; most of them wait for their payment to get somewhere
WINDOW_SECONDS = 2.0  # how long an outage lasts
FOLLOW_SECONDS = 12.0  # a follow-up waits so long for its payment to get there
_LOOK_SECONDS = 0.5
_HELD_UP_SECONDS = 1.2  # from the first hanging call to the kill
_BACK_TO = "https://shop.example/order"  # where a payer's bank sends them; nobody goes there


@dataclass
class Drive:
    """One drill under way. `ids`: our payment of each planned one; `done` counts what was done."""

    merchant: Merchant
    control: Control
    seed: int
    gateways: Sequence[str] = ("nmi",)
    ids: dict[int, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    given_up: list[str] = field(default_factory=list)  # payments whose follow-up waited in vain

    def take_payments(
        self,
        planned: Sequence[Planned],
        rate: float,
        windows: Sequence[tuple[str, Trouble]],
        kills: Sequence[Callable[[], None]],
        outage: Outage | None = None,
    ) -> None:
        """Ask for every payment and follow each to where its story ends. Raises: DrillError.

        `kills` are carried out in between by the calling thread, evenly spread; `windows` likewise.
        """
        events = self._in_between(len(planned), rate, windows, kills)
        if outage is not None:
            begin, end = outage.numbers(len(planned))
            events.setdefault(begin, []).insert(0, partial(self._begin, outage.gateway, _AWAY))
            events.setdefault(end, []).insert(0, partial(self._end, outage.gateway, _AWAY, f"outage of {outage}"))
        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as clients, ThreadPoolExecutor(2 * CLIENTS) as repeaters:
            futures: list[Future[None]] = []
            for number, each in enumerate(planned):
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                for event in events.get(number, ()):
                    event()
                self._aim(each)
                if each.door == "api":
                    futures.append(clients.submit(self._live, each, repeaters))
            for future in futures:
                future.result()
        for event in events.get(len(planned), ()):
            event()

    def _in_between(
        self, payments: int, rate: float, windows: Sequence[tuple[str, Trouble]], kills: Sequence[Callable[[], None]]
    ) -> dict[int, list[Callable[[], None]]]:
        """Before which payment what is done: each trouble begins, some payments go by, and it ends or strikes."""
        pairs = [(partial(self._hold_up), kill, _HELD_UP_SECONDS) for kill in kills]
        pairs += [
            (
                partial(self._begin, gateway, t),
                partial(self._end, gateway, t, f"window of {t.name} at {gateway}"),
                WINDOW_SECONDS,
            )
            for gateway, t in windows
        ]
        events: dict[int, list[Callable[[], None]]] = {}
        for index, (begin, end, seconds) in enumerate(pairs):
            first = payments * (index + 1) // (len(pairs) + 1)
            last = min(payments, first + math.ceil(rate * seconds))
            events.setdefault(first, []).append(begin)
            events.setdefault(last, []).append(end)
        return events

    def _hold_up(self) -> None:
        """A kill shall not strike between two calls: the gateway does its part, and some answers hang meanwhile."""
        for operation in ("sale", "auth"):
            self.control.fault(self.gateways[0], "slow:3", operation, times=4)

    def _begin(self, gateway: str, trouble: Trouble) -> None:
        self.control.fault(gateway, trouble.text)

    def _end(self, gateway: str, trouble: Trouble, told: str) -> None:
        self.control.clear(gateway, trouble.name)
        self.done[told] += 1

    def _aim(self, each: Planned) -> None:
        """The fault waits for this payment's call; faults of the queue of webhooks for its event."""
        if each.trouble is not None and each.operation:
            gateway = each.gateway
            self.control.fault(gateway, each.trouble.text, each.operation, times=1, reference=each.label(gateway))

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
            "method": each.method,
            "capture": each.capture,
        }
        body |= {"gateway": each.wanted} if each.wanted else {}
        body |= {"return_url": _BACK_TO} if each.asks_payer else {}
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
        if each.story in ("refunded", "refund comes back"):
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

    # ---- the payer's side --------------------------------------------------------------------------------------------

    def answer_bank(self, each: Planned, payment_id: str) -> None:
        """The payer confirms, or fails to, once their bank asks."""
        if self._asked(payment_id):
            self._say(each, approved=each.story == "payer approves")

    def _asked(self, payment_id: str) -> bool:
        until = time.monotonic() + FOLLOW_SECONDS
        while time.monotonic() < until:
            view = self.merchant.get(f"/payments/{payment_id}").body
            if view["waits_for"] == "payer":
                return True
            if view["state"] not in ("initiated", "validated", "pending"):
                return False
            time.sleep(_LOOK_SECONDS)
        return False

    def _say(self, each: Planned, *, approved: bool) -> None:
        words = {"convesiopay": ("payer_approves", "payer_fails"), "stripe": ("approve", "fail")}[each.gateway]
        if self.control.may_act(each.gateway, words[not approved], reference=each.label(each.gateway)):
            self.done[f"payers who {'approved' if approved else 'failed'} at {each.gateway}"] += 1

    # ---- other doors -------------------------------------------------------------------------------------------------

    def orders_inside(self, planned: Sequence[Planned]) -> dict[str, object]:
        """What comes in by a spreadsheet, and what the merchant charges while no payer is there."""
        rows = [_row(each) for each in planned if each.door == "upload"]
        charges = [
            {
                "reference": each.reference,
                "amount_minor": each.amount_minor,
                "email": each.payer,
                "method": each.method,
                "gateway": each.wanted,
                "seconds": PATIENCE_DAYS * 86_400,
            }
            for each in planned
            if each.door == "merchant"
        ]
        return {"seed": self.seed, "gateways": list(self.gateways), "rows": rows, "charges": charges}

    def find_orders(self, planned: Sequence[Planned]) -> None:
        """Which payments came of what did not come over the API."""
        for each in planned:
            if each.door != "api":
                found = self.merchant.get(f"/payments?reference={each.reference}").body["items"]
                self.done[f"by {each.door}"] += 1
                if found:
                    self.ids[each.number] = str(found[0]["id"])

    def catch_up(self, planned: Sequence[Planned]) -> None:
        """What came too late for its follow-up gets it now. Raises: DrillError."""
        waiting, self.given_up = set(self.given_up), []
        late = [
            (each, self.ids[each.number])
            for each in planned
            if each.number in self.ids and self.ids[each.number] in waiting and each.story in _STORIES
        ]
        with ThreadPoolExecutor(CLIENTS) as clients:
            for future in [clients.submit(_STORIES[each.story], self, each, payment_id) for each, payment_id in late]:
                future.result()
        for each in planned:
            if each.story == "payer approves late" and each.number in self.ids:
                self._say(each, approved=True)
        self.done["follow-ups made later"] = len(waiting) - len(self.given_up)
        self.done["follow-ups given up"] = len(self.given_up)


def _row(each: Planned) -> dict[str, str]:
    """A line of a spreadsheet. Amounts stand there in main units."""
    whole, cents = divmod(each.amount_minor, 100)
    row = {"reference": each.reference, "amount": f"{whole}.{cents:02d}", "currency": "USD", "payer_email": each.payer}
    row |= {"gateway": each.wanted, "token": "" if each.credentials else each.token}
    return {**row, **each.credentials}


_AWAY = Trouble("outage", window=True)
_STORIES: dict[str, Callable[[Drive, Planned, str], None]] = {
    "cancelled at once": Drive.cancel,
    "captured": Drive.capture,
    "captured in part": Drive.capture,
    "hold cancelled": Drive.cancel_hold,
    "refunded": Drive.refund,
    "refunded in part": Drive.refund,
    "refund comes back": Drive.refund,
    "payer approves": Drive.answer_bank,
    "payer fails": Drive.answer_bank,
}
