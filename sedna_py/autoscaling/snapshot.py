"""What a worker has counted until a moment; two of them give its signals."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of a worker's counters, totals since it began. For an edge worker a request is a frame.

    offered = done + dropped + those that are inside. `present_s`, `waiting_s` and `busy_s` are integrals over time, so that two
    readings give a true mean however rarely they are taken: of the requests that are inside, of those in line, and of the
    streams at work.
    """

    at: float  # seconds of the reader's monotonic clock
    began: float  # when the worker began, seconds since the epoch: another one means that it counts from 0 again
    offered: float
    done: float
    dropped: float
    present_s: float
    waiting_s: float
    busy_s: float
    streams: float
    # Requests by upper bound (names.STAGE_BUCKETS_S, then infinity), each with those below it.
    latency: tuple[float, ...] = ()
    hard: float | None = None  # frames that the cloud was to be asked about; edge only
    backlog_age_s: float | None = None  # age of the oldest frame that waits; edge only
