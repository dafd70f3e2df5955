"""What became of the results that sinks send away, as Prometheus metrics: read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sedna_py.metrics import names
from workers.edge.sinks.outbox import CountingSink


class SinkCollector(Collector):
    """Renders the figures of the sinks that keep some; the others write at once, and are counted where they fail."""

    def __init__(self) -> None:
        self._sinks: tuple[CountingSink, ...] = ()

    def watch(self, sinks: Iterable[object]) -> None:
        """Render these sinks' figures from now on."""
        self._sinks = tuple(sink for sink in sinks if isinstance(sink, CountingSink))

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        if not self._sinks:
            return
        sent = CounterMetricFamily(names.EDGE_SINK_SENT, "Results that a receiver has confirmed", labels=["sink"])
        skipped = CounterMetricFamily(names.EDGE_SINK_SKIPPED, "Results that the settings leave out", labels=["sink"])
        lost = CounterMetricFamily(names.EDGE_SINK_LOST, "Results that no receiver got", labels=["sink", "cause"])
        failures = CounterMetricFamily(names.EDGE_SINK_FAILURES, "Tries that failed", labels=["sink", "cause"])
        waiting = GaugeMetricFamily(names.EDGE_SINK_WAITING, "Results that wait, or are on their way", labels=["sink"])
        connected = GaugeMetricFamily(names.EDGE_SINK_CONNECTED, "1 while there is a connection", labels=["sink"])
        for sink in self._sinks:
            figures = sink.figures()
            sent.add_metric([sink.name], figures.sent)
            skipped.add_metric([sink.name], figures.skipped)
            waiting.add_metric([sink.name], figures.waiting)
            for cause, count in figures.lost.items():
                lost.add_metric([sink.name, cause], count)
            for cause, count in figures.failures.items():
                failures.add_metric([sink.name, cause], count)
            if figures.connected is not None:
                connected.add_metric([sink.name], figures.connected)
        yield from (sent, skipped, lost, failures, waiting, connected)
