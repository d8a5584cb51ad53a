"""How are differences of charges planted? Each maker gives an order of which both sides say something else, with its label."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from simulator.reports.contract import converted
from simulator.reports.maker import Maker
from simulator.reports.values import Call, Label, Row, Story, Told

_LATER = timedelta(hours=2)


def missing_at_gateway(maker: Maker) -> Story:
    """The merchant was told of money that no report has."""
    story, told, _ = _sold(maker)
    told.settlement_id, told.settlement_minor, told.settlement_currency, told.rate = "", None, "", None
    story.told.append(told)
    key = f"movement:{told.gateway_id}:charge"
    return _labelled(story, "missing_at_gateway", key, told.amount_minor, -told.amount_minor, told.currency)


def missing_in_payments(maker: Maker) -> Story:
    """Money that the merchant never heard of; half of it of a call whose end it does not know."""
    story, told, row = _sold(maker)
    told.heard = False
    story.told.append(told)
    story.rows.append(row)
    if maker.draw.random() < 0.5:
        story.calls.append(_call(told, "unknown"))
    return _of_row(story, "missing_in_payments", row)


def amount_mismatch(maker: Maker) -> Story:
    story, told, row = _sold(maker)
    off = maker.draw.randint(3, told.amount_minor // 2) * maker.draw.choice([-1, 1])
    reported = told.amount_minor + off
    if row.presented_in:
        maker.present(row, reported, row.presented_in)
    else:
        row.gross = reported
    row.fee, row.tax = maker.profile.cost("charge", row.method, row.currency, row.gross)
    story.told.append(told)
    story.rows.append(row)
    amount = abs(off) if not row.presented_in else abs(row.gross) * abs(off) // reported
    return _labelled(story, "amount_mismatch", f"line:{row.key}", amount, _between(row, told), row.currency)


def currency_mismatch(maker: Maker) -> Story:
    """The same number in another currency."""
    story, told, row = _sold(maker, maker.plain())
    others = [paid for paid, settled in maker.profile.settles.items() if paid != told.currency]
    other = maker.draw.choice(others)
    settled = maker.profile.settles[other]
    row.currency, row.gross, row.presented, row.presented_in, row.rate = settled, told.amount_minor, 0, "", None
    if settled != other:
        maker.present(row, told.amount_minor, other)
    told.settlement_id, told.settlement_minor, told.settlement_currency = "", None, ""
    row.fee, row.tax = maker.profile.cost("charge", row.method, row.currency, row.gross)
    story.told.append(told)
    story.rows.append(row)
    amount = max(abs(row.gross), told.amount_minor if told.currency == row.currency else 0)
    return _labelled(story, "currency_mismatch", f"line:{row.key}", amount, _between(row, told), row.currency)


def status_mismatch(maker: Maker) -> Story:
    """One of three: said to be voided though taken, settled though voided, settled though declined."""
    story, told, row = _sold(maker, maker.plain())
    way = maker.draw.choice(
        ["not moved", "voided", "declined"] if maker.profile.tells_status else ["voided", "declined"]
    )
    story.rows.append(row)
    if way == "not moved":
        row.status, row.fee, row.tax = maker.draw.choice(["voided", "failed"]), 0, 0
        story.told.append(told)
        key, minor = f"line:{row.key}", told.amount_minor
        return _labelled(story, "status_mismatch", key, minor, _between(row, told), row.currency)
    if way == "voided":
        story.told += [told, replace(told, kind="void", at=told.at + timedelta(minutes=5))]
    else:
        told.heard = False
        story.told.append(told)
        story.calls.append(_call(told, "declined"))
    return _of_row(story, "status_mismatch", row)


def duplicate_at_gateway(maker: Maker) -> Story:
    story, told, row = _sold(maker)
    story.told.append(told)
    again = replace(row, key=f"{row.key}:2" if ":" in row.key else f"{row.key}x", at=row.at + _LATER)
    story.rows += [row, again]
    return _of_row(story, "duplicate_at_gateway", again)


def fx_difference(maker: Maker) -> Story | None:
    """The report has another rate than the message had, where messages tell one."""
    if not maker.profile.tells_settlement:
        return None
    story, told, row = _sold(maker, maker.foreign())
    told_minor = row.gross
    assert row.rate is not None
    row.rate *= 1 + Decimal(maker.draw.randint(1, 4)) / 100
    row.gross = converted(row.presented, row.presented_in, row.currency, row.rate)
    row.fee, row.tax = maker.profile.cost("charge", row.method, row.currency, row.gross)
    story.told.append(told)
    story.rows.append(row)
    return _labelled(story, "fx_difference", f"line:{row.key}", abs(row.gross - told_minor), 0, row.currency)


def fx_variance(maker: Maker) -> Story:
    """Settlement money is not what the row's own rate makes of it."""
    story, told, row = _sold(maker, maker.foreign())
    due = row.gross
    row.gross = due - maker.draw.randint(5, 400)
    row.fee, row.tax = maker.profile.cost("charge", row.method, row.currency, row.gross)
    story.told.append(told)
    story.rows.append(row)
    return _labelled(story, "fx_variance", f"line:{row.key}", abs(row.gross - due), 0, row.currency)


def _sold(maker: Maker, currency: str = "") -> tuple[Story, Told, Row]:
    """A charge of the day itself, early enough for what follows on the same day."""
    story = maker.story(clean=False)
    return story, *maker.charge(story, maker.some_time(maker.days.day, last=18), currency)


def _call(told: Told, state: str) -> Call:
    return Call(told.gateway, told.reference, state, told.amount_minor, told.currency, told.at, told.order)


def _between(row: Row, told: Told) -> int:
    return row.worth - (told.amount_minor if told.currency == row.currency else 0)


def _of_row(story: Story, kind: str, row: Row) -> Story:
    """All of the row is in question."""
    return _labelled(story, kind, f"line:{row.key}", abs(row.gross), row.worth, row.currency)


def _labelled(story: Story, kind: str, key: str, amount: int, between: int, currency: str) -> Story:
    story.labels.append(Label(kind, story.gateway, key, amount, between, currency))
    return story
