"""Do the books follow what the lines of a day say, by the difference and once?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.queries import entry_by_source_key, verify_books
from payments.models import Payout
from payments.states import MovementKind, PayoutState
from reconciliation.models import Booking, Break
from reconciliation.queries.charges import variance_of_payout
from reconciliation.services.booking import book_days, book_lines
from reconciliation.states import LineKind
from tests.reconciliation.booking.world import DAY, NOW, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def book(world: World, *days) -> int:
    return book_days(world.account, days or [DAY], now=NOW).entries


def charge(world: World, minor: int = 10_000, fee: int = 320, **fields):
    movement = world.moved(MovementKind.CAPTURE, minor)
    line = world.line(LineKind.CHARGE, minor, fee_minor=fee, **fields)
    return line, movement, world.match(line, movement)[0]


class TestFees:
    def test_expected_variance_and_tax_stand_apart_and_the_receivable_is_the_net(self, world):
        world.rate()
        charge(world, 10_000, 320)
        charge(world, 20_000, 650, tax_minor=65)  # 610 by the contract

        assert book(world) == 1

        assert world.balance("5010") == 320 + 610
        assert world.balance("5015") == 40
        assert world.balance("1140") == 65
        assert world.balance() == 30_000 - 320 - 650 - 65
        row = Booking.objects.get()
        assert (row.amount_minor, row.expected_minor, row.tax_minor, row.lines_count) == (-1035, 930, 65, 2)
        entry = entry_by_source_key(row.entry_source_key)
        assert entry is not None and entry.booked_on == DAY

    def test_without_a_rate_what_was_charged_is_what_was_expected(self, world):
        charge(world, 10_000, 777)
        book(world)

        assert (world.balance("5010"), world.balance("5015")) == (777, 0)

    def test_again_books_nothing(self, world):
        charge(world)
        book(world)

        assert book(world) == 0

    def test_an_unmatched_line_is_a_break_and_books_nothing(self, world):
        world.line(LineKind.CHARGE, 10_000, fee_minor=320)

        assert book(world) == 0

    def test_a_later_line_a_completed_and_a_restated_one_book_the_difference(self, world):
        line, *_ = charge(world, fee=None)
        assert book(world) == 0  # the first source tells no fee

        line.fee_minor, line.net_minor = 320, 9_680
        line.save()
        charge(world, 5_000, 175)
        assert book(world) == 1
        line.fee_minor, line.net_minor = 310, 9_690
        line.save()
        assert book(world) == 1

        assert world.balance("5010") == 310 + 175
        assert [row.amount_minor for row in Booking.objects.order_by("id")] == [-495, 10]

    def test_an_undone_match_takes_its_share_back(self, world):
        charge(world, 10_000, 320)
        _, _, match = charge(world, 20_000, 610)
        book(world)
        match.undone_at = NOW
        match.save()
        book(world)

        assert world.balance("5010") == 320
        assert world.balance() == 30_000 - 320
        assert [row.lines_count for row in Booking.objects.order_by("id")] == [2, -1]

    def test_all_of_a_day_undone_leaves_nothing(self, world):
        _, _, match = charge(world)
        book(world)
        match.undone_at = NOW
        match.save()
        book(world)

        assert (world.balance("5010"), world.balance()) == (0, 10_000)

    def test_a_corrected_rate_moves_what_was_variance(self, world):
        rate = world.rate(fixed=20)
        charge(world, 10_000, 320)
        book(world)
        assert (world.balance("5010"), world.balance("5015")) == (310, 10)
        rate.fixed_minor = 30
        rate.save()

        assert book(world) == 1
        assert (world.balance("5010"), world.balance("5015"), world.balance()) == (320, 0, 9_680)

    def test_a_fee_on_a_chargeback_line_is_a_dispute_fee(self, world):
        movement = world.moved(MovementKind.CHARGEBACK, 10_000)
        world.match(world.line(LineKind.CHARGEBACK, -10_000, fee_minor=1_500), movement)
        book(world)

        assert (world.balance("5025"), world.balance("5010"), world.balance()) == (1_500, 0, -11_500)

    def test_a_fee_movement_of_a_dispute_is_not_booked_twice(self, world):
        movement = world.moved(MovementKind.FEE, 1_500)
        world.match(world.line(LineKind.DISPUTE_FEE, -1_500, fee_minor=0), movement)

        assert book(world) == 0
        assert (world.balance("5025"), world.balance()) == (1_500, -1_500)

    def test_the_variance_of_a_payout_is_told(self, world):
        world.rate()
        charge(world, 10_000, 330, payout_id="po_1")
        charge(world, 10_000, 320, payout_id="po_1")
        charge(world, 10_000, 999, payout_id="po_2")

        (found,) = variance_of_payout(world.account, "po_1")
        assert (found.charged_minor, found.expected_minor, found.variance_minor, found.lines) == (650, 640, 10, 2)


class TestExchange:
    def test_the_payers_currency_leaves_the_receivable_and_settlement_money_comes(self, world):
        movement = world.moved(MovementKind.CAPTURE, 10_000, "EUR")
        line = world.line(LineKind.CHARGE, 10_800, fee_minor=343)
        world.match(line, movement)
        book(world)

        assert (world.balance(currency="EUR"), world.balance()) == (0, 10_800 - 343)
        assert (world.balance("1190", "EUR"), world.balance("1190")) == (10_000, -10_800)

    def test_yen_have_no_decimals_and_refunds_go_the_other_way(self, world):
        taken, back = world.moved(MovementKind.CAPTURE, 15_000, "JPY"), world.moved(MovementKind.REFUND, 5_000, "JPY")
        world.match(world.line(LineKind.CHARGE, 10_050, presentment_minor=15_000, presentment_currency="JPY"), taken)
        world.match(world.line(LineKind.REFUND, -3_400, presentment_minor=-5_000, presentment_currency="JPY"), back)
        book(world)

        assert (world.balance(currency="JPY"), world.balance()) == (0, 6_650)
        assert (world.balance("1190", "JPY"), world.balance("1190")) == (10_000, -6_650)

    def test_one_line_of_two_captures_and_two_lines_of_one(self, world):
        first, second = world.moved(MovementKind.CAPTURE, 4_000, "EUR"), world.moved(MovementKind.CAPTURE, 6_000, "EUR")
        world.match(world.line(LineKind.CHARGE, 10_800), first, second)
        split = world.moved(MovementKind.CAPTURE, 10_000, "EUR")
        later = DAY + timedelta(days=1)
        for line in (world.line(LineKind.CHARGE, 5_400), world.line(LineKind.CHARGE, 5_400, on=later)):
            world.match(line, split, many_lines=True)
        book(world, DAY, later)

        assert (world.balance(currency="EUR"), world.balance()) == (0, 21_600)

    def test_undone_it_goes_back(self, world):
        movement = world.moved(MovementKind.CAPTURE, 10_000, "EUR")
        (match,) = world.match(world.line(LineKind.CHARGE, 10_800), movement)
        book(world)
        match.undone_at = NOW
        match.save()
        book(world)

        assert (world.balance(currency="EUR"), world.balance()) == (10_000, 0)
        assert (world.balance("1190", "EUR"), world.balance("1190")) == (0, 0)


class TestFromTheLineItself:
    def test_the_gateways_own_fees(self, world):
        world.line(LineKind.FEE, -2_500)
        world.line(LineKind.FEE, -100, fee_minor=0, tax_minor=19)
        book(world)

        assert (world.balance("5010"), world.balance("1140"), world.balance()) == (2_600, 19, -2_619)

    def test_reserves_and_adjustments_only_where_the_contract_names_them(self, world):
        world.line(LineKind.RESERVE_HOLD, -1_000)
        world.line(LineKind.ADJUSTMENT, -40)
        assert book(world) == 0

        world.rate("reserve_hold", "10", 0)
        world.rate("reserve_release", "0", 0)
        world.rate("adjustment", "0", 0)
        world.line(LineKind.RESERVE_RELEASE, 400)
        book(world)

        assert (world.balance("1120"), world.balance("5010"), world.balance()) == (600, 40, -640)

    def test_what_a_person_has_booked_is_not_booked_again(self, world):
        line = world.line(LineKind.FEE, -2_500)
        Booking.objects.create(
            account=world.account, line=line, kind="resolution", currency="USD", amount_minor=-2_500,
            entry_source_key="resolution:1", booked_at=NOW,
        )  # fmt: skip

        assert book(world) == 0

    def test_a_line_that_moved_nothing_or_was_taken_out_of_the_report(self, world):
        world.line(LineKind.FEE, -2_500, status="voided")
        world.line(LineKind.FEE, -2_500, removed=True)

        assert book(world) == 0


class TestPayouts:
    def test_a_line_makes_the_payout_and_the_receivable_goes_into_transit(self, world):
        charge(world)
        world.line(LineKind.PAYOUT, -9_680, payout_id="po_1", fee_minor=0)

        done = book_days(world.account, [DAY], now=NOW)

        assert done.payouts == 1
        payout = Payout.objects.get()
        assert (payout.state, payout.money.amount_minor) == (PayoutState.IN_TRANSIT, 9_680)
        assert (world.balance(), world.balance("1020")) == (0, 9_680)
        assert book_days(world.account, [DAY], now=NOW).payouts == 0

    def test_it_comes_back(self, world):
        world.line(LineKind.PAYOUT, -9_680, payout_id="po_1")
        world.line(LineKind.PAYOUT_RETURN, 9_680, payout_id="po_1", on=DAY + timedelta(days=3))
        book(world, DAY, DAY + timedelta(days=3))

        assert Payout.objects.get().state == PayoutState.RETURNED
        assert (world.balance(), world.balance("1020")) == (0, 0)

    def test_a_restated_payout_books_the_difference(self, world):
        line = world.line(LineKind.PAYOUT, -9_680, payout_id="po_1")
        book(world)
        line.gross_minor = -9_600
        line.save()
        book(world)
        book(world)

        assert (world.balance(), world.balance("1020")) == (-9_600, 9_600)
        assert sum(Booking.objects.values_list("amount_minor", flat=True)) == -9_600

    def test_a_payout_that_costs_something(self, world):
        world.line(LineKind.PAYOUT, -9_680, payout_id="po_1", fee_minor=50)
        book(world)

        assert (world.balance("5010"), world.balance()) == (50, -9_730)


class TestReach:
    def test_a_night_looks_at_its_window_and_at_lines_that_breaks_name(self, world):
        old = DAY - timedelta(days=60)
        movement = world.moved(MovementKind.CAPTURE, 10_000, on=old)
        line = world.line(LineKind.CHARGE, 10_000, fee_minor=320, on=old)
        world.match(line, movement)
        book_lines(world.run, NOW)
        assert world.balance("5010") == 0

        Break.objects.create(
            account=world.account, kind="missing_in_payments", key="x", day=old, line=line, opened_at=NOW,
            last_seen_at=NOW, due_at=NOW,
        )  # fmt: skip
        book_lines(world.run, NOW)
        assert world.balance("5010") == 320

    def test_nothing_before_the_books_start(self, world):
        world.account.books_start_on = DAY + timedelta(days=1)
        world.account.save()
        charge(world)

        assert book(world) == 0

    def test_the_books_hold(self, world):
        world.rate()
        charge(world)
        world.line(LineKind.PAYOUT, -9_680, payout_id="po_1")
        book(world)

        assert [f for f in verify_books() if f.kind != "table_owned_by_application"] == []
