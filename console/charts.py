"""What does a chart show? Bars with their numbers, measured for drawing; colour never speaks alone, and a table stands behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.values import Shown, Tone

WIDTH, HEIGHT = 640, 140
_GAP = 0.28


@dataclass(frozen=True, slots=True)
class Bar:
    """One value: its name, the number it is drawn by, and what is written for it."""

    label: str
    value: int
    shown: Shown
    tone: Tone = Tone.INFO
    url: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of one measure. `most` is the value of a full bar; 0: the largest one. `columns` head the table behind it.

    `scale` is what stands at the top and the foot of upright columns.
    """

    title: str
    says: str  # what one learns from it, in a sentence; also read aloud
    bars: Sequence[Bar]
    columns: tuple[str, str] = ("", "")
    most: int = 0
    empty: str = "Nothing to show yet."
    scale: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar with its place: percent of the full length, and the box of an upright column."""

    bar: Bar
    percent: float
    x: float
    y: float
    width: float
    height: float


def drawn(chart: Chart) -> list[Drawn]:
    """Measure every bar. Negative values are drawn by their size; their tone and number tell the side."""
    most = chart.most or max((abs(bar.value) for bar in chart.bars), default=0)
    step = WIDTH / max(len(chart.bars), 1)
    found = []
    for place, bar in enumerate(chart.bars):
        share = min(abs(bar.value) / most, 1.0) if most else 0.0
        height = round(share * HEIGHT, 1)
        x, width = round(place * step + step * _GAP / 2, 1), round(step * (1 - _GAP), 1)
        found.append(Drawn(bar, round(share * 100, 1), x, round(HEIGHT - height, 1), width, height))
    return found
