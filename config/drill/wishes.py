"""Which drill is asked for? The words of the command line as values, or one sentence about what is wrong with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

GATEWAYS = ("nmi", "convesiopay", "stripe")
_OUTAGE = re.compile(r"(?P<gateway>[a-z]+)@(?P<begin>\d{1,3})%-(?P<end>\d{1,3})%")


class UnknownWishError(ValueError):
    """Something that can not be drilled; the message says what can."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A gateway that is away while payments come in: from `begin` to `end` percent of them."""

    gateway: str
    begin: int
    end: int

    def numbers(self, payments: int) -> tuple[int, int]:
        """Before which payment it begins and before which it is over, counted from 0."""
        return payments * self.begin // 100, payments * self.end // 100

    def __str__(self) -> str:
        return f"{self.gateway}@{self.begin}%-{self.end}%"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `rate` in payments a second; `decline_rate` None: as the stories have it."""

    payments: int
    seed: int
    faults: frozenset[str]
    rate: float
    gateways: tuple[str, ...] = GATEWAYS[:1]
    decline_rate: float | None = None
    outage: Outage | None = None
    settle: bool = False


def chosen_gateways(text: str) -> tuple[str, ...]:
    """Names with commas between, in the order in which routing asks them. Raises: UnknownWishError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in GATEWAYS]
    if unknown or not names:
        what = f"There is no gateway {unknown[0]!r}" if unknown else "No gateway is named"
        raise UnknownWishError(f"{what}: some of {', '.join(GATEWAYS)}.")
    if len(set(names)) < len(names):
        raise UnknownWishError(f"A gateway is named twice: {', '.join(names)}.")
    return tuple(names)


def chosen_share(text: str) -> float | None:
    """A share from 0 to 1; empty: none is named. Raises: UnknownWishError."""
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UnknownWishError(f"--decline-rate is a share from 0 to 1, such as 0.4, and not {text!r}.")
    return share


def chosen_outage(text: str, gateways: Collection[str]) -> Outage | None:
    """`<gateway>@<from>%-<to>%`, of a gateway that is drilled; empty: none. Raises: UnknownWishError."""
    if not text:
        return None
    found = _OUTAGE.fullmatch(text.replace(" ", ""))
    if found is None:
        raise UnknownWishError(f"--outage is written like nmi@40%-70%, and not {text!r}.")
    outage = Outage(found["gateway"], int(found["begin"]), int(found["end"]))
    if outage.gateway not in gateways:
        raise UnknownWishError(f"--outage names {outage.gateway!r}; drilled are {', '.join(gateways)}.")
    if not outage.begin < outage.end <= 100:
        raise UnknownWishError(f"--outage ends after it begins, and at 100% at the latest: {outage} does not.")
    return outage
