"""The cloud worker's Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sedna_py.metrics import names
from workers.cloud.admission import Admission
from workers.cpu_limit import CpuBudget
from workers.cpu_metrics import show_cpu

ReportOutcome = Literal["received", "refused", "forwarded", "dropped"]


class CloudMetrics:
    """Counts requests and times their stages, in a registry of its own."""

    def __init__(self, cpu: CpuBudget | None = None) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        if cpu is not None:
            show_cpu(r, cpu)
        self._requests = Counter(names.CLOUD_REQUESTS, "Requests for a prediction", ["outcome"], registry=r)
        self._stages = Histogram(
            names.CLOUD_STAGE_SECONDS, "Time a request spent", ["stage"], registry=r, buckets=names.STAGE_BUCKETS_S
        )
        self._in_flight = Gauge(names.CLOUD_IN_FLIGHT, "Requests in the model", registry=r)
        self._waiting = Gauge(names.CLOUD_WAITING, "Requests waiting for the model", registry=r)
        self._streams = Gauge(names.CLOUD_STREAMS, "Frames the model works on at once", registry=r)
        self._reports = Counter(names.CLOUD_REPORTS, "Reports of edge workers", ["outcome"], registry=r)
        self._reports_waiting = Gauge(names.CLOUD_REPORTS_WAITING, "Reports on their way to the controller", registry=r)
        self._requests.labels("ok")

    def watch(self, admission: Admission, streams: int) -> None:
        """Read the queue's lengths when somebody asks."""
        self._in_flight.set_function(lambda: admission.in_flight)
        self._waiting.set_function(lambda: admission.waiting)
        self._streams.set(streams)

    def watch_reports(self, waiting: Callable[[], int]) -> None:
        """Read how many reports wait when somebody asks."""
        self._reports_waiting.set_function(waiting)

    def report(self, outcome: ReportOutcome) -> None:
        """Count one report of an edge worker."""
        self._reports.labels(outcome).inc()

    def request_done(self, outcome: str, stages: Iterable[tuple[str, float]]) -> None:
        """Count one request; `stages` are names and seconds."""
        self._requests.labels(outcome).inc()
        for stage, seconds in stages:
            self._stages.labels(stage).observe(seconds)
