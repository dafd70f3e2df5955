"""Percentiles, due times and counts: no IO, no clock."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest

from sedna_py.load_test.options import Arrivals
from sedna_py.load_test.samples import Samples, percentile
from sedna_py.load_test.schedule import due_times
from sedna_py.load_test.tally import MAX_CAUSES, OTHER, Tally


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [(1, 0, 1), (1, 99, 1), (2, 50, 1), (2, 51, 2), (100, 50, 50), (100, 99, 99), (100, 100, 100), (101, 99, 100)],
)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(count, percent, expected):
    assert percentile(range(1, count + 1), percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_a_percentile_of_nothing_or_beyond_all_is_refused(values, percent):
    with pytest.raises(ValueError, match="at least one value"):
        percentile(values, percent)


def test_figures_are_exact_up_to_the_limit():
    samples = Samples(seed=1, limit=1000)
    for value in random.Random(7).sample(range(1, 1001), 1000):
        samples.add(value / 1000)
    figures = samples.latency()
    assert (figures.count, figures.p50, figures.p95, figures.p99, figures.max) == (1000, 500, 950, 990, 1000)
    assert not samples.is_sampled
    assert Samples(seed=1).latency() is None


def test_beyond_the_limit_every_value_has_the_same_chance_to_be_kept():
    samples = Samples(seed=1, limit=500)
    for value in range(50_000):
        samples.add(value / 1000)
    figures = samples.latency()
    assert samples.is_sampled
    assert figures.count == 50_000
    assert figures.max == 49_999  # exact all the same
    assert figures.p50 == pytest.approx(25_000, rel=0.15)
    assert figures.p95 == pytest.approx(47_500, rel=0.05)


def test_even_requests_do_not_drift():
    assert list(itertools.islice(due_times(3, Arrivals.EVEN, 1), 4)) == [0, 1 / 3, 2 / 3, 1]
    assert next(itertools.islice(due_times(10, Arrivals.EVEN, 1), 100_000, None)) == 10_000


def test_poisson_requests_keep_the_rate_and_bunch_as_they_should():
    due = list(itertools.islice(due_times(200, Arrivals.POISSON, 5), 20_000))
    gaps = [later - sooner for sooner, later in itertools.pairwise([0.0, *due])]
    assert statistics.mean(gaps) == pytest.approx(1 / 200, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1 / 200, rel=0.05)  # equal to the mean: exponential
    assert due[:50] == list(itertools.islice(due_times(200, Arrivals.POISSON, 5), 50))
    assert due[:50] != list(itertools.islice(due_times(200, Arrivals.POISSON, 6), 50))


def test_what_was_due_in_the_warm_up_or_behind_the_end_is_not_counted():
    tally = Tally(begins=10.0, ends=20.0, seed=1)
    for due in (9.99, 20.0):
        tally.reply(200, b"", due, due + 0.5)
        tally.reply(429, b"", due, due + 0.5)
        tally.failure("timed_out", due)
    assert (tally.accepted.count, tally.refused.count, tally.failures.total()) == (0, 0, 0)
    assert tally.answered == 1  # of the warm-up, but answered while rates are counted
    tally.reply(200, b"", 19.9, 25.0)
    assert tally.answered == 1  # too late for the rate, not for the latency
    assert tally.accepted.latency().max == pytest.approx(5100)


def test_causes_are_counted_apart_refusals_by_themselves():
    tally = Tally(0.0, 10.0, seed=1)
    for status, body in [
        (429, b'{"cause": "overloaded", "detail": "x"}'),
        (503, b"no healthy upstream"),
        (422, b'{"cause": "malformed_body"}'),
        (500, b'["cause"]'),
        (500, b'{"cause": 5}'),
        (404, b'{"cause": "a\\nb"}'),
    ]:
        tally.reply(status, body, 1.0, 1.5)
    assert tally.refusals == {"http 429 overloaded": 1, "http 503": 1}
    assert tally.refused.count == 2
    assert tally.failures == {"http 422 malformed_body": 1, "http 500": 2, "http 404 ab": 1}
    assert tally.accepted.count == 0


def test_a_server_cannot_fill_the_memory_with_causes():
    tally = Tally(0.0, 10.0, seed=1)
    for number in range(1000):
        tally.reply(500, b'{"cause": "%d"}' % number, 1.0, 1.5)
    assert len(tally.failures) == MAX_CAUSES + 1
    assert tally.failures[OTHER] == 1000 - MAX_CAUSES
