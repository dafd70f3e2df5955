"""What signals are made of, on both workers' page for Prometheus: a Snapshot's fields (sedna_py.autoscaling)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names

_COUNTERS: Final = (
    (names.WORKER_OFFERED, "offered", "Requests (edge: frames) that came"),
    (names.WORKER_DONE, "done", "Requests that the model is done with"),
    (names.WORKER_DROPPED, "dropped", "Requests lost for want of room or time"),
    (names.WORKER_PRESENT_SECONDS, "present_s", "Seconds of all requests in the model and in line"),
    (names.WORKER_WAITING_SECONDS, "waiting_s", "Seconds of all requests in line"),
    (names.WORKER_BUSY_SECONDS, "busy_s", "Seconds that the model's streams were at work"),
    (names.WORKER_HARD, "hard", "Frames that the cloud was to be asked about"),
)
_GAUGES: Final = (
    (names.WORKER_BEGAN, "began", "When the worker began, seconds since the epoch"),
    (names.WORKER_STREAMS, "streams", "Requests that the model works on at once"),
    (names.WORKER_BACKLOG_AGE_SECONDS, "backlog_age_s", "Age of the oldest frame that waits"),
)
_BOUNDS: Final = (*(str(float(bound)) for bound in names.STAGE_BUCKETS_S), "+Inf")


class LatencyCounts:
    """A histogram over names.STAGE_BUCKETS_S, from any thread."""

    def __init__(self) -> None:
        self._alone = [0] * len(_BOUNDS)
        self._lock = threading.Lock()
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        with self._lock:
            self._alone[bisect_left(names.STAGE_BUCKETS_S, seconds)] += 1
            self.sum_s += seconds

    def cumulative(self) -> tuple[float, ...]:
        """Return the requests up to each bound, and all, as Snapshot has them."""
        total, found = 0, []
        for count in list(self._alone):
            total += count
            found.append(float(total))
        return tuple(found)


class LoadCollector(Collector):
    """Renders what `read` returns; until `watch`, and while that is None, there is nothing to tell."""

    def __init__(self) -> None:
        self.latency = LatencyCounts()
        self.read: Callable[[], Snapshot | None] = lambda: None

    def watch(self, read: Callable[[], Snapshot | None]) -> None:
        """Render what `read` returns from now on."""
        self.read = read

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        sum_s, now = self.latency.sum_s, self.read()
        if now is None:
            return
        for name, of, about in _COUNTERS:
            if (value := getattr(now, of)) is not None:
                yield CounterMetricFamily(name, about, value)
        for name, of, about in _GAUGES:
            if (value := getattr(now, of)) is not None:
                yield GaugeMetricFamily(name, about, value)
        latency = HistogramMetricFamily(names.WORKER_LATENCY_SECONDS, "Seconds from arrival to the model's answer")
        latency.add_metric([], list(zip(_BOUNDS, now.latency, strict=True)), sum_s)
        yield latency
