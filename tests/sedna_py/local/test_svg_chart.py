from __future__ import annotations

import math

import pytest

from sedna_py.local.svg_chart import BOTTOM, LEFT, RIGHT, TOP, Canvas, axis, close_axis, log_axis, nice_step, tick_text


@pytest.mark.parametrize(
    ("rough", "expected"), [(0.03, 0.05), (0.11, 0.2), (1.0, 1.0), (2.1, 5.0), (7.0, 10.0), (430.0, 500.0)]
)
def test_nice_step(rough: float, expected: float) -> None:
    assert nice_step(rough) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [math.nan], [0.0], [0.7], [3.0, 17.0], [1e6], [-2.0, 2.0]])
def test_an_axis_holds_its_values_and_has_a_range(values: list[float]) -> None:
    found = axis(values, "ms")
    there = [value for value in values if math.isfinite(value)]
    assert found.low < found.high
    assert all(found.low <= value <= found.high for value in there)
    assert (found.ticks[0], found.ticks[-1]) == (found.low, found.high)
    assert 2 <= len(found.ticks) <= 8


def test_special_axes() -> None:
    assert axis([2.0], "frames", whole=True).ticks == (0, 1, 2)
    assert close_axis(-0.5, 9.5, "").ticks == (0, 2, 4, 6, 8)
    assert close_axis(3.0, 3.0, "").high > 3.0
    assert log_axis([30.0, 700.0], "ms").ticks == (20, 50, 100, 200, 500, 1000)
    assert log_axis([], "ms").low < log_axis([], "ms").high


def test_points_lie_inside_the_plot_area() -> None:
    canvas = Canvas(close_axis(0, 10, ""), axis([0, 100], ""), 500, 200)
    assert canvas.at((0, 0)) == (LEFT, 200 - BOTTOM)
    assert canvas.at((10, 100)) == (500 - RIGHT, TOP)
    assert canvas.at((99, -5)) == (500 - RIGHT, 200 - BOTTOM)
    assert Canvas(close_axis(0, 10, ""), log_axis([1, 100], ""), 500, 200).at((0, 10))[1] == pytest.approx(
        (200 - BOTTOM + TOP) / 2
    )


def test_nan_interrupts_a_line() -> None:
    canvas = Canvas(close_axis(0, 10, ""), axis([0, 10], ""), 500, 200)
    drawn = canvas.line([(0, 1), (1, 1), (2, math.nan), (3, 1), (4, 1), (5, math.nan), (6, 1)], "edge")
    assert drawn.count("<polyline") == 2
    assert drawn.count("<circle") == 1
    assert "nan" not in drawn
    assert canvas.area([(0, 1), (1, math.nan)], "edge").count("<polygon") == 1


def test_tick_text() -> None:
    assert [tick_text(value) for value in (0, 0.25, 1000, 20)] == ["0", "0.25", "1\u00a0000", "20"]
