"""How often do issuers refuse and payers dispute at an account, and is that above its line? Reads counted months, one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from console.values import Tone
from payments.models import GatewayAccount, GatewayMonth

MONTHS_SHOWN = 6
FEWEST = 20
"""Fewer answers or captures than this judge nobody: two refusals of three would be 67 percent."""
_STEP = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Bar:
    """One month of one ratio. `width` is its share of the scale, 0 to 100; `percent` None: nothing happened."""

    month: date
    part: int
    whole: int
    percent: Decimal | None
    width: Decimal
    tone: Tone
    judged: bool
    hint: str

    @property
    def words(self) -> str:
        """The ratio as people read it."""
        return "–" if self.percent is None else f"{self.percent} %"

    @property
    def counts(self) -> str:
        """What the ratio is made of."""
        return f"{self.part:,} of {self.whole:,}" if self.whole else "none yet"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One ratio of one account over the latest months, newest first. `line_at`: where the alarm line stands on the scale."""

    title: str
    what: str
    line: Decimal
    line_at: Decimal
    bars: tuple[Bar, ...]
    counted_at: datetime | None

    @property
    def alarm(self) -> bool:
        """Is the newest month above the line?"""
        return bool(self.bars) and self.bars[0].tone == Tone.BAD


def gauges(account: GatewayAccount) -> tuple[Gauge, Gauge]:
    """Declines and disputes of one account."""
    rows = list(GatewayMonth.objects.filter(gateway_account=account).order_by("-month")[:MONTHS_SHOWN])
    declines = [(row.month, row.declined, row.answered) for row in rows]
    disputes = [(row.month, row.disputed, row.captured) for row in rows]
    counted = rows[0].counted_at if rows else None
    return (
        _gauge("Declines", "answers of issuers", account.decline_alarm_percent, declines, counted),
        _gauge("Disputes", "captures", account.dispute_alarm_percent, disputes, counted),
    )


def above(part: int, whole: int, line: Decimal) -> bool:
    """Is the share above the line, in percent? Too few to judge is not."""
    return whole >= FEWEST and Decimal(part) * 100 > line * whole


def _gauge(
    title: str, what: str, line: Decimal, months: Sequence[tuple[date, int, int]], counted: datetime | None
) -> Gauge:
    shares = [_percent(part, whole) for _, part, whole in months]
    scale = max([line * Decimal("1.6"), *(share for share in shares if share is not None), Decimal("0.1")])
    scale = min(scale, Decimal(100)) if line < 100 else Decimal(100)
    bars = tuple(
        _bar(title, month, part, whole, share, line, scale)
        for (month, part, whole), share in zip(months, shares, strict=True)
    )
    return Gauge(title, what, line, _place(line, scale), bars, counted)


def _bar(title: str, month: date, part: int, whole: int, share: Decimal | None, line: Decimal, scale: Decimal) -> Bar:
    judged = whole >= FEWEST
    red = above(part, whole, line)
    hint = f"{title} in {month:%B %Y}: {part:,} of {whole:,}"
    hint += f"; the line is at {line} %." if judged else f"; fewer than {FEWEST} are not judged."
    place = _place(share, scale) if share is not None else Decimal(0)
    return Bar(month, part, whole, share, place, Tone.BAD if red else Tone.QUIET, judged, hint)


def _percent(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) * 100 / whole).quantize(_STEP, ROUND_HALF_UP) if whole else None


def _place(value: Decimal, scale: Decimal) -> Decimal:
    return min(value * 100 / scale, Decimal(100)).quantize(_STEP, ROUND_HALF_UP)
