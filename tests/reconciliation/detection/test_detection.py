"""Is every difference of a world found, and nothing else? A small fixed one; `bench.detection` draws large ones at run time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.detecting.labels import Label
from bench.detecting.nights import Played, play
from bench.detecting.terms import environment
from bench.detecting.verdict import judge, residuals
from reconciliation.states import BreakType
from tests.simulator_fixture import SimulatorProcess, start_simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ELSEWHERE = {BreakType.REPORT_GAP, BreakType.REPORT_RESTATED}  # of a twist each


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    process = start_simulator()
    yield process
    process.stop()


def _played(simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, **wish: object) -> Played:
    for name, value in environment(simulator.url).items():
        monkeypatch.setenv(name, value)
    return play(simulator, {"zone": "Europe/Berlin", "transactions": 60, "most": 2, **wish})


def _all_found(played: Played) -> None:
    verdict = judge(played.labels)
    assert [*verdict.wrong, *residuals(played.labels), *played.unbalanced] == [], played.wish
    assert all(score.whole for score in verdict.scores.values())


def test_a_day_of_25_hours_restated(simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    played = _played(simulator, monkeypatch, seed=4, day="2026-10-25", twist="restated")
    assert played.hours == 25
    assert {label.type for label in played.labels} >= set(BreakType) - ELSEWHERE
    _all_found(played)
    gone, *kept = played.labels
    made_up = Label("amount_mismatch", "nmi", "line:none", 5, 5, "USD")
    assert len(judge(kept).wrong) == 1  # what nobody planted is noticed, and so is what nobody found
    assert len(judge([*played.labels, made_up]).wrong) == 1
    off = Label(gone.type, gone.gateway, gone.key, gone.amount_minor + 1, gone.between_minor, gone.currency)
    assert len(judge([off, *kept]).wrong) == 1
