"""Puts the edge worker together from its settings, and runs it."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from sedna_py.budgeted_filter import BudgetedFilter
from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.client.local_controller import InferenceCounts, LocalControllerReporter, SignalSource, WorkerIdentity
from workers.cpu_limit import read_cpu_budget
from workers.cpu_metrics import show_cpu
from workers.edge.frame_load import take_snapshot
from workers.edge.frames import BufferPolicy, FrameBuffer, FrameFigures
from workers.edge.http import HealthServer
from workers.edge.metrics import EdgeMetrics
from workers.edge.motion import MotionGate
from workers.edge.packing import FittedJpeg
from workers.edge.parts import (
    build_offline_queue,
    build_offloader,
    lane_rules,
    load_filter,
    motion_gate,
    prepare_sinks,
    push_sources,
    send_policy,
)
from workers.edge.pipeline import EdgePipeline, PipelineOptions, frames_inside
from workers.edge.push_routes import PushLimits, push_routes
from workers.edge.reader import NOWHERE, Reader, SourceReaders
from workers.edge.sharing.capture import Capture
from workers.edge.sharing.exchange import Place
from workers.edge.sharing.figures import SharedFigures
from workers.edge.sharing.joining import join
from workers.edge.sharing.shared_reader import Role, SharedReader
from workers.edge.sources import FrameSource, open_sources
from workers.program import load_predictor
from workers.settings import EdgeSettings

LOG = logging.getLogger(__name__)
REPORT_END_S = 5.0  # for the last report to the local controller


class EdgeWorker:
    """One edge worker. What is wrong with its settings is said before the model is loaded, which takes longer."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._metrics = EdgeMetrics()
        self._began_at = time.time()
        self._pipeline: EdgePipeline | None = None
        self._stopped = threading.Event()
        self._filter = load_filter(settings)
        self._reporter = self._make_reporter()
        self._outages_before = 0
        self._gates: list[MotionGate] = []  # those of an earlier turn at capturing, too: their counts go on
        self._exchange = join(settings)
        self._sources = self._open_sources()
        self._lanes = lane_rules(settings, self._sources)
        self._pushed = push_sources(settings, self._sources)
        self._shared = self._share()
        self._begun = False
        self._sinks = prepare_sinks(settings, self._sources)
        self._offloader = build_offloader(settings)
        self._offline = build_offline_queue(settings, self._offloader)

    def run(self) -> None:
        """Load the model and process frames until the source ends or `stop`. Raises SednaError."""
        try:
            if self._shared is not None:
                self._shared.prepare()
            with self._health():
                pipeline = self._pipeline = self._build()
                if self._stopped.is_set():
                    pipeline.stop()
                with self._reports():
                    LOG.info("processing %s", ", ".join(source.name for source in self._sources))
                    pipeline.run()
                LOG.info("done: %d frames, %d of them hard", pipeline.frames, pipeline.hard)
                if self._shared is not None:
                    LOG.info("%s", SharedFigures(self._shared).summary())
        finally:
            if self._offloader is not None:
                self._offloader.close()
            if self._offline is not None:
                self._offline.close()
            if self._shared is not None:
                self._shared.abandon()

    def stop(self) -> None:
        """Take no more frames; `run` returns when those inside have left."""
        self._stopped.set()
        if self._pipeline is not None:
            self._pipeline.stop()

    def _build(self) -> EdgePipeline:
        settings, offloader = self._settings, self._offloader
        cpu = read_cpu_budget(settings.threads)
        show_cpu(self._metrics.registry, cpu)
        predictor = load_predictor(settings, cpu)
        most_out = frames_inside(predictor, settings.offload_in_flight + settings.offload_waiting)
        reader, figures = self._reader(most_out)
        self._metrics.watch(figures, lambda: offloader.pending if offloader else 0, self._outages, self._passed_over)
        self._metrics.sources.watch(figures, self._sources)
        if offloader is not None:
            self._metrics.route.watch(offloader.figures)
            if isinstance(offloader.packer, FittedJpeg):
                self._metrics.pack.watch(offloader.packer.figures)
        if self._offline is not None:
            self._metrics.offline.watch(self._offline.figures)
        budget = self._filter if isinstance(self._filter, BudgetedFilter) else None
        if budget is not None:
            self._metrics.budget.watch(budget.figures)
        options = PipelineOptions(
            filter=self._filter,
            filter_name=settings.hem_name or "",
            mine_first=settings.mining_mode == "mining-then-inference",
            display_threshold=settings.display_threshold,
            deadline_s=settings.offload_deadline_ms / 1000,
            budget=budget,
            policy=send_policy(settings),
            run=secrets.token_hex(4),
            edge_first=settings.emit == "edge-first",
        )
        sinks = [make(predictor.labels) for make in self._sinks]
        self._metrics.sinks.watch(sinks)
        pipeline = EdgePipeline(reader, predictor, offloader, sinks, options, self._metrics, self._offline)
        latency = self._metrics.load.latency
        self._metrics.load.watch(lambda: take_snapshot(figures, pipeline.load, latency, self._began_at))
        return pipeline

    def _reader(self, most_out: int) -> tuple[Reader, FrameFigures]:
        """Return what fills the pipeline's buffer, and the counters of what came."""
        if self._shared is None:
            readers = self._read(self._sources, most_out, NOWHERE)
            return readers, readers.buffer
        self._shared.bound(most_out)
        self._metrics.sharing.watch(self._shared)
        return self._shared, SharedFigures(self._shared)

    def _read(self, sources: Sequence[FrameSource], most_out: int, start: Mapping[str, Place]) -> SourceReaders:
        settings = self._settings
        return SourceReaders(
            sources,
            FrameBuffer(settings.buffer_frames, BufferPolicy.WAIT, most_out, self._lanes),
            stride=settings.frame_stride,
            pace=settings.source_pace,
            repeat=settings.source_repeat,
            limit=settings.source_frames,
            start=start,
            look=self._make_gate,
        )

    def _make_gate(self) -> MotionGate | None:
        gate = motion_gate(self._settings)
        if gate is not None:
            self._gates.append(gate)
        return gate

    def _passed_over(self) -> int:
        return sum(gate.passed_over for gate in self._gates)

    def _outages(self) -> int:
        return self._outages_before + sum(source.outages for source in self._sources)

    def _open_sources(self) -> list[FrameSource]:
        return open_sources(self._settings.video_url, cameras_now=self._exchange is None)

    def _share(self) -> SharedReader | None:
        exchange = self._exchange
        if exchange is None:
            return None
        names = [source.name for source in self._sources]
        opened = [self._sources]

        def capture(places: Mapping[str, Place]) -> Capture:
            # Those that were opened to see whether they are there, in the first turn; a source is read but once.
            sources = opened.pop() if opened else self._open_sources()
            if sources is not self._sources:
                self._outages_before += sum(source.outages for source in self._sources)
                self._sources[:] = sources
            return Capture(self._read(sources, 1, places), names)

        return SharedReader(exchange, capture, names)

    def _not_ready(self) -> str | None:
        if self._stopped.is_set():
            return "the worker is shutting down"
        if self._pipeline is None:
            return "the model is being loaded"
        taking = self._shared is not None and self._shared.role is Role.TAKER
        self._begun = self._begun or taking or any(source.up for source in self._sources)
        if not self._begun:
            return f"no source gives frames yet; trying again: {', '.join(source.name for source in self._sources)}"
        return None

    @contextlib.contextmanager
    def _health(self) -> Iterator[None]:
        if not self._settings.http_port:
            yield
            return
        settings = self._settings
        pushed = push_routes(self._pushed, PushLimits(settings.max_body_bytes, settings.max_image_pixels))
        server = HealthServer(settings.http_port, self._metrics, self._not_ready, pushed)
        try:
            yield
        finally:
            server.close()

    def _make_reporter(self) -> LocalControllerReporter | None:
        settings = self._settings
        if not settings.lc_server:
            return None
        identity = WorkerIdentity(settings.worker_name, settings.namespace, settings.service_name)
        signals = SignalSource(lambda: self._metrics.load.read(), settings.signal_period_s)
        return LocalControllerReporter(
            settings.lc_server, identity, self._counts, period_s=settings.lc_period_s, signals=signals
        )

    def _counts(self) -> InferenceCounts:
        pipeline = self._pipeline
        if pipeline is None:
            return InferenceCounts()
        # Upstream counts a hard frame twice in this mode.
        again = pipeline.hard if self._settings.mining_mode == "inference-then-mining" else 0
        return InferenceCounts(pipeline.frames + again, pipeline.hard)

    @contextlib.contextmanager
    def _reports(self) -> Iterator[None]:
        if self._reporter is None:
            yield
            return
        loop = BackgroundLoop("reports")
        loop.submit(self._reporter.run())
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):  # reports are a courtesy
                loop.run(self._reporter.stop(), timeout_s=REPORT_END_S)
            loop.close()
