"""What two readings of a worker say."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from sedna_py.autoscaling.signals import quantile, service_s, signals
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from tests.sedna_py.autoscaling.readings import BUCKETS, START, after, random_gain

BUSY = {"offered": 300.0, "done": 200.0, "dropped": 80.0, "present_s": 25.0, "waiting_s": 15.0, "busy_s": 10.0}
EDGE = replace(START, hard=100.0, backlog_age_s=0.0)


def test_each_signal_is_a_mean_over_the_time_between():
    # 10 s, 30 came a second, 20 were done, 50 ms of a stream each: two streams could do 40.
    found = signals(START, after(START, 10.0, **BUSY))
    assert found == pytest.approx(
        {
            names.SIGNAL_CONCURRENCY: 2.5,
            names.SIGNAL_RPS: 20.0,
            names.SIGNAL_QUEUE_DEPTH: 1.5,
            names.SIGNAL_REQUESTS_PER_STREAM: 1.25,
            names.SIGNAL_INFER_FPS: 20.0,
            names.SIGNAL_DROP_FPS: 8.0,
            names.SIGNAL_DEMAND: 0.75,
            names.SIGNAL_SCALE_RATIO: 1.4,
        }
    )


def test_an_edge_has_three_more():
    later = replace(after(EDGE, 10.0, **BUSY, hard=50.0), backlog_age_s=0.7)
    found = signals(EDGE, later)
    assert found[names.SIGNAL_HARD_SHARE] == 0.25
    assert found[names.SIGNAL_FRAMES] == 30.0
    assert found[names.SIGNAL_BACKLOG_AGE] == 0.7
    assert set(found) - set(signals(START, after(START, 10.0, **BUSY))) == {
        names.SIGNAL_HARD_SHARE,
        names.SIGNAL_FRAMES,
        names.SIGNAL_BACKLOG_AGE,
    }


def test_a_frame_that_is_hard_already_and_done_a_moment_later_makes_no_share_above_one():
    assert signals(EDGE, after(EDGE, 1.0, offered=5.0, done=4.0, hard=5.0))[names.SIGNAL_HARD_SHARE] == 1.0


def test_a_worker_without_work_has_no_latency_and_no_ratio_and_its_demand_is_zero():
    found = signals(START, after(START, 10.0))
    assert names.SIGNAL_LATENCY_P95 not in found
    assert names.SIGNAL_SCALE_RATIO not in found
    assert {found[name] for name in (names.SIGNAL_DEMAND, names.SIGNAL_CONCURRENCY, names.SIGNAL_RPS)} == {0.0}


def test_demand_falls_below_one_and_rises_above_it_where_the_ratio_of_upstream_stays_at_one():
    # One stream, 100 ms a request: it can do ten a second.
    one = replace(START, streams=1.0)
    light = signals(one, after(one, 10.0, offered=20.0, done=20.0, busy_s=2.0))
    heavy = signals(one, after(one, 10.0, offered=400.0, done=100.0, dropped=290.0, busy_s=10.0))
    assert light[names.SIGNAL_DEMAND] == pytest.approx(0.2)
    assert light[names.SIGNAL_SCALE_RATIO] == 1.0
    assert heavy[names.SIGNAL_DEMAND] == pytest.approx(4.0)
    assert heavy[names.SIGNAL_SCALE_RATIO] == pytest.approx(3.9)


def test_where_nothing_was_done_meanwhile_the_demand_is_told_by_what_was_done_before():
    later = after(START, 10.0, offered=60.0, busy_s=18.0)
    assert service_s(START, later) == pytest.approx(48 / 900)
    assert signals(START, later)[names.SIGNAL_DEMAND] == pytest.approx(6 * (48 / 900) / 2)
    fresh = replace(START, offered=0.0, done=0.0, dropped=0.0, busy_s=0.0)
    assert names.SIGNAL_DEMAND not in signals(fresh, after(fresh, 10.0, offered=60.0, busy_s=18.0))


def test_a_worker_without_a_model_has_neither_demand_nor_requests_per_stream():
    none = replace(START, streams=0.0)
    found = signals(none, after(none, 10.0, **BUSY))
    assert names.SIGNAL_DEMAND not in found
    assert names.SIGNAL_REQUESTS_PER_STREAM not in found
    assert found[names.SIGNAL_RPS] == 20.0


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(replace(after(START, 10.0, **BUSY), began=START.began + 1), id="it began anew"),
        pytest.param(after(START, 0.0, **BUSY), id="no time has passed"),
        pytest.param(after(START, -1.0, **BUSY), id="the clock went back"),
        pytest.param(after(START, 10.0, done=-1.0), id="a total went back"),
        pytest.param(after(START, 10.0, (-5.0, 5.0, *(0.0,) * (BUCKETS - 2))), id="a bucket went back"),
        pytest.param(replace(after(START, 10.0), latency=()), id="the histogram is gone"),
        pytest.param(replace(after(START, 10.0), hard=3.0), id="it has become an edge worker"),
    ],
)
def test_readings_that_cannot_be_compared_give_nothing(later: Snapshot):
    assert signals(START, later) == {}


def test_no_service_time_is_told_of_two_workers():
    assert service_s(START, replace(after(START, 10.0, **BUSY), began=START.began + 1)) is None


def test_hard_frames_that_go_back_give_nothing():
    assert signals(EDGE, after(EDGE, 1.0, hard=-1.0)) == {}


def counts(**by_bound: float) -> tuple[float, ...]:
    """Return a histogram from what is in single buckets, by their number."""
    alone = [by_bound.get(f"b{i}", 0.0) for i in range(BUCKETS)]
    return tuple(sum(alone[: i + 1]) for i in range(BUCKETS))


def test_the_quantile_is_prometheus_own():
    bounds = names.STAGE_BUCKETS_S
    assert quantile(0.95, ()) is None
    assert quantile(0.95, counts()) is None
    assert quantile(0.5, counts(b0=10)) == pytest.approx(bounds[0] / 2)
    assert quantile(0.95, counts(b3=90, b5=10)) == pytest.approx((bounds[4] + bounds[5]) / 2)
    assert quantile(0.95, counts(b3=95, b5=5)) == pytest.approx(bounds[3])
    assert quantile(0.95, counts(**{f"b{BUCKETS - 1}": 7})) == bounds[-1]


def test_any_two_readings_give_finite_values_that_are_not_negative():
    dice = random.Random(8)
    for _ in range(2000):
        earlier = replace(
            START,
            **random_gain(dice),
            streams=dice.choice((0.0, 1.0, 16.0)),
            hard=dice.choice((None, dice.uniform(0, 1e6))),
        )
        latency = tuple(dice.choice((0.0, dice.uniform(0, 100))) for _ in range(BUCKETS))
        later = after(earlier, dice.uniform(1e-3, 100), latency, **random_gain(dice))
        found = signals(earlier, later)
        assert {names.SIGNAL_CONCURRENCY, names.SIGNAL_RPS, names.SIGNAL_DROP_FPS} <= set(found)
        assert all(math.isfinite(value) and value >= 0 for value in found.values())
        assert (names.SIGNAL_LATENCY_P95 in found) == (sum(latency) > 0)


def test_the_largest_numbers_that_are_read_make_nothing_that_is_not_finite():
    zero = Snapshot(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e-300, (0.0,) * BUCKETS, 0.0, 0.0)
    most = Snapshot(1e-9, 1.0, 1e15, 1e-300, 1e15, 1e15, 1e15, 1e15, 1e-300, (1e15,) * BUCKETS, 1e15, 1e15)
    assert all(math.isfinite(value) for value in signals(zero, most).values())


def test_a_mean_does_not_depend_on_readings_between():
    dice = random.Random(9)
    for _ in range(200):
        first = START
        second = after(first, dice.uniform(1, 30), **random_gain(dice))
        third = after(second, dice.uniform(1, 30), **random_gain(dice))
        whole = signals(first, third)
        parts = [(b.at - a.at, signals(a, b)) for a, b in ((first, second), (second, third))]
        for name in (names.SIGNAL_CONCURRENCY, names.SIGNAL_RPS, names.SIGNAL_QUEUE_DEPTH, names.SIGNAL_DROP_FPS):
            mean = sum(span * found[name] for span, found in parts) / sum(span for span, _ in parts)
            assert whole[name] == pytest.approx(mean)
