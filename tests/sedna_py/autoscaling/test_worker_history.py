"""What is kept of a worker's readings."""

from __future__ import annotations

import pytest

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.autoscaling.worker_history import CLOSE_S, STEPS, History


def reading(at: float, began: float = 1.0) -> Snapshot:
    return Snapshot(at, began, at, at, 0, at, 0, at, 1)


def filled(seconds: float, window_s: float, step_s: float = 2.0) -> History:
    history = History()
    at = 0.0
    while at <= seconds:
        history.add(reading(at), at, window_s)
        at += step_s
    return history


@pytest.mark.parametrize("window_s", [6.0, 60.0, 600.0, 3600.0])
def test_a_window_is_covered_and_never_by_many(window_s):
    history = filled(2.5 * window_s + 100, window_s)
    assert len(history) <= CLOSE_S / 2 + 2 + STEPS + 3
    assert history.latest is not None
    earlier = history.since(history.latest.at - window_s)
    assert earlier is not None
    span = history.latest.at - earlier.at
    assert window_s <= span <= window_s + max(2.0, window_s / STEPS) + 2


def test_lately_every_reading_is_kept():
    history = filled(100, 60)
    assert history.latest is not None
    for ago in (2.0, 4.0, 6.0, 10.0):
        assert history.since(history.latest.at - ago) == reading(history.latest.at - ago)


def test_a_young_worker_has_what_there_is():
    history = History()
    assert history.latest is None
    assert history.since(0) is history.until(0) is None
    history.add(reading(10), 10, 60)
    assert history.since(0) == reading(10)
    history.add(reading(12), 12, 60)
    assert history.since(-48) == reading(10)


def test_a_worker_that_began_anew_has_no_past():
    history = filled(20, 60)
    history.add(reading(22, began=2.0), 22, 60)
    assert len(history) == 1
    assert history.since(0) == history.latest


def test_what_was_known_at_a_moment_of_our_clock():
    history = History()
    for at in (10.0, 12.0, 14.0):
        history.add(reading(at), at + 1000, 60)
    assert history.until(2000) == history.until(1014) == reading(14)
    assert history.until(1013.9) == reading(12)
    assert history.until(1009) is None


def test_a_reading_that_is_not_newer_is_left_and_keeps_nothing_fresh():
    history = filled(20, 60)
    kept = len(history)
    history.add(reading(20), 30, 60)
    history.add(reading(5), 30, 60)
    assert len(history) == kept
    assert history.taken_at == 20
