"""How are differences of the gateway's own rows planted? Fees off the contract, reserves and adjustments nobody agreed to."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.reports.contract import Profile
from simulator.reports.maker import Maker
from simulator.reports.values import Label, Row, Story

_MORNING, _EVENING = 4, 17


def adjustment(maker: Maker) -> Story:
    gross = maker.draw.choice([-1, 1]) * maker.draw.randint(100, 9_000)
    return _own(maker, "adjustment", "gateway_adjustment", gross, "manual correction")


def reserve_hold(maker: Maker) -> Story | None:
    """Where a contract allows it, it is no difference."""
    if maker.profile.reserves:
        return None
    return _own(maker, "reserve_hold", "reserve_hold", -maker.draw.randint(1_000, 30_000), "risk reserve")


def reserve_release(maker: Maker) -> Story | None:
    if maker.profile.reserves:
        return None
    return _own(maker, "reserve_release", "reserve_release", maker.draw.randint(1_000, 30_000), "risk reserve")


def _own(maker: Maker, kind: str, label: str, gross: int, text: str) -> Story:
    story = maker.story(clean=False)
    row = maker.own(kind, maker.some_time(maker.days.day, first=1, last=20), "USD", gross, text)
    story.rows.append(row)
    story.labels.append(Label(label, maker.profile.name, f"line:{row.key}", abs(gross), gross, "USD"))
    return story


def fees_off(maker: Maker, stories: Iterable[Story]) -> list[Label]:
    """One method of one day pays too much, or its tax is wrong; and a monthly fee may be another than agreed."""
    labels = [_off(maker, stories, "fee")]
    if maker.profile.tells_tax:
        labels.append(_off(maker, stories, "tax"))
    return [label for label in labels if label is not None]


def _off(maker: Maker, stories: Iterable[Story], what: str) -> Label | None:
    groups: dict[tuple[str, str], list[Row]] = {}
    for story in stories:
        for row in story.rows if story.clean else ():
            if (
                row.kind == "charge"
                and _at_daytime(maker, row)
                and maker.profile.rate("charge", row.method, row.currency)
            ):
                groups.setdefault((row.method, row.currency), []).append(row)
    if not groups:
        return None
    method, currency = maker.draw.choice(sorted(groups))
    rows = maker.draw.sample(groups[method, currency], k=maker.draw.randint(1, min(20, len(groups[method, currency]))))
    amount = sum(_shift(maker, row, what) for row in rows)
    key = f"{what}:{maker.days.day}:{currency}:charge:{method}"
    return Label(
        f"{what}_mismatch" if what == "fee" else "fee_tax_mismatch", maker.profile.name, key, amount, 0, currency
    )


def _shift(maker: Maker, row: Row, what: str) -> int:
    off = maker.draw.randint(2, 60)
    if what == "fee":
        row.fee += off
    else:
        row.tax += off
    return off


def _at_daytime(maker: Maker, row: Row) -> bool:
    """Far from midnight: in whatever zone it is read, it is a row of this day."""
    local = row.at.astimezone(maker.days.zone)
    return local.date() == maker.days.day and _MORNING <= local.hour <= _EVENING


def monthly_fee_off(profile: Profile, rows: Iterable[Row], day: str) -> Label | None:
    """The gateway's own fee of a day is another than agreed."""
    for row in rows:
        if row.kind == "fee":
            row.gross -= 700
            return Label("fee_mismatch", profile.name, f"fee:{day}:{row.currency}:fee:", 700, 0, row.currency)
    return None
