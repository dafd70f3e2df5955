"""What came when: the load of a simulation, out of an edge worker's decision log or a table of rates."""

from __future__ import annotations

import csv
import math
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sedna_py.decision_log import DecisionRecord, closing, read_records
from sedna_py.errors import MalformedBody

MOST_ARRIVALS: Final = 5_000_000
_TIME, _FRAMES, _REQUESTS, _HARD = "seconds", "frames_per_second", "requests_per_second", "hard_share"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One frame, or one request to the cloud worker; `at` in seconds since the beginning."""

    at: float
    hard: bool = True


@dataclass(frozen=True, slots=True)
class Timings:
    """How long one request takes a stream, in seconds: a mean, and the part of it that it varies by; 0 where unknown."""

    edge_s: float = 0.0
    cloud_s: float = 0.0
    spread: float = 0.1


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
    edge = [record.latency_ms.edge for record in records if record.latency_ms.edge is not None]
    answered = [record for record in records if record.latency_ms.cloud is not None]
    # What was asked while nothing else was on its way did not wait for others.
    alone = [record for record in answered if record.offloads_waiting == 0] or answered
    cloud = [record.latency_ms.cloud for record in alone if record.latency_ms.cloud is not None]
    return Timings(
        edge_s=statistics.median(edge) / 1000 if edge else 0.0,
        cloud_s=statistics.median(cloud) / 1000 if cloud else 0.0,
    )
