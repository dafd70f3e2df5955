"""The offline queue's figures as Prometheus metrics: read when somebody asks; without a queue there are none."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sedna_py.metrics import names
from workers.edge.figures_collector import FiguresCollector
from workers.edge.offline_queue.backlog import Loss
from workers.edge.offline_queue.queue import OfflineFigures


class OfflineCollector(FiguresCollector[OfflineFigures]):
    """Renders what waits on disk, and what became of the rest."""

    def render(self, figures: OfflineFigures) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        age = 0.0 if figures.oldest is None else max(time.time() - figures.oldest, 0.0)
        lost = CounterMetricFamily(
            names.EDGE_OFFLINE_LOST, "Frames that were to wait and will not be asked", labels=["cause"]
        )
        for cause in Loss:
            lost.add_metric([cause.value], figures.lost.get(cause, 0))
        yield from (
            GaugeMetricFamily(names.EDGE_OFFLINE_FRAMES, "Frames on disk that wait for the cloud", figures.frames),
            GaugeMetricFamily(names.EDGE_OFFLINE_BYTES, "What they take on the disk", figures.bytes),
            GaugeMetricFamily(names.EDGE_OFFLINE_AGE, "Time since the capture of the oldest of them", age),
            CounterMetricFamily(names.EDGE_OFFLINE_STORED, "Frames written to the disk", figures.stored),
            CounterMetricFamily(names.EDGE_OFFLINE_SENT, "Frames of the disk that the cloud answered", figures.sent),
            lost,
        )
