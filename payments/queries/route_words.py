"""Why was this gateway asked? The routing's own sentences, kept with the attempt, as people read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def route_words(route: Mapping[str, Any]) -> str:
    """One line for the payment's page; empty for attempts made before routing kept its reasons.

    "NMI first: no answer 3 times in a row. ConvesioPay is the next that can take it."
    """
    why = [str(sentence) for sentence in route.get("why", ())]
    if not why:
        return ""
    passed, chosen = [_parts(sentence) for sentence in why[:-1]], _parts(why[-1])[0]
    if not passed:
        return f"{chosen} is the first that can take it."
    return f"{' '.join(_passed(passed))} {chosen} is the next that can take it."


def _passed(told: Sequence[tuple[str, str]]) -> list[str]:
    first, *rest = told
    return [f"{first[0]} first: {first[1]}", *(f"Then {name}: {reason}" for name, reason in rest)]


def _parts(sentence: str) -> tuple[str, str]:
    """The account's name and what was said of it. A name may hold a colon; a reason begins after the first ": "."""
    name, _, reason = sentence.partition(": ")
    return name, reason
