"""Does the engine pair what is the same, name what differs by its most specific word, and not care for the order of its input?"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.engine import Comparison, compare
from reconciliation.rules.base import KnownCall, LineEntry, MovementEntry
from reconciliation.states import BreakType, LineKind
from tests.exploring import examples
from tests.reconciliation.engine.made import NOW, line, movement, terms

K, B = LineKind, BreakType


def kinds(found: Comparison) -> list[BreakType]:
    return [broken.found.kind for broken in found.breaks]


def pairs(found: Comparison) -> set[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    return {
        (pairing.rule, tuple(one.id for one in pairing.lines), tuple(one.id for one in pairing.movements))
        for pairing in found.pairings
    }


def test_the_strongest_identity_pairs_first() -> None:
    """Two charges of one transaction in the same money: the gateway's own settlement id says which is which."""
    lines = [line(1, key="txn_a"), line(1, key="txn_b", id=2)]
    ours = [movement(1, id=7, settlement_id="txn_b"), movement(1, id=8, occurrence=1)]
    assert pairs(compare(lines, ours, terms())) == {("settlement_id", (2,), (7,)), ("gateway_id", (1,), (8,))}


def test_our_reference_pairs_where_the_gateway_names_no_transaction() -> None:
    assert pairs(compare([line(1, gateway_id="")], [movement(1)], terms())) == {("reference", (1,), (1,))}


def test_a_reference_does_not_outweigh_another_transaction() -> None:
    found = compare([line(1, gateway_id="ch_other")], [movement(1)], terms())
    assert not found.pairings
    assert set(kinds(found)) == {B.MISSING_IN_PAYMENTS, B.MISSING_AT_GATEWAY}


def test_a_payout_shared_makes_a_single_amount_an_identity() -> None:
    nameless = {"gateway_id": "", "reference": "", "payout_id": "po_1"}
    found = compare([line(1, **nameless)], [movement(1, payout_id="po_1")], terms())
    assert pairs(found) == {("payout_amount", (1,), (1,))}


def test_equal_amounts_without_a_shared_identity_are_only_suggested() -> None:
    found = compare([line(1, gateway_id="", reference="")], [movement(1)], terms())
    assert not found.pairings
    alone = next(broken.found for broken in found.breaks if broken.line_ids)
    assert alone.kind == B.MISSING_IN_PAYMENTS
    assert alone.ours["candidate_ids"] == "1"


def test_one_line_meets_several_captures_and_several_lines_one_movement() -> None:
    both = [movement(1, 600), movement(1, 400, id=2, occurrence=1)]
    assert pairs(compare([line(1)], both, terms())) == {("gateway_id", (1,), (1, 2))}
    parts = [line(1, 1000), line(1, -400, id=2, key="txn_2")]  # taken in full, and a part of it given up
    assert pairs(compare(parts, [movement(1, 600)], terms())) == {("gateway_id", (1, 2), (1,))}


def test_parts_that_come_to_one_movement_meet_it_though_it_is_booked_twice() -> None:
    parts = [line(1, 300), line(1, 700, id=2, key="txn_2")]
    found = compare(parts, [movement(1), movement(1, id=2, occurrence=1)], terms())
    assert pairs(found) == {("gateway_id", (1, 2), (1,))}
    assert kinds(found) == [B.DUPLICATE_INTERNAL]


def test_captures_that_come_to_one_line_meet_it_though_it_is_told_twice() -> None:
    both = [movement(1, 600), movement(1, 400, id=2, occurrence=1)]
    found = compare([line(1), line(1, id=2, key="txn_2")], both, terms())
    assert pairs(found) == {("gateway_id", (1,), (1, 2))}
    assert kinds(found) == [B.DUPLICATE_AT_GATEWAY]


def test_a_restated_movement_meets_its_line_with_all_its_revisions() -> None:
    revisions = [movement(1, 1000), movement(1, 100, id=2)]
    assert pairs(compare([line(1, 1100)], revisions, terms())) == {("gateway_id", (1,), (1, 2))}


@pytest.mark.parametrize(
    ("theirs", "ours", "kind", "difference", "value"),
    [
        (line(1, 1100), movement(1), B.AMOUNT_MISMATCH, 100, 100),
        (line(1, 1100, fee_minor=62, net_minor=1038), movement(1), B.AMOUNT_MISMATCH, 38, 100),
        (line(1, currency="EUR"), movement(1), B.CURRENCY_MISMATCH, 1000, 1000),
        (line(1, status="voided"), movement(1), B.STATUS_MISMATCH, -1000, 1000),
        (line(1, 0, kind=K.DECLINE, status="failed"), movement(1), B.STATUS_MISMATCH, -1000, 1000),
        (
            line(1, -300, kind=K.REFUND, status="failed"), movement(1, -300, kind=K.REFUND),
            B.REFUND_FAILED, 300, 300,
        ),
    ],
)  # fmt: skip
def test_what_both_sides_know_and_say_differently(
    theirs: LineEntry, ours: MovementEntry, kind: BreakType, difference: int, value: int
) -> None:
    found = compare([theirs], [ours], terms())
    assert kinds(found) == [kind]
    broken = found.breaks[0]
    assert (broken.found.difference_minor, broken.found.value_minor) == (difference, value)
    assert (broken.line_ids, broken.movement_ids) == ((1,), (1,))
    assert not found.pairings


EURO = {"presentment_minor": 1000, "presentment_currency": "EUR"}


@pytest.mark.parametrize(
    ("fields", "told", "kind"),
    [
        ({"rate": Decimal("1.08")}, {}, None),
        ({"rate": Decimal("1.10")}, {}, B.FX_VARIANCE),
        ({"rate": Decimal("1") / Decimal("1.08")}, {}, None),  # told the other way round
        ({"rate": Decimal("1.08")}, {"settlement_minor": 1080, "settlement_currency": "USD"}, None),
        ({"rate": Decimal("1.08")}, {"settlement_minor": 1100, "settlement_currency": "USD"}, B.FX_DIFFERENCE),
    ],
)
def test_money_that_was_exchanged(fields: dict[str, Any], told: dict[str, Any], kind: BreakType | None) -> None:
    """It is matched as reported in any case; what is off is money lost, not a difference of balances."""
    found = compare([line(1, 1080, **EURO, **fields)], [movement(1, currency="EUR", **told)], terms())
    assert pairs(found) == {("gateway_id", (1,), (1,))}
    assert kinds(found) == ([kind] if kind else [])
    assert all(broken.found.difference_minor == 0 and not broken.line_ids for broken in found.breaks)


def test_yen_into_kuwaiti_dinars_keeps_its_decimals() -> None:
    paid = {"presentment_minor": 50_000, "presentment_currency": "JPY", "rate": Decimal("0.00205")}
    found = compare([line(1, 102_500, currency="KWD", **paid)], [movement(1, 50_000, currency="JPY")], terms())
    assert not found.breaks


def test_a_second_line_of_what_was_taken_once_is_a_duplicate() -> None:
    found = compare([line(1), line(1, id=2, key="txn_2")], [movement(1)], terms())
    assert kinds(found) == [B.DUPLICATE_AT_GATEWAY]
    assert found.breaks[0].found.difference_minor == 1000
    other = compare([line(2, reference="ref-1")], [movement(1, matched=True)], terms())
    assert kinds(other) == [B.DUPLICATE_AT_GATEWAY]


def test_money_settled_though_it_was_voided() -> None:
    found = compare([line(1)], [movement(1, voided=True)], terms())
    assert kinds(found) == [B.STATUS_MISMATCH]
    assert "voided" in found.breaks[0].found.because


def test_a_movement_booked_twice_is_ours_to_mend() -> None:
    found = compare([line(1)], [movement(1), movement(1, id=2, occurrence=1)], terms())
    assert kinds(found) == [B.DUPLICATE_INTERNAL]
    assert found.breaks[0].movement_ids == (2,)


def test_lag_counts_business_days_and_is_capped() -> None:
    """Taken on Friday, due on Tuesday; with a lag nobody keeps, the cap says when it is enough."""
    friday = movement(1, days=-3)
    assert compare([], [friday], terms(days=0)).expected == [1]
    assert kinds(compare([], [friday], terms(days=1))) == [B.MISSING_AT_GATEWAY]
    assert compare([], [friday], terms(days=6, lag_days=30)).expected == [1]
    assert kinds(compare([], [friday], terms(days=7, lag_days=30))) == [B.MISSING_AT_GATEWAY]
    holiday = frozenset({friday.day + timedelta(days=4)})
    assert compare([], [friday], terms(days=1, holidays=holiday)).expected == [1]


def test_a_young_line_may_be_ahead_of_us() -> None:
    young = replace(line(1), occurred_at=NOW - timedelta(hours=2))
    assert compare([young], [], terms()).early == [1]
    assert kinds(compare([young], [], terms(early_seconds=3600))) == [B.MISSING_IN_PAYMENTS]


def test_what_others_do_on_a_shared_account_is_foreign() -> None:
    assert compare([line(1, reference="")], [], terms(shared=True)).foreign == [1]
    known = KnownCall("ref-1", "", "unknown", 5, "pay_5")
    assert kinds(compare([line(1)], [], terms(shared=True), calls=[known])) == [B.MISSING_IN_PAYMENTS]


@pytest.mark.parametrize(
    ("state", "kind"), [("unknown", B.MISSING_IN_PAYMENTS), ("sent", B.MISSING_IN_PAYMENTS),
                        ("declined", B.STATUS_MISMATCH), ("failed", B.STATUS_MISMATCH)],
)  # fmt: skip
def test_a_call_of_ours_says_what_we_believed(state: str, kind: BreakType) -> None:
    found = compare([line(1)], [], terms(), calls=[KnownCall("ref-1", "", state, 5, "pay_5")])
    assert kinds(found) == [kind]
    assert found.breaks[0].found.payment_public_id == "pay_5"


TAKEN = movement(1, matched=True)
BACK = {"parent_id": "ch_1", "reference": ""}


@pytest.mark.parametrize(
    ("theirs", "known", "kind"),
    [
        (line(2, -400, kind=K.REFUND, **BACK), [], B.REFUND_UNMATCHED),
        (line(2, -1100, kind=K.REFUND, **BACK), [], B.REFUND_EXCEEDS),
        (line(2, -700, kind=K.REFUND, **BACK), [movement(3, -400, kind=K.REFUND, payment_id=1, matched=True)], B.REFUND_EXCEEDS),
        (line(2, -1000, kind=K.REFUND, **BACK), [movement(3, -1000, kind=K.CHARGEBACK, payment_id=1, matched=True)], B.DUAL_REFUND),
        (line(2, -1000, kind=K.CHARGEBACK, **BACK), [movement(3, -1000, kind=K.REFUND, payment_id=1, matched=True)], B.DUAL_REFUND),
        (line(2, -1000, kind=K.CHARGEBACK, **BACK), [], B.CHARGEBACK_UNRECORDED),
        (line(2, 1000, kind=K.CHARGEBACK_RETURN, **BACK), [], B.CHARGEBACK_UNRECORDED),
        (line(2, -1500, kind=K.DISPUTE_FEE, **BACK), [], B.CHARGEBACK_UNRECORDED),
        (line(2, 400, kind=K.REFUND_RETURN, **BACK), [], B.REFUND_FAILED),
        (line(2, -500, kind=K.ADJUSTMENT), [], B.GATEWAY_ADJUSTMENT),
        (line(2, -500, kind=K.RESERVE_HOLD), [], B.RESERVE_HOLD),
        (line(2, 500, kind=K.RESERVE_RELEASE), [], B.RESERVE_RELEASE),
    ],
)  # fmt: skip
def test_a_line_without_movement_is_named_by_what_is_known_around_it(
    theirs: LineEntry, known: list[MovementEntry], kind: BreakType
) -> None:
    found = compare([theirs], [TAKEN, *known], terms())
    assert kinds(found) == [kind]
    assert found.breaks[0].found.difference_minor == theirs.gross_minor
    if theirs.parent_id:
        assert found.breaks[0].found.payment_public_id == "pay_1"


def test_fees_and_payouts_are_booked_and_a_refusal_we_know_of_is_no_difference() -> None:
    lines = [line(1, -50, kind=K.FEE), line(2, -900, kind=K.PAYOUT), line(3, 0, kind=K.DECLINE, status="failed")]
    found = compare(lines, [], terms())
    assert (sorted(found.booked), found.breaks) == ([1, 2, 3], [])


SIDES = st.tuples(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from([500, 1000]), st.integers(0, 2), st.booleans()), max_size=8),
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from([500, 1000]), st.integers(0, 2), st.booleans()), max_size=8),
)


@settings(max_examples=examples(80), deadline=None)
@given(sides=SIDES, seed=st.integers(0, 1000))
def test_the_order_of_the_input_changes_nothing_and_nobody_is_lost(sides: tuple[Any, ...], seed: int) -> None:
    lines = [
        line(who, gross, id=n, key=f"txn_{n}", days=days, **({} if named else {"gateway_id": ""}))
        for n, (who, gross, days, named) in enumerate(sides[0])
    ]
    ours = [
        movement(who, minor, id=n, days=days, occurrence=n, settlement_id=f"txn_{n}" if told else "")
        for n, (who, minor, days, told) in enumerate(sides[1])
    ]
    first = compare(lines, ours, terms())
    shuffle = random.Random(seed)
    second = compare(shuffle.sample(lines, len(lines)), shuffle.sample(ours, len(ours)), terms())
    assert pairs(first) == pairs(second)
    assert [b.found for b in first.breaks] == [b.found for b in second.breaks]
    placed = [one.id for p in first.pairings for one in p.lines] + [n for b in first.breaks for n in b.line_ids]
    placed += first.early + first.foreign + first.booked
    assert sorted(placed) == sorted(one.id for one in lines)
    taken = [m.id for p in first.pairings for m in p.movements] + [n for b in first.breaks for n in b.movement_ids]
    assert sorted(taken + first.expected) == sorted(one.id for one in ours)
