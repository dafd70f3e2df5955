"""What hard frames travel as, as Prometheus metrics: read when somebody asks; without JPEGs there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sedna_py.metrics import names
from workers.edge.packing import PackFigures

Read = Callable[[], PackFigures]


class PackCollector(Collector):
    """Renders the figures that `read` returns; until `watch` there are none."""

    def __init__(self) -> None:
        self._read: Read | None = None

    def watch(self, read: Read) -> None:
        """Render what `read` returns from now on."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        if self._read is None:
            return
        figures = self._read()
        yield GaugeMetricFamily(
            names.EDGE_JPEG_QUALITY, "Quality of hard frames, as far as the link lets it", figures.quality
        )
        size = GaugeMetricFamily(names.EDGE_SENT_PIXELS, "Size of the last hard frame", labels=["side"])
        size.add_metric(["width"], figures.width)
        size.add_metric(["height"], figures.height)
        yield size
