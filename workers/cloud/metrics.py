"""The cloud worker's Prometheus metrics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from workers.cloud import stages
from workers.cloud.admission import Admission
from workers.cloud.big_model import AnyPredictor
from workers.cloud.handled import Handled
from workers.cpu_limit import CpuBudget
from workers.cpu_metrics import show_cpu
from workers.inference.predictor import HookPredictor
from workers.load_metrics import LoadCollector

ReportOutcome = Literal["received", "refused", "forwarded", "dropped"]
COUNTED_AT_ONCE: Final = 64
# Those whose time tells of the load: a late answer took as long as it was waited for, a refusal at once took no time.
_TIMED: Final = frozenset({"ok", "deadline_exceeded"})


class CloudMetrics:
    """Counts requests and times their stages, in a registry of its own.

    Requests are counted some at a time, and when `collect` is called before somebody looks: between two inferences the processor
    forgets this code, and to fetch it again for each request takes longer than to run it.
    """

    def __init__(self, cpu: CpuBudget | None = None) -> None:
        self.registry = CollectorRegistry()
        self._handled: deque[Handled] = deque()
        r = self.registry
        if cpu is not None:
            show_cpu(r, cpu)
        self._requests = Counter(names.CLOUD_REQUESTS, "Requests for a prediction", ["outcome"], registry=r)
        self._stages = Histogram(
            names.CLOUD_STAGE_SECONDS, "Time a request spent", ["stage"], registry=r, buckets=names.STAGE_BUCKETS_S
        )
        self._stages_by_name = {name: self._stages.labels(name) for name in stages.NAMES}
        self._in_flight = Gauge(names.CLOUD_IN_FLIGHT, "Requests in the model", registry=r)
        self._waiting = Gauge(names.CLOUD_WAITING, "Requests waiting for the model", registry=r)
        self._streams = Gauge(names.CLOUD_STREAMS, "Frames the model works on at once", registry=r)
        self._streams_now = 1
        self._per_stream = Gauge(
            names.CLOUD_REQUESTS_PER_STREAM, "Requests in the model and before it, for each stream", registry=r
        )
        self._model = Gauge(names.CLOUD_MODEL, "1 for the version of the model that serves", ["version"], registry=r)
        self._loads = Counter(
            names.CLOUD_MODEL_LOADS, "Models that were loaded, or could not be", ["outcome"], registry=r
        )
        self._batches = Histogram(
            names.CLOUD_BATCH_SIZE,
            "Frames that went through the model together",
            registry=r,
            buckets=names.BATCH_BUCKETS,
        )
        self._reports = Counter(names.CLOUD_REPORTS, "Reports of edge workers", ["outcome"], registry=r)
        self._reports_waiting = Gauge(names.CLOUD_REPORTS_WAITING, "Reports on their way to the controller", registry=r)
        self._answered = self._requests.labels("ok")
        self._began = time.time()
        self._load = LoadCollector()
        r.register(self._load)

    def load(self) -> Snapshot | None:
        """Return what signals are made of, None before there is a model."""
        return self._load.read()

    def watch(self, admission: Admission) -> None:
        """Read the queue's lengths, and what signals are made of, when somebody asks."""
        self._load.watch(lambda: self._snapshot(admission))
        self._in_flight.set_function(lambda: admission.in_flight)
        self._waiting.set_function(lambda: admission.waiting)
        self._per_stream.set_function(lambda: (admission.in_flight + admission.waiting) / self._streams_now)

    def model_served(self, predictor: AnyPredictor, version: str) -> None:
        """Note which model serves from now on."""
        self._streams_now = max(predictor.streams, 1)
        self._streams.set(predictor.streams)
        self._model.clear()
        self._model.labels(version).set(1)
        self._loads.labels("loaded").inc()
        if isinstance(predictor, HookPredictor):
            predictor.batch_sizes = self._batches.observe

    def model_refused(self) -> None:
        """Count a model that could not be loaded."""
        self._loads.labels("refused").inc()

    def watch_reports(self, waiting: Callable[[], int]) -> None:
        """Read how many reports wait when somebody asks."""
        self._reports_waiting.set_function(waiting)

    def report(self, outcome: ReportOutcome) -> None:
        """Count one report of an edge worker."""
        self._reports.labels(outcome).inc()

    def request_done(self, handled: Handled) -> None:
        """Note one request, to be counted with others."""
        self._handled.append(handled)
        if len(self._handled) >= COUNTED_AT_ONCE:
            self.collect()

    def collect(self) -> None:
        """Count what has been noted; from any thread."""
        while self._handled:
            try:
                handled = self._handled.popleft()
            except IndexError:  # another thread has taken it
                return
            (self._answered if handled.outcome == "ok" else self._requests.labels(handled.outcome)).inc()
            if handled.outcome in _TIMED:
                self._load.latency.add(handled.ended - handled.begun)
            for stage, seconds in handled.stages.spent():
                self._stages_by_name[stage].observe(seconds)

    def _snapshot(self, admission: Admission) -> Snapshot:
        present_s, waiting_s, busy_s = admission.load()
        return Snapshot(
            at=time.monotonic(),
            began=self._began,
            offered=admission.offered,
            done=admission.done,
            dropped=admission.dropped,
            present_s=present_s,
            waiting_s=waiting_s,
            busy_s=busy_s,
            streams=admission.streams,
            latency=self._load.latency.cumulative(),
        )
