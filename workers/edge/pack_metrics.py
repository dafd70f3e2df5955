"""What hard frames travel as, as Prometheus metrics: read when somebody asks; without JPEGs there are none."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from sedna_py.metrics import names
from workers.edge.figures_collector import FiguresCollector
from workers.edge.packing import PackFigures


class PackCollector(FiguresCollector[PackFigures]):
    """Renders the quality and the size of hard frames."""

    def render(self, figures: PackFigures) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        yield GaugeMetricFamily(
            names.EDGE_JPEG_QUALITY, "Quality of hard frames, as far as the link lets it", figures.quality
        )
        size = GaugeMetricFamily(names.EDGE_SENT_PIXELS, "Size of the last hard frame", labels=["side"])
        size.add_metric(["width"], figures.width)
        size.add_metric(["height"], figures.height)
        yield size
