"""What does an ordinary day hold? Orders that both sides tell alike, in all their forms; nothing of it is a difference."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from simulator.reports.maker import Maker
from simulator.reports.values import Row, Story, Told

_LONGEST = timedelta(minutes=1)


def ordinary(maker: Maker, day: date) -> Story:
    """One order that ends well, or badly as both sides know."""
    chance = maker.draw.random()
    for share, make in _FORMS:
        if chance < share:
            return make(maker, day)
        chance -= share
    return sold(maker, day)


def sold(maker: Maker, day: date) -> Story:
    story = maker.story()
    told, row = maker.charge(story, maker.some_time(day))
    if maker.profile.name == "convesiopay" and maker.draw.random() < 0.03:
        row.gateway_id = ""  # some rows name nothing but the merchant's reference
    story.told.append(told)
    story.rows.append(row)
    return story


def refunded(maker: Maker, day: date) -> Story:
    story = sold(maker, day)
    charge = story.told[0]
    amount = maker.draw.choice([charge.amount_minor, charge.amount_minor // 3])
    _add(story, maker.refund(charge, maker.some_time(day + timedelta(days=1)), amount))
    return story


def refund_came_back(maker: Maker, day: date) -> Story:
    story = refunded(maker, day)
    _add(story, maker.comes_back(story.told[1], story.told[1].at + timedelta(hours=2)))
    return story


def disputed(maker: Maker, day: date) -> Story:
    story = sold(maker, day)
    charge = story.told[0]
    money, fee = maker.chargeback(charge, maker.some_time(day + timedelta(days=1), last=20), charge.amount_minor)
    _add(story, money)
    _add(story, fee)
    if maker.draw.random() < 0.5:
        _add(story, maker.comes_back(money[0], money[0].at + timedelta(hours=1)))
    return story


def voided(maker: Maker, day: date) -> Story:
    """Taken and let go of before it was settled: in nobody's report."""
    story = maker.story()
    told, _ = maker.charge(story, maker.some_time(day, last=20))
    told.settlement_id, told.settlement_minor, told.settlement_currency, told.rate = "", None, "", None
    story.told += [told, replace(told, kind="void", at=told.at + timedelta(minutes=20))]
    return story


def in_two_rows(maker: Maker, day: date) -> Story:
    """One capture that the gateway settles in two parts."""
    story = maker.story()
    told, whole = maker.charge(story, maker.some_time(day), maker.plain())
    if maker.profile.name != "convesiopay":
        story.told, story.rows = [told], [whole]
        return story
    first = whole.gross // 3
    parts = [first, whole.gross - first]
    for number, gross in enumerate(parts):
        fee, tax = maker.profile.cost("charge", whole.method, whole.currency, gross)
        key = f"{whole.key}-{number + 1}"
        story.rows.append(replace(whole, key=key, gross=gross, fee=fee, tax=tax, at=whole.at + number * _LONGEST))
    story.told.append(told)
    return story


def in_two_captures(maker: Maker, day: date) -> Story:
    """Two captures of one hold that the acquirer settles as one."""
    story = maker.story()
    told, row = maker.charge(story, maker.some_time(day, last=20), maker.plain())
    if maker.profile.name == "nmi":
        first = told.amount_minor // 2
        second = replace(told, amount_minor=told.amount_minor - first, occurrence=1)
        told.amount_minor = first
        story.told.append(second)
    story.told.insert(0, told)
    story.rows.append(row)
    return story


def own_rows(maker: Maker, day: date) -> list[Row]:
    """What a gateway books of its own on an ordinary day, as the contract says."""
    rows: list[Row] = []
    rate = maker.profile.rate("fee", "", "USD")
    if rate is not None:
        rows.append(maker.own("fee", maker.days.at(day, 11), "USD", -rate.fixed_minor, "monthly service"))
    if maker.profile.reserves:
        held = maker.draw.randint(10_000, 40_000)
        rows.append(maker.own("reserve_hold", maker.days.at(day, 12), "USD", -held, "rolling reserve"))
        rows.append(maker.own("reserve_release", maker.days.at(day, 13), "USD", held // 2, "rolling reserve"))
    return rows


def _add(story: Story, both: tuple[Told, Row]) -> None:
    told, row = both
    story.told.append(told)
    story.rows.append(row)


_FORMS = (
    (0.05, refunded),
    (0.01, refund_came_back),
    (0.015, disputed),
    (0.02, voided),
    (0.02, in_two_rows),
    (0.02, in_two_captures),
)
