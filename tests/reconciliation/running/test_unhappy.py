"""What if two runs begin at once, one breaks off anywhere, days differ between zones, or a person has already decided?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from django.db import connections

from reconciliation.fixes import Fix
from reconciliation.models import Booking, Break, Match, Resolution, ResolvedBreak, Run, StatementAccount
from reconciliation.queries.proof import proof
from reconciliation.services.running import run_day
from reconciliation.states import BreakState, RunState
from tests.reconciliation.running.night import DAY, LATER, NIGHT, LineKind, MovementKind, Night

pytestmark = pytest.mark.django_db


def _rows() -> tuple[object, ...]:
    """All that a run leaves, but for when it happened."""
    return (
        sorted(Match.objects.filter(undone_at=None).values_list("line_id", "movement_id", "rule")),
        sorted(Break.objects.values_list("kind", "key", "state", "difference_minor", "value_minor")),
        sorted(Booking.objects.values_list("kind", "amount_minor", "entry_source_key")),
        list(Run.objects.values_list("state", "lines", "movements")),
    )


def _a_mixed_day() -> Night:
    night = Night()
    night.rate()
    for _ in range(3):
        night.taken(1000, fee_minor=59)
    night.line(LineKind.ADJUSTMENT, -80)
    night.moved(MovementKind.CAPTURE, 4000)
    night.line(LineKind.PAYOUT, -500, payout_id="po_1")
    return night


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_leave_what_one_leaves() -> None:
    _a_mixed_day()
    start, wrong = threading.Barrier(2), []

    def compare() -> None:
        try:
            start.wait()
            run_day("nmi", DAY, lambda: NIGHT)
        except Exception as error:  # noqa: BLE001 - told to the test's own thread
            wrong.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=compare) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert Run.objects.get().times == 2
    assert (Match.objects.count(), Break.objects.count()) == (3, 1)


def _breaks_at(number: int) -> Callable[[], datetime]:
    """A clock that stops everything when it is read for the n-th time."""
    reads = iter(range(1, 1000))

    def clock() -> datetime:
        if next(reads) == number:
            raise RuntimeError("the machine stopped")
        return NIGHT

    return clock


@pytest.mark.django_db(transaction=True)
def test_a_run_that_breaks_off_anywhere_goes_on_from_what_stands() -> None:
    _a_mixed_day()
    stopped = 0
    for number in range(1, 12):
        try:
            run_day("nmi", DAY, _breaks_at(number))
        except RuntimeError:
            stopped += 1
            continue
        break
    assert stopped >= 3
    after = _rows()
    run = Run.objects.get()
    assert (run.state, run.balanced) == (RunState.DONE, True)
    run_day("nmi", DAY, lambda: NIGHT)
    assert _rows() == after
    assert (Match.objects.count(), Break.objects.count()) == (3, 1)


def test_a_run_whose_process_died_begins_again() -> None:
    night = _a_mixed_day()
    run = Run(account=night.account, day=DAY)
    run.mark_running()
    run.save()
    assert night.compare().state == RunState.DONE


def test_days_of_another_zone_are_cut_where_the_gateway_cuts_them() -> None:
    """Noon of Monday is Tuesday on Kiritimati: booked on Monday, and in Tuesday's report."""
    night = Night()
    StatementAccount.objects.filter(pk=night.account.pk).update(time_zone="Pacific/Kiritimati")
    tuesday = DAY + timedelta(days=1)
    movement = night.moved(MovementKind.CAPTURE, 1000)
    assert night.compare().state == RunState.DONE
    proven = proof(night.account.pk, "USD", DAY)
    assert (proven.books.amount_minor, proven.gateway.amount_minor, proven.residual_minor) == (1000, 0, 0)
    assert [(part.title, part.amount_minor) for part in proven.timing] == [
        ("Booked on another day than it happened at the gateway", -1000)
    ]
    night.reported(tuesday)
    night.reports(movement, on=tuesday)
    run = night.compare(tuesday)
    assert (run.lines["matched"], run.legs["proofs"][0]["residual_minor"]) == (1, 0)


def test_two_currencies_of_one_pair_stand_in_both_proofs() -> None:
    night = Night()
    movement = night.moved(MovementKind.CAPTURE, 1000, "EUR")
    night.reports(movement, currency="USD", gross_minor=1000)
    night.compare()
    assert [(row.kind, row.currency, row.difference_minor) for row in night.open_breaks()] == [
        ("currency_mismatch", "USD", 1000)
    ]
    for currency in ("USD", "EUR"):
        assert proof(night.account.pk, currency, DAY).residual_minor == 0
    assert proof(night.account.pk, "EUR", DAY).breaks[0].amount_minor == -1000


def test_exchanged_money_is_proven_in_both_currencies() -> None:
    night = Night()
    movement = night.moved(MovementKind.CAPTURE, 1000, "EUR")
    exchanged = {"presentment_minor": 1000, "presentment_currency": "EUR", "rate": "1.08"}
    night.reports(movement, currency="USD", gross_minor=1080, fee_minor=30, **exchanged)
    run = night.compare()
    assert night.kinds() == []
    assert [one["residual_minor"] for one in run.legs["proofs"]] == [0, 0]


# --- what a person has decided ----------------------------------------------------------------------------------------


def _decided(broken: Break, fix: Fix, *, until: date | None = None) -> Resolution:
    resolution = Resolution.objects.create(command=fix.value, reason="seen", by="olga", request_id=fix.value, at=NIGHT)
    ResolvedBreak.objects.create(
        resolution=resolution, broken=broken, state_before=broken.state, state_after="resolved"
    )
    broken.mark_resolved()
    broken.expected_until, broken.ended_at, broken.ended_by = until, NIGHT, "olga"
    broken.save()
    return resolution


def test_a_difference_a_person_accepted_is_not_found_again_while_it_is_the_same() -> None:
    night = Night()
    night.rate()
    night.taken(10_000, fee_minor=350)
    night.compare()
    _decided(night.open_breaks()[0], Fix.CLOSE_EXPLAINED)
    run = night.compare()
    assert (night.kinds(), run.balanced) == ([], True)
    night.taken(10_000, fee_minor=350)
    night.compare()
    assert [(row.kind, row.value_minor) for row in night.open_breaks()] == [("fee_mismatch", 60)]


def test_what_is_marked_as_timing_is_expected_until_its_day() -> None:
    night = Night()
    night.moved(MovementKind.CAPTURE, 4000)
    night.reported(DAY + timedelta(days=1), LATER + timedelta(days=3))
    night.compare(LATER)
    _decided(night.open_breaks()[0], Fix.MARK_TIMING, until=LATER + timedelta(days=1))
    run = night.compare(LATER + timedelta(days=1))
    assert (night.kinds(), run.movements["expected"], run.balanced) == ([], 1, True)
    assert proof(night.account.pk, "USD", LATER + timedelta(days=1)).residual_minor == 0
    night.compare(LATER + timedelta(days=3))
    assert night.kinds() == ["missing_at_gateway"]


def test_a_resolution_that_was_undone_leaves_the_difference_to_be_found() -> None:
    night = Night()
    night.line(LineKind.ADJUSTMENT, -80)
    night.compare()
    resolution = _decided(night.open_breaks()[0], Fix.WRITE_OFF)
    night.compare()
    assert night.kinds() == ["balance_drift"]  # nothing was posted for it: the proof says so
    Resolution.objects.filter(pk=resolution.pk).update(undone_at=NIGHT)
    Break.objects.filter(kind="gateway_adjustment").update(key="gone")
    night.compare()
    assert night.kinds() == ["gateway_adjustment"]
    assert Break.objects.filter(state=BreakState.RESOLVED, kind="balance_drift").exists()
