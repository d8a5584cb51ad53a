"""Which trouble is switched on, and whom does it hit? The catalogue and the switches; gateways act them out."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from simulator.messages import ControlError


class Stage(StrEnum):
    """Where in the life of a request a fault strikes."""

    TRANSPORT = "transport"  # the request or its answer on the wire
    OUTCOME = "outcome"  # what the gateway decides
    VISIBILITY = "visibility"  # when look-ups show it
    LOOKUP = "lookup"  # the look-up itself
    WEBHOOK = "webhook"  # the telling
    ACCOUNT = "account"  # the standing of the merchant's account


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One line of the catalogue. `argument`: none, seconds, count, minor, currency, code or word; `default` if omitted.

    `lasting` faults stay until deleted when neither times nor rate is given; all others strike once.
    """

    stage: Stage
    what: str
    argument: str = "none"
    default: str = ""
    lasting: bool = False


_WIRE, _OUTCOME, _TOLD = Stage.TRANSPORT, Stage.OUTCOME, Stage.WEBHOOK
CATALOGUE: Mapping[str, FaultSpec] = {
    "lost_response": FaultSpec(_WIRE, "processed, then the connection is cut before the answer"),
    "dropped_request": FaultSpec(_WIRE, "the connection is cut before processing: nothing happened"),
    "server_error": FaultSpec(_WIRE, "HTTP 500 with an HTML page, not processed"),
    "server_error_after": FaultSpec(_WIRE, "processed, then HTTP 500 with an HTML page"),
    "timeout": FaultSpec(_WIRE, "never answers, not processed (hangs until the client leaves, 60 s at most)"),
    "timeout_after": FaultSpec(_WIRE, "processed, then never answers"),
    "slow": FaultSpec(_WIRE, "slow[:seconds], processed, answered after so many seconds", "seconds", "2"),
    "empty_body": FaultSpec(_WIRE, "HTTP 200 with an empty body, not processed"),
    "empty_body_after": FaultSpec(_WIRE, "processed, then HTTP 200 with an empty body"),
    "html_body": FaultSpec(_WIRE, "HTTP 200 with a maintenance page, not processed"),
    "html_body_after": FaultSpec(_WIRE, "processed, then HTTP 200 with a maintenance page"),
    "rate_limited": FaultSpec(_WIRE, "HTTP 429, not processed"),
    "outage": FaultSpec(_WIRE, "every connection is reset, nothing processed; stays until deleted", lasting=True),
    "late_authorisation": FaultSpec(
        _WIRE, "late_authorisation[:seconds], cut without an answer, processed so many seconds later", "seconds", "5"
    ),
    "decline": FaultSpec(
        _OUTCOME, "decline:<code or class>, refused with that code of the gateway", "code", "soft_decline"
    ),
    "duplicate": FaultSpec(
        _OUTCOME, "duplicate[:transaction id], refused as a duplicate of another transaction, not processed", "word"
    ),
    "amount_off": FaultSpec(
        _OUTCOME,
        "amount_off:<minor>[:silent], takes so much more (or less); silent: the answer does not say so",
        "minor",
    ),
    "currency_off": FaultSpec(_OUTCOME, "currency_off:<CUR>, takes the amount in another currency", "currency"),
    "communication_error": FaultSpec(
        _OUTCOME, "processed, but the answer is the code for a lost line to the processor"
    ),
    "test_mode": FaultSpec(
        Stage.ACCOUNT, "the account is in test mode: webhooks and the status report say so", lasting=True
    ),
    "lookup_lag": FaultSpec(
        Stage.VISIBILITY, "lookup_lag[:seconds], look-ups do not show the change for so many seconds", "seconds", "5"
    ),
    "lookup_down": FaultSpec(
        Stage.LOOKUP,
        "lookup_down[:reset], look-ups answer HTTP 503 (or reset); stays until deleted",
        "word",
        lasting=True,
    ),
    "webhook_duplicate": FaultSpec(
        _TOLD, "webhook_duplicate[:n], n further deliveries of the same event", "count", "1"
    ),
    "webhook_delayed": FaultSpec(_TOLD, "webhook_delayed[:seconds], sent so much later", "seconds", "5"),
    "webhook_missing": FaultSpec(_TOLD, "never sent (the act resend_webhook sends it)"),
    "webhook_reordered": FaultSpec(
        _TOLD,
        "webhook_reordered[:seconds], overtaken by its subject's next event; waits so long at most",
        "seconds",
        "5",
    ),
    "webhook_forged": FaultSpec(_TOLD, "one further delivery under another event id, altered, with a wrong signature"),
    "webhook_other_id": FaultSpec(
        _TOLD, "webhook_other_id[:n], n further events of one content, own ids", "count", "1"
    ),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a fault may be aimed at: gateway, operation, and every label (references, payer) the request carries."""

    gateway: str
    operation: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that strikes now, with its argument."""

    name: str
    argument: str = ""

    @property
    def seconds(self) -> float:
        return float(self.argument)

    @property
    def number(self) -> int:
        return int(self.argument.split(":", 1)[0])

    @property
    def silent(self) -> bool:
        return self.argument.endswith(":silent")


@dataclass(slots=True)
class Switch:
    """One fault switched on. `times_left` None: unlimited. `reference` is a shell pattern over the labels."""

    switch_id: int
    gateway: str
    operation: str
    strike: Strike
    times_left: int | None
    rate: float | None
    reference: str
    hits: int = 0

    def aims_at(self, subject: Subject) -> bool:
        return (
            self.gateway in (subject.gateway, "any")
            and self.operation in (subject.operation, "any")
            and (not self.reference or any(fnmatchcase(label, self.reference) for label in subject.labels))
        )

    def view(self) -> dict[str, object]:
        argument = self.strike.argument
        return {
            "id": self.switch_id,
            "gateway": self.gateway,
            "operation": self.operation,
            "fault": f"{self.strike.name}:{argument}" if argument else self.strike.name,
            "times_left": self.times_left,
            "rate": self.rate,
            "reference": self.reference or None,
            "hits": self.hits,
        }


class FaultBoard:
    """The switches of all gateways. With the same seed and the same order of requests, `rate` strikes the same ones."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - chance that must repeat, no secret
        self._switches: list[Switch] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self.struck: Counter[str] = Counter()

    def add(self, switch: Mapping[str, Any], strike: Strike) -> Switch:
        """Switch a checked fault on."""
        with self._lock:
            made = Switch(switch_id=next(self._ids), strike=strike, **switch)
            self._switches.append(made)
            return made

    def take(self, subject: Subject, names: Iterable[str]) -> Strike | None:
        """The first switch of these names that strikes this subject now; counts it off."""
        wanted = set(names)
        with self._lock:
            for switch in self._switches:
                if switch.strike.name in wanted and switch.aims_at(subject) and self._falls_on(switch):
                    self._count(switch)
                    return switch.strike
        return None

    def take_all(self, subject: Subject, stage: Stage) -> list[Strike]:
        """One strike at most of each name of this stage."""
        names = [name for name, spec in CATALOGUE.items() if spec.stage is stage]
        return [strike for name in names if (strike := self.take(subject, [name])) is not None]

    def is_on(self, gateway: str, name: str) -> bool:
        """Whether a switch of this name stands, without counting it."""
        with self._lock:
            return any(s.strike.name == name and s.gateway in (gateway, "any") for s in self._switches)

    def active(self) -> list[dict[str, object]]:
        with self._lock:
            return [switch.view() for switch in self._switches]

    def remove(self, keep: Callable[[Switch], bool]) -> int:
        """Switch off all that `keep` does not hold; returns how many."""
        with self._lock:
            before = len(self._switches)
            self._switches = [switch for switch in self._switches if keep(switch)]
            return before - len(self._switches)

    def reset(self) -> None:
        with self._lock:
            self._random = random.Random(self._seed)  # noqa: S311 - see above
            self._switches.clear()
            self.struck.clear()

    def _falls_on(self, switch: Switch) -> bool:
        return switch.rate is None or self._random.random() < switch.rate

    def _count(self, switch: Switch) -> None:
        switch.hits += 1
        self.struck[switch.strike.name] += 1
        if switch.times_left is not None:
            switch.times_left -= 1
            if not switch.times_left:
                self._switches.remove(switch)


def parse_fault(text: object) -> Strike:
    """`name[:argument]` checked against the catalogue. Raises: ControlError naming `fault`."""
    if not isinstance(text, str) or not text:
        raise ControlError("fault", "fault is required: a name out of GET /_control/faults")
    name, _, argument = text.partition(":")
    spec = CATALOGUE.get(name)
    if spec is None:
        raise ControlError("fault", f"unknown fault {name!r}; GET /_control/faults lists them")
    if spec.argument == "none" and argument:
        raise ControlError("fault", f"{name} takes no argument")
    argument = argument or spec.default
    problem = _argument_problem(spec.argument, argument)
    if problem:
        raise ControlError("fault", f"{name}: {problem}")
    return Strike(name, argument)


def _argument_problem(kind: str, argument: str) -> str:
    number, _, rest = argument.partition(":")
    if kind == "seconds" and not _is_seconds(argument):
        return f"{argument!r} is not a number of seconds from 0 to 1000000"
    if kind == "count" and not (argument.isdecimal() and 1 <= int(argument) <= 1000):
        return f"{argument!r} is not a count from 1 to 1000"
    if kind == "minor" and (not number.removeprefix("-").isdecimal() or not int(number) or rest not in ("", "silent")):
        return f"{argument!r} is not an amount in minor units other than 0, or <minor>:silent"
    if kind == "currency" and not (len(argument) == 3 and argument.isascii() and argument.isalpha()):
        return f"{argument!r} is not a currency code"
    return ""


def _is_seconds(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and float(text) <= 1_000_000
