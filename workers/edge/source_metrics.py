"""What became of each source's frames, read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sedna_py.metrics import names
from workers.edge.frames import FrameFigures
from workers.edge.sources import FrameSource


class SourceCollector(Collector):
    """The metrics with a label `source`: as many series as `video_url` names sources. None before `watch`."""

    def __init__(self) -> None:
        self._buffer: FrameFigures | None = None
        self._sources: Sequence[FrameSource] = ()

    def watch(self, buffer: FrameFigures, sources: Sequence[FrameSource]) -> None:
        """Tell of these from now on; the buffer has a lane for each of them."""
        self._buffer, self._sources = buffer, sources

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        frames = CounterMetricFamily(names.EDGE_SOURCE_FRAMES, "Frames of a source, by fate", labels=["source", "fate"])
        up = GaugeMetricFamily(names.EDGE_SOURCE_UP, "Whether a source gives frames", labels=["source"])
        broken = CounterMetricFamily(names.EDGE_SOURCE_BROKEN, "Pictures that could not be read", labels=["source"])
        counts = {} if self._buffer is None else self._buffer.counts()
        for source in self._sources:
            lane = counts[source.name]
            for fate, count in (
                ("processed", lane.got),
                ("handed_out", lane.handed_out),
                ("buffer_full", lane.buffer_full),
                ("too_old", lane.too_old),
                ("shutdown", lane.discarded),
            ):
                frames.add_metric([source.name, fate], count)
            up.add_metric([source.name], float(source.up))
            broken.add_metric([source.name], source.broken)
        yield from (frames, up, broken)
