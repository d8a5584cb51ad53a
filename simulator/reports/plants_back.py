"""How are differences of money that goes back planted? Refunds and disputes that one side alone knows, or that are too many."""

from __future__ import annotations

from datetime import timedelta

from simulator.reports.maker import Maker
from simulator.reports.values import Label, Row, Story, Told

_HOUR = timedelta(hours=1)


def refund_unmatched(maker: Maker) -> Story:
    """A refund made at the gateway's dashboard, of a charge the merchant knows."""
    story, charge = _sold(maker)
    told, row = maker.refund(charge, charge.at + _HOUR, charge.amount_minor // 2)
    row.reference = ""
    _unheard(story, told, row)
    return _of_row(story, "refund_unmatched", row)


def refund_exceeds(maker: Maker) -> Story:
    """More goes back than came in: by a refund nobody told of, or all of it known."""
    story, charge = _sold(maker)
    part = charge.amount_minor * 2 // 3
    _both(story, maker.refund(charge, charge.at + _HOUR, part))
    told, row = maker.refund(charge, charge.at + 2 * _HOUR, part)
    if maker.draw.random() < 0.5:
        _both(story, (told, row))
        return _of_order(story, "refund_exceeds", 2 * part - charge.amount_minor, charge.currency)
    row.reference = ""
    _unheard(story, told, row)
    return _of_row(story, "refund_exceeds", row)


def refund_failed(maker: Maker) -> Story:
    """A refund comes back and nobody says so, or the report calls it failed while the merchant counts on it."""
    story, charge = _sold(maker, maker.plain())
    told, row = maker.refund(charge, charge.at + _HOUR, charge.amount_minor)
    _both(story, (told, row))
    if maker.profile.tells_status and maker.draw.random() < 0.5:
        row.status = "failed"
        label = Label(
            "refund_failed", story.gateway, f"line:{row.key}", told.amount_minor, told.amount_minor, row.currency
        )
        story.labels.append(label)
        return story
    back, returned = maker.comes_back(told, charge.at + 2 * _HOUR)
    _unheard(story, back, returned)
    return _of_row(story, "refund_failed", returned)


def chargeback_unrecorded(maker: Maker) -> Story:
    """A dispute that nobody told of: its money and its fee."""
    story, charge = _sold(maker)
    money, fee = maker.chargeback(charge, charge.at + _HOUR, charge.amount_minor)
    _unheard(story, *money)
    _unheard(story, *fee)
    _of_row(story, "chargeback_unrecorded", money[1])
    return _of_row(story, "chargeback_unrecorded", fee[1])


def dual_refund(maker: Maker) -> Story:
    """Refunded and charged back: both known, or the dispute known to the gateway alone."""
    story, charge = _sold(maker)
    _both(story, maker.refund(charge, charge.at + _HOUR, charge.amount_minor))
    money, fee = maker.chargeback(charge, charge.at + 2 * _HOUR, charge.amount_minor)
    if maker.draw.random() < 0.5:
        _both(story, money)
        _both(story, fee)
        return _of_order(story, "dual_refund", charge.amount_minor, charge.currency)
    _unheard(story, *money)
    return _of_row(story, "dual_refund", money[1])


def _sold(maker: Maker, currency: str = "") -> tuple[Story, Told]:
    """A charge of the day that both sides know, early enough for what follows on the same day."""
    story = maker.story(clean=False)
    told, row = maker.charge(story, maker.some_time(maker.days.day, last=15), currency)
    _both(story, (told, row))
    return story, told


def _both(story: Story, both: tuple[Told, Row]) -> None:
    story.told.append(both[0])
    story.rows.append(both[1])


def _unheard(story: Story, told: Told, row: Row) -> None:
    told.heard = False
    _both(story, (told, row))


def _of_row(story: Story, kind: str, row: Row) -> Story:
    story.labels.append(Label(kind, story.gateway, f"line:{row.key}", abs(row.gross), row.worth, row.currency))
    return story


def _of_order(story: Story, kind: str, beyond: int, currency: str) -> Story:
    """Both sides agree, and it is too much all the same: nothing stands between them."""
    story.labels.append(Label(kind, story.gateway, f"order:{story.order}", beyond, 0, currency))
    return story
