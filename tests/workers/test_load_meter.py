"""Integrals over time."""

from __future__ import annotations

import pytest

from workers.load_meter import LoadMeter


def test_every_moment_counts_with_what_there_was_in_it():
    meter = LoadMeter(streams=2)
    meter.moved(1000.0, working=1)
    meter.moved(1000.5, working=3, waiting=4)
    meter.moved(1000.75, working=0, waiting=2)
    meter.moved(1001.0, working=0)
    present_s, waiting_s, busy_s = meter.read(1005.0)
    assert present_s == pytest.approx(0.5 * 1 + 0.25 * 7 + 0.25 * 2)
    assert waiting_s == pytest.approx(0.25 * 4 + 0.25 * 2)
    assert busy_s == pytest.approx(0.5 * 1 + 0.25 * 2)


def test_reading_changes_nothing():
    read, unread = LoadMeter(4), LoadMeter(4)
    for meter in (read, unread):
        meter.moved(10.0, 3, 1)
    for tenth in range(50):
        read.read(10.0 + tenth / 10)
    assert read.read(20.0) == pytest.approx(unread.read(20.0))


def test_without_streams_nothing_is_at_work_and_a_new_number_counts_from_then_on():
    meter = LoadMeter()
    meter.moved(0.0, 3)
    meter.resize(10.0, 2)
    assert meter.read(11.0) == pytest.approx((33.0, 0.0, 2.0))
    meter.resize(11.0, 8)
    assert meter.read(12.0) == pytest.approx((36.0, 0.0, 5.0))
