"""Signals: what autoscalers read of a worker, out of two readings of its counters.

Each is a mean over the time between the two, so it does not depend on the moment of a reading. A signal that has no value then is
absent and never zero: of no request there is no latency, and an autoscaler would take a zero for an idle worker.
docs/autoscaling has a page about each; the recording rules of deploy/prometheus are the same formulas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names

QUANTILE: Final = 0.95
_TOTALS: Final = ("offered", "done", "dropped", "present_s", "waiting_s", "busy_s")
_BOUNDS_S: Final = (*names.STAGE_BUCKETS_S, math.inf)


def signals(earlier: Snapshot, later: Snapshot) -> dict[str, float]:
    """Return the signals of a worker between two readings, by name (names.SIGNAL_*).

    Nothing where they cannot be compared: the worker began anew between them, no time has passed, or a total went back.
    """
    span_s = later.at - earlier.at
    gained = _gained(earlier, later)
    if gained is None or not span_s > 0:
        return {}
    found: dict[str, float | None] = {
        names.SIGNAL_CONCURRENCY: gained.present_s / span_s,
        names.SIGNAL_RPS: gained.done / span_s,
        names.SIGNAL_QUEUE_DEPTH: gained.waiting_s / span_s,
        names.SIGNAL_INFER_FPS: gained.done / span_s,
        names.SIGNAL_DROP_FPS: gained.dropped / span_s,
        names.SIGNAL_REQUESTS_PER_STREAM: _over(gained.present_s / span_s, later.streams),
        names.SIGNAL_DEMAND: _demand(gained, later, span_s),
        names.SIGNAL_SCALE_RATIO: _over(gained.done + gained.dropped, gained.done),
        names.SIGNAL_LATENCY_P95: quantile(QUANTILE, gained.latency),
    }
    if gained.hard is not None:
        share = _over(gained.hard, gained.done)
        found[names.SIGNAL_HARD_SHARE] = None if share is None else min(share, 1.0)
        found[names.SIGNAL_FRAMES] = gained.offered / span_s
    if later.backlog_age_s is not None:
        found[names.SIGNAL_BACKLOG_AGE] = later.backlog_age_s
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


def quantile(share: float, cumulative: Sequence[float]) -> float | None:
    """Return the seconds below which that share of requests stayed; None of no requests.

    `cumulative` are the requests up to each of names.STAGE_BUCKETS_S and all. Within a bucket they are taken to be spread evenly;
    beyond the last bound that bound is returned, as Prometheus does.
    """
    if not cumulative or cumulative[-1] <= 0:
        return None
    rank = share * cumulative[-1]
    place = next((i for i, count in enumerate(cumulative) if count >= rank), len(cumulative) - 1)
    if place >= len(names.STAGE_BUCKETS_S):
        return float(names.STAGE_BUCKETS_S[-1])
    lower_s, below = (_BOUNDS_S[place - 1], cumulative[place - 1]) if place else (0.0, 0.0)
    return float(lower_s + (_BOUNDS_S[place] - lower_s) * (rank - below) / (cumulative[place] - below))


def service_s(earlier: Snapshot, later: Snapshot) -> float | None:
    """Return the stream-seconds that a request takes, measured between two readings of one worker.

    Where none was done meanwhile: the mean since the worker began. None where that is not known either.
    """
    gained = _gained(earlier, later)
    return None if gained is None else _service_s(gained, later)


def hard_rate(earlier: Snapshot, later: Snapshot) -> float | None:
    """Return the hard frames a second of an edge worker between two readings, None where they cannot be compared."""
    if earlier.hard is None or later.hard is None or later.hard < earlier.hard or later.at <= earlier.at:
        return None
    return (later.hard - earlier.hard) / (later.at - earlier.at)


def pods_worth(hard_rates: Sequence[float], cloud: Sequence[tuple[float, float]]) -> float | None:
    """Return how many cloud pods' worth of work hard frames are, None while that cannot be told.

    `hard_rates` of each edge worker, a second; `cloud` has for each pod the stream-seconds that a request takes, and its streams.
    """
    streams = sum(streams for _, streams in cloud)
    if not hard_rates or not streams > 0:
        return None
    return sum(hard_rates) * sum(seconds for seconds, _ in cloud) / streams


def _gained(earlier: Snapshot, later: Snapshot) -> Snapshot | None:
    """Return what was added between two readings, None where they are of two workers or a total went back."""
    if earlier.began != later.began or len(earlier.latency) != len(later.latency):
        return None
    if (earlier.hard is None) != (later.hard is None):
        return None
    totals = {name: getattr(later, name) - getattr(earlier, name) for name in _TOTALS}
    latency = tuple(now - before for before, now in zip(earlier.latency, later.latency, strict=True))
    hard = later.hard - earlier.hard if later.hard is not None and earlier.hard is not None else None
    if min(*totals.values(), *latency, hard or 0.0) < 0:
        return None
    return Snapshot(at=later.at, began=later.began, streams=later.streams, latency=latency, hard=hard, **totals)


def _demand(gained: Snapshot, later: Snapshot, span_s: float) -> float | None:
    """Return what came over what this worker can do: 1 is all that it can, 2 is work for two of them."""
    if not gained.offered:
        return 0.0
    service = _service_s(gained, later)
    return None if service is None else _over(gained.offered / span_s * service, later.streams)


def _service_s(gained: Snapshot, later: Snapshot) -> float | None:
    measured = _over(gained.busy_s, gained.done)
    return measured if measured is not None else _over(later.busy_s, later.done)


def _over(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
