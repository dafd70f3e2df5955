"""One simulated worker: order, bounds, and what it counts."""

from __future__ import annotations

import math
import random

import pytest

from sedna_py.autoscaling.signals import signals
from sedna_py.metrics import names
from sedna_py.simulation.clock import Clock
from sedna_py.simulation.station import DONE, PUSHED_OUT, REFUSED, TOO_LATE, Shape, Station, Work


class Bench:
    """A station whose requests take a second each unless said otherwise."""

    def __init__(
        self, *, streams: int = 1, inside: int | None = None, line: int = 2, drops_oldest: bool = False
    ) -> None:
        self.clock = Clock()
        self.shape = Shape(streams, streams if inside is None else inside, line, lambda: 1.0, drops_oldest)
        self.station = Station(self.clock, self.shape)
        self.ended: list[tuple[str, str, float]] = []

    def offer(self, name: str, until: float = math.inf, *, hard: bool = False) -> None:
        def ended(how: str) -> None:
            self.ended.append((name, how, self.clock.now))

        self.station.offer(Work(self.clock.now, until, ended, hard))


def test_first_come_first_served_and_one_more_is_refused() -> None:
    bench = Bench()
    for name in "abcd":
        bench.offer(name)
    bench.clock.run(10)
    assert bench.ended == [("d", REFUSED, 0.0), ("a", DONE, 1.0), ("b", DONE, 2.0), ("c", DONE, 3.0)]


def test_requests_in_the_model_wait_for_a_stream_too() -> None:
    bench = Bench(streams=1, inside=3, line=1)
    for name in "abcde":
        bench.offer(name)
    assert bench.station.present == 4
    bench.clock.run(0.5)
    gained = bench.station.snapshot()
    assert gained.present_s == pytest.approx(2.0)
    assert gained.waiting_s == pytest.approx(0.5)
    assert gained.busy_s == pytest.approx(0.5)


def test_a_full_buffer_pushes_its_oldest_out() -> None:
    bench = Bench(drops_oldest=True)
    for name in "abcd":
        bench.offer(name)
    assert bench.ended == [("b", PUSHED_OUT, 0.0)]


def test_what_the_model_has_taken_is_neither_pushed_out_nor_too_old() -> None:
    bench = Bench(inside=2, line=1, drops_oldest=True)
    for name in "abcd":  # a in the model's stream, b before it, c waits and gives way to d
        bench.offer(name, until=1.5)
    bench.clock.run(10)
    assert bench.ended == [("c", PUSHED_OUT, 0.0), ("a", DONE, 1.0), ("b", DONE, 2.0), ("d", DONE, 3.0)]
    late = Bench(inside=2, line=1, drops_oldest=True)
    for name in "abc":
        late.offer(name, until=0.5)
    late.clock.run(10)
    assert late.ended == [("c", TOO_LATE, 1.0), ("a", DONE, 1.0), ("b", DONE, 2.0)]


def test_a_request_whose_time_is_over_leaves_the_line() -> None:
    bench = Bench()
    bench.offer("a")
    bench.offer("b", until=0.5)
    bench.clock.run(5)
    assert bench.ended == [("b", TOO_LATE, 1.0), ("a", DONE, 1.0)]


def test_one_that_could_not_be_in_time_is_refused_at_once() -> None:
    bench = Bench()
    bench.offer("a")
    bench.clock.run(1)  # now it is known that one takes a second
    bench.offer("b")
    bench.offer("c", until=1.5)
    assert bench.ended[-1] == ("c", REFUSED, 1.0)


def test_more_streams_begin_what_waits() -> None:
    bench = Bench()
    bench.offer("a")
    bench.offer("b")
    bench.station.resize(Shape(2, 2, 2, lambda: 1.0))
    bench.clock.run(1)
    assert [how for _, how, _ in bench.ended] == [DONE, DONE]


def test_its_counters_are_a_workers() -> None:
    """A stream that is offered half of what it can do, for 2000 s: the signals are those of queueing theory (M/D/1)."""
    bench, chance = Bench(line=1000), random.Random(3)

    def come() -> None:
        bench.offer("x", hard=chance.random() < 0.3)
        bench.clock.after(chance.expovariate(0.5), come)

    come()
    before = bench.station.snapshot()
    bench.clock.run(20_000)
    found = signals(before, bench.station.snapshot())
    assert found[names.SIGNAL_RPS] == pytest.approx(0.5, rel=0.05)
    assert found[names.SIGNAL_DEMAND] == pytest.approx(0.5, rel=0.05)
    assert found[names.SIGNAL_QUEUE_DEPTH] == pytest.approx(0.25, rel=0.1)  # rho^2 / 2(1 - rho)
    assert found[names.SIGNAL_CONCURRENCY] == pytest.approx(0.75, rel=0.1)
    assert found[names.SIGNAL_HARD_SHARE] == pytest.approx(0.3, rel=0.05)
    counts = bench.station.counts
    assert counts.offered == counts.done + counts.dropped + bench.station.present
