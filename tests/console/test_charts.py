"""Are bars as long as their numbers say?"""

from __future__ import annotations

import itertools

from console.charts import HEIGHT, WIDTH, Bar, Chart, drawn


def chart(*values: int, most: int = 0) -> Chart:
    return Chart("t", "s", [Bar(str(value), value, f"{value}") for value in values], most=most)


def test_the_largest_fills_the_chart_and_the_others_are_in_proportion() -> None:
    bars = drawn(chart(50, 200, 0))
    assert [bar.percent for bar in bars] == [25.0, 100.0, 0.0]
    assert [bar.height for bar in bars] == [HEIGHT / 4, HEIGHT, 0]
    assert [bar.y + bar.height for bar in bars] == [HEIGHT] * 3


def test_columns_stand_beside_each_other_within_the_width() -> None:
    bars = drawn(chart(*range(1, 31)))
    assert all(left.x + left.width < right.x for left, right in itertools.pairwise(bars))
    assert bars[-1].x + bars[-1].width <= WIDTH


def test_a_given_measure_is_kept_and_nothing_runs_over_it() -> None:
    assert [bar.percent for bar in drawn(chart(50, 150, most=100))] == [50.0, 100.0]


def test_losses_are_drawn_by_their_size_and_nothing_at_all_is_no_error() -> None:
    assert [bar.percent for bar in drawn(chart(-10, 5))] == [100.0, 50.0]
    assert [bar.percent for bar in drawn(chart(0, 0))] == [0.0, 0.0]
    assert drawn(chart()) == []
