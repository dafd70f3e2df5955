"""Puts the edge worker together from its settings, and runs it."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Iterator

from sedna_py.budgeted_filter import BudgetedFilter
from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.client.local_controller import InferenceCounts, LocalControllerReporter, WorkerIdentity
from workers.cpu_limit import read_cpu_budget
from workers.cpu_metrics import show_cpu
from workers.edge.frames import FrameBuffer
from workers.edge.http import HealthServer
from workers.edge.metrics import EdgeMetrics
from workers.edge.packing import FittedJpeg
from workers.edge.parts import buffer_policy, build_offloader, load_filter, motion_gate, prepare_sinks, send_policy
from workers.edge.pipeline import EdgePipeline, PipelineOptions, frames_inside
from workers.edge.reader import FrameReader
from workers.edge.sources import open_source
from workers.program import load_predictor
from workers.settings import EdgeSettings

LOG = logging.getLogger(__name__)
REPORT_END_S = 5.0  # for the last report to the local controller


class EdgeWorker:
    """One edge worker. What is wrong with its settings is said before the model is loaded, which takes longer."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._metrics = EdgeMetrics()
        self._pipeline: EdgePipeline | None = None
        self._stopped = threading.Event()
        self._filter = load_filter(settings)
        self._reporter = self._make_reporter()
        self._source = open_source(settings.video_url)
        self._sinks = prepare_sinks(settings, self._source)
        self._offloader = build_offloader(settings)

    def run(self) -> None:
        """Load the model and process frames until the source ends or `stop`. Raises SednaError."""
        try:
            with self._health():
                pipeline = self._pipeline = self._build()
                if self._stopped.is_set():
                    pipeline.stop()
                with self._reports():
                    LOG.info("processing %s", self._source.name)
                    pipeline.run()
                LOG.info("done: %d frames, %d of them hard", pipeline.frames, pipeline.hard)
        finally:
            if self._offloader is not None:
                self._offloader.close()

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
        buffer = FrameBuffer(settings.buffer_frames, buffer_policy(settings, self._source), most_out)
        gate = motion_gate(settings)
        reader = FrameReader(
            self._source,
            buffer,
            stride=settings.frame_stride,
            pace=settings.source_pace,
            repeat=settings.source_repeat,
            limit=settings.source_frames,
            look=gate,
        )
        source = self._source
        self._metrics.watch(
            buffer,
            lambda: offloader.pending if offloader else 0,
            lambda: source.outages,
            lambda: gate.passed_over if gate else 0,
        )
        if offloader is not None:
            self._metrics.route.watch(offloader.figures)
            if isinstance(offloader.packer, FittedJpeg):
                self._metrics.pack.watch(offloader.packer.figures)
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
        )
        sinks = [make(predictor.labels) for make in self._sinks]
        return EdgePipeline(reader, predictor, offloader, sinks, options, self._metrics)

    def _not_ready(self) -> str | None:
        if self._stopped.is_set():
            return "the worker is shutting down"
        return "the model is being loaded" if self._pipeline is None else None

    @contextlib.contextmanager
    def _health(self) -> Iterator[None]:
        if not self._settings.http_port:
            yield
            return
        server = HealthServer(self._settings.http_port, self._metrics, self._not_ready)
        try:
            yield
        finally:
            server.close()

    def _make_reporter(self) -> LocalControllerReporter | None:
        settings = self._settings
        if not settings.lc_server:
            return None
        identity = WorkerIdentity(settings.worker_name, settings.namespace, settings.service_name)
        return LocalControllerReporter(settings.lc_server, identity, self._counts, period_s=settings.lc_period_s)

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
