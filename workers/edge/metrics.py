"""The edge worker's Prometheus metrics."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sedna_py.decision_log import DecisionRecord, Emit, Path
from sedna_py.local.box_matching import same_boxes
from sedna_py.metrics import names
from workers.edge.budget_metrics import BudgetCollector
from workers.edge.frames import FrameFigures, SourceFrame
from workers.edge.offline_metrics import OfflineCollector
from workers.edge.pack_metrics import PackCollector
from workers.edge.route_metrics import RouteCollector
from workers.edge.sharing.figures import SharingCollector
from workers.edge.sink_metrics import SinkCollector
from workers.edge.source_metrics import SourceCollector
from workers.load_metrics import LoadCollector

LOG = logging.getLogger(__name__)
# Of the answer that closes the frame; `first` is the time until its first one.
STAGES = ("wait", "edge", "encode", "cloud", "total")
Read = Callable[[], int]


class Change(StrEnum):
    """What a correction made of the edge's answer."""

    CHANGED = "changed"  # the cloud's is another one
    SAME = "same"  # the cloud's has the same boxes, or is equal
    NO_ANSWER = "no_answer"  # the cloud gave none: the edge's stands


def change_of(record: DecisionRecord) -> Change:
    """Return what a correction's record says of the edge's answer."""
    if record.cloud is None:
        return Change.NO_ANSWER
    return Change.SAME if same_boxes(record.edge or [], record.cloud) else Change.CHANGED


class EdgeMetrics:
    """Counts what the pipeline tells it, from any thread; a registry of its own, so that several fit into one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._frames = Counter(names.EDGE_FRAMES, "Frames answered, by whose answer it was", ["path"], registry=r)
        self._read = Counter(names.EDGE_FRAMES_READ, "Frames taken from the source", registry=r)
        self._outages = Counter(names.EDGE_SOURCE_OUTAGES, "Times that a live source gave no more frames", registry=r)
        self._lost = Counter(
            names.EDGE_FRAMES_LOST, "Frames without an answer of the little model", ["cause"], registry=r
        )
        self._failures = Counter(
            names.EDGE_OFFLOAD_FAILURES, "Hard frames that kept the edge's answer", ["cause"], registry=r
        )
        self._bytes = Counter(names.EDGE_BYTES_SENT, "Bytes of pictures sent to the cloud", registry=r)
        self._stages = Histogram(
            names.EDGE_STAGE_SECONDS, "Time a frame spent", ["stage"], registry=r, buckets=names.STAGE_BUCKETS_S
        )
        self._sinks = Counter(names.EDGE_SINK_ERRORS, "Results that a sink could not write", ["sink"], registry=r)
        self._silent = Counter(names.EDGE_SILENT_MISSES, "Frames sent although nothing was found in them", registry=r)
        self._waiting = Gauge(names.EDGE_FRAMES_WAITING, "Frames between source and little model", registry=r)
        self._offloads = Gauge(names.EDGE_OFFLOADS_WAITING, "Hard frames on their way to the cloud", registry=r)
        self._corrections = Counter(
            names.EDGE_CORRECTIONS, "What came after an answer that left at once", ["change"], registry=r
        )
        for change in Change:
            self._corrections.labels(change.value)
        self._first = self._stages.labels("first")
        # Looked up once: finding a labelled child costs more than counting on it.
        self._by_path = {path: self._frames.labels(path.value) for path in Path}
        self._by_stage = {stage: self._stages.labels(stage) for stage in STAGES}
        self._lock = threading.Lock()
        self._model_failures = 0
        self.route = RouteCollector()
        r.register(self.route)
        self.pack = PackCollector()
        r.register(self.pack)
        self.budget = BudgetCollector()
        r.register(self.budget)
        self.sources = SourceCollector()
        r.register(self.sources)
        self.sharing = SharingCollector()
        r.register(self.sharing)
        self.offline = OfflineCollector()
        r.register(self.offline)
        self.sinks = SinkCollector()
        r.register(self.sinks)
        self.load = LoadCollector()
        r.register(self.load)
        self._elsewhere: list[tuple[Counter, Read]] = []
        self._seen: list[int] = []

    def watch(
        self, buffer: FrameFigures, offloads_waiting: Read = int, outages: Read = int, no_motion: Read = int
    ) -> None:
        """Read the queues' lengths, the buffer's counters, the sources' outages and what their gates held when somebody asks."""
        self._waiting.set_function(lambda: len(buffer))
        self._offloads.set_function(offloads_waiting)
        self._elsewhere = [
            (self._read, lambda: buffer.taken_in + no_motion()),
            (self._lost.labels("no_motion"), no_motion),
            (self._lost.labels("buffer_full"), lambda: buffer.dropped),
            (self._lost.labels("too_old"), lambda: buffer.too_old),
            (self._lost.labels("shutdown"), lambda: buffer.discarded),
            (self._lost.labels("with_replica"), lambda: buffer.lost),
            (self._outages, outages),
        ]
        self._seen = [0] * len(self._elsewhere)

    def collect(self) -> None:
        """Bring the counters that are read from elsewhere up to date; call before rendering."""
        with self._lock:
            for index, (counter, read) in enumerate(self._elsewhere):
                now = read()
                counter.inc(now - self._seen[index])
                self._seen[index] = now

    def written(self, record: DecisionRecord) -> None:
        """Count an answer that has left through the sinks; a frame counts with the one that closes it."""
        if record.emit in (Emit.FIRST, Emit.FINAL):
            self._first.observe(record.latency_ms.total / 1000)
        if record.emit.closes:
            self._closed(record)
        elif record.emit is Emit.LATE:
            self._bytes.inc(record.bytes_sent)

    def _closed(self, record: DecisionRecord) -> None:
        self._by_path[record.path].inc()
        if record.emit is Emit.CORRECTION:
            self._corrections.labels(change_of(record).value).inc()
        if record.cause is not None:
            self._failures.labels(record.cause.value).inc()
        self._bytes.inc(record.bytes_sent)
        if record.latency_ms.edge is not None:
            self.load.latency.add(((record.latency_ms.wait or 0.0) + record.latency_ms.edge) / 1000)
        for stage, histogram in self._by_stage.items():
            spent = getattr(record.latency_ms, stage)
            if spent is not None:
                histogram.observe(spent / 1000)

    def model_failed(self, frame: SourceFrame, error: Exception) -> None:
        """Count a frame on which the little model failed; the first one is logged with its traceback."""
        self._lost.labels("model_failed").inc()
        with self._lock:
            self._model_failures += 1
            first = self._model_failures == 1
        if first:
            LOG.error("the little model failed on frame %d", frame.number, exc_info=error)

    def sampled(self) -> None:
        """Count a frame that is asked of the cloud because nothing was found in it."""
        self._silent.inc()

    def sink_failed(self, sink: str) -> None:
        """Count a result that a sink could not write."""
        self._sinks.labels(sink).inc()
