from __future__ import annotations

import math

import pytest

from tests.bench.autoscaling.figures import Look, Total, ratio, run_of, seconds


def look(at: float, wanted: int = 1, dropped: float = 0.0, usage: int | None = None, ready: int = 1) -> Look:
    return Look(at, wanted, ready, offered=at * 10, dropped=dropped, usage=usage)


def test_drops_are_zero_from_the_last_frame_that_was_lost():
    run = run_of(
        [look(0), look(10, dropped=5), look(20, wanted=3, dropped=9), look(30, dropped=9), look(40, dropped=9)]
    )
    assert run.zero_drops_s == 20
    assert (run.lost, run.frames) == (9, 400)
    assert run.scaled_s == 20


def test_a_frame_that_is_lost_later_is_told_apart():
    run = run_of([look(0), look(10, dropped=5), look(31, dropped=5), look(40, dropped=7)])
    assert (run.zero_drops_s, run.lost, run.lost_later) == (10, 7, 2)


@pytest.mark.parametrize("end", [21, 39])
def test_drops_that_stop_shortly_before_the_end_have_not_gone_to_zero(end):
    assert run_of([look(0), look(20, dropped=1), look(end, dropped=1)]).zero_drops_s == math.inf


def test_nothing_lost_is_zero_at_once_and_no_other_pod_is_never():
    run = run_of([look(0), look(30)])
    assert (run.zero_drops_s, run.lost, run.scaled_s) == (0, 0, math.inf)


def test_the_use_of_one_pod_is_that_of_before_the_second_is_ready():
    looks = [look(0, usage=10), look(1, usage=95), look(30, usage=120, ready=2), look(60)]
    assert run_of(looks).usage_of_one == 95


def test_replicas_are_told_where_they_change():
    looks = [look(0), look(1, wanted=2), look(2, wanted=2), look(3, wanted=4)]
    assert run_of(looks).replicas == [(0, 1), (1, 2), (3, 4)]


def test_a_pod_that_is_gone_keeps_what_it_had():
    total = Total()
    assert total.take({"a": (10.0, 1.0), "b": (5.0, 0.0)}) == (15.0, 1.0)
    assert total.take({"a": (12.0, 2.0)}) == (17.0, 2.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "text"), [(30, 120, "0.25"), (math.inf, 120, "-"), (30, math.inf, "0"), (0, 0, "-")]
)
def test_ratios(ours, theirs, text):
    assert ratio(ours, theirs) == text


def test_what_never_happened_is_called_so():
    assert seconds(math.inf) == "never"
    assert seconds(34.4) == "34 s"
