"""When a worker took its counters, by the controller's clock."""

from __future__ import annotations

import random

import pytest

from controller.report_clock import WINDOW_S, ReportClocks


def test_a_report_that_came_at_once_was_taken_when_it_came():
    assert ReportClocks().taken_at("p", began=1.0, at=500.0, now=7.0) == 7.0


def test_one_that_waited_on_its_way_was_taken_earlier():
    clocks = ReportClocks()
    clocks.taken_at("p", 1.0, at=500.0, now=7.0)
    assert clocks.taken_at("p", 1.0, at=502.0, now=19.0) == 9.0
    assert clocks.taken_at("p", 1.0, at=512.0, now=19.0) == 19.0


def test_no_reading_is_of_the_future():
    clocks = ReportClocks()
    clocks.taken_at("p", 1.0, at=500.0, now=7.0)
    assert clocks.taken_at("p", 1.0, at=510.0, now=8.0) == 8.0


def test_a_worker_that_began_anew_has_another_clock():
    clocks = ReportClocks()
    clocks.taken_at("p", 1.0, at=500.0, now=7.0)
    assert clocks.taken_at("p", 2.0, at=3.0, now=9.0) == 9.0
    assert clocks.taken_at("p", 2.0, at=5.0, now=20.0) == 11.0


def test_the_clocks_of_many_workers_do_not_fill_the_memory():
    clocks = ReportClocks(most=3)
    for number in range(100):
        clocks.taken_at(number, 1.0, at=0.0, now=0.0)
    assert len(clocks._apart) == 3
    assert clocks.taken_at(99, 1.0, at=1.0, now=50.0) == 1.0
    assert clocks.taken_at(0, 1.0, at=1.0, now=50.0) == 50.0


@pytest.mark.parametrize("drift", [0.999, 1.001])
def test_clocks_that_drift_apart_are_followed_and_spans_are_right_however_late_reports_come(drift: float):
    dice, clocks, taken = random.Random(3), ReportClocks(), []
    arrived = 0.0
    for number in range(3000):
        true = 100.0 + 2.0 * number
        arrived = max(arrived, true + (dice.choice((5.0, 20.0)) if dice.random() < 0.02 else dice.uniform(0.01, 0.05)))
        found = clocks.taken_at("p", 1.0, at=true * drift, now=arrived)
        assert found <= arrived
        taken.append(found - true)
    # Two windows of drift, and what the quickest way takes.
    assert all(abs(wrong) < 2 * WINDOW_S * 0.001 + 0.1 for wrong in taken[50:])
