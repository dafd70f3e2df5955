"""What came when: the load of a simulation, out of an edge worker's decision log or a table of rates."""

from __future__ import annotations

import csv
import math
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from sedna_py.decision_log import DecisionRecord, closing, read_records
from sedna_py.errors import MalformedBody

MOST_ARRIVALS: Final = 5_000_000
_ENOUGH: Final = 8  # times, for their mean to be believed
_QUARTILES: Final = 1.349  # standard deviations between the quartiles of a normal distribution
_TIME, _FRAMES, _REQUESTS, _HARD = "seconds", "frames_per_second", "requests_per_second", "hard_share"


class Span(NamedTuple):
    """From when to when one request was worked on, in seconds; the first one of a run finds nothing loaded."""

    begin: float
    end: float
    first: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """One frame, or one request to the cloud worker; `at` in seconds since the beginning."""

    at: float
    hard: bool = True


@dataclass(frozen=True, slots=True)
class Timings:
    """How long one request takes a stream, in seconds: a mean, and the part of it that it varies by.

    0 where the mean is unknown, None where it is unknown how it varies.
    """

    edge_s: float = 0.0
    cloud_s: float = 0.0
    edge_spread: float | None = None
    cloud_spread: float | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A load in order of time, `seconds` long. Without `edge` they are requests that go straight to the cloud worker."""

    arrivals: Sequence[Arrival]
    seconds: float
    edge: bool
    timings: Timings = Timings()


def trace_of_log(lines: Iterable[str], chance: random.Random) -> Trace:
    """Return what a decision log tells. Raises MalformedBody.

    Frames that were lost before the little model have no line, but their numbers are missing: they are put between their
    neighbours, hard as often as the others.
    """
    records = sorted(closing(read_records(lines)), key=lambda record: record.captured)
    if len(records) < 2:
        raise MalformedBody(f"there are {len(records)} frames in the log; a simulation needs two at least")
    begin = records[0].captured
    share = sum(record.hard for record in records) / len(records)
    arrivals = [Arrival(record.captured - begin, record.hard) for record in records]
    arrivals += [Arrival(at - begin, chance.random() < share) for at in _lost(records)]
    arrivals.sort(key=lambda arrival: arrival.at)
    return Trace(arrivals, arrivals[-1].at, edge=True, timings=_timings(records))


def trace_of_rates(lines: Iterable[str], chance: random.Random) -> Trace:
    """Return arrivals by chance (Poisson) at the rates of a CSV. Raises MalformedBody.

    Its columns are `seconds` and `frames_per_second`, and `hard_share` if it is not 1; or `seconds` and `requests_per_second`. A
    rate holds from its row's time to the next row's; the last row is the end.
    """
    rows = csv.DictReader(lines)
    names = set(rows.fieldnames or ())
    rate_name = next((name for name in (_FRAMES, _REQUESTS) if name in names), None)
    if _TIME not in names or rate_name is None:
        raise MalformedBody(f"the table's first line must name {_TIME} and {_FRAMES} or {_REQUESTS}")
    steps = [_step(row, rate_name, number) for number, row in enumerate(rows, start=2)]
    if len(steps) < 2:
        raise MalformedBody("the table needs two rows at least: the last one is the end")
    arrivals: list[Arrival] = []
    for (at, rate, share), (end, _, _) in pairwise(steps):
        if end <= at:
            raise MalformedBody(f"the times of the table must rise; {end:g} s comes after {at:g} s")
        if len(arrivals) + rate * (end - at) > MOST_ARRIVALS:
            raise MalformedBody(f"the table asks for more than {MOST_ARRIVALS} arrivals")
        arrivals += _poisson(at, end, rate, share, chance)
    return Trace(arrivals, steps[-1][0], edge=rate_name == _FRAMES)


def _step(row: dict[str, str], rate_name: str, number: int) -> tuple[float, float, float]:
    values = []
    for name, text, most in (
        (_TIME, row[_TIME], 1e7),
        (rate_name, row[rate_name], 1e5),
        (_HARD, row.get(_HARD) or "1", 1.0),
    ):
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= most:
            raise MalformedBody(f"line {number}: {name} is {text!r}; write a number from 0 to {most:g}")
        values.append(value)
    return values[0], values[1], values[2]


def _poisson(begin: float, end: float, rate: float, share: float, chance: random.Random) -> list[Arrival]:
    arrivals = []
    at = begin + chance.expovariate(rate) if rate > 0 else end
    while at < end:
        arrivals.append(Arrival(at, chance.random() < share))
        at += chance.expovariate(rate)
    return arrivals


def _lost(records: Sequence[DecisionRecord]) -> list[float]:
    """Return when the frames were captured whose numbers are missing."""
    by_source: dict[tuple[str, str], list[DecisionRecord]] = {}
    for record in records:
        by_source.setdefault((record.run, record.source), []).append(record)
    found: list[float] = []
    for frames in by_source.values():
        frames.sort(key=lambda record: record.frame)
        for before, after in pairwise(frames):
            count = after.frame - before.frame
            step = (after.captured - before.captured) / max(count, 1)
            if len(found) + count > MOST_ARRIVALS:
                raise MalformedBody(f"more than {MOST_ARRIVALS} frames are missing between those of the log")
            found += [before.captured + step * number for number in range(1, count)]
    return found


def _timings(records: Sequence[DecisionRecord]) -> Timings:
    edge = _times([span for record in records if (span := _at_the_edge(record))])
    cloud = _times([span for record in records if (span := _in_the_cloud(record))])
    edge_s, edge_spread = _mean(edge)
    cloud_s, cloud_spread = _usual(cloud)
    return Timings(edge_s, cloud_s, edge_spread, cloud_spread)


def _at_the_edge(record: DecisionRecord) -> Span | None:
    wait, edge = record.latency_ms.wait, record.latency_ms.edge
    if wait is None or edge is None:
        return None
    taken = record.captured + wait / 1000
    return Span(taken, taken + edge / 1000, first=record.frame == 1)


def _in_the_cloud(record: DecisionRecord) -> Span | None:
    if record.latency_ms.cloud is None:
        return None
    answered = record.captured + record.latency_ms.total / 1000
    return Span(answered - record.latency_ms.cloud / 1000, answered, first=record.frame == 1)


def _times(spans: Sequence[Span]) -> list[float]:
    """Return how long single requests took, from when each was handed over and when it was done.

    What was handed over while another was on its way may have waited for that one: it tells nothing where enough did not, and
    else the time since the one before it was done, as if one stream did them all.
    """
    alone: list[float] = []
    apart: list[float] = []
    free_at = -math.inf
    for begin, end, first in sorted(spans):
        if not first:
            (alone if begin >= free_at else apart).append(end - max(begin, free_at))
        free_at = max(free_at, end)
    return alone if len(alone) >= _ENOUGH else [time for time in alone + apart if time > 0]


def _mean(times: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and spread of all: what holds a model up now and then takes its share of what a worker can do."""
    if len(times) < _ENOUGH:
        return _few(times)
    mean = statistics.mean(times)
    return mean, statistics.stdev(times, mean) / mean


def _usual(times: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and spread of a log-normal with the same quartiles: what holds an answer up on its way takes no stream."""
    if len(times) < _ENOUGH:
        return _few(times)
    lower, middle, upper = statistics.quantiles(times, n=4)
    sigma = math.log(upper / lower) / _QUARTILES if lower > 0 else 0.0
    return middle * math.exp(sigma**2 / 2), math.sqrt(math.expm1(sigma**2))


def _few(times: Sequence[float]) -> tuple[float, float | None]:
    return (statistics.median(times) if times else 0.0), None
