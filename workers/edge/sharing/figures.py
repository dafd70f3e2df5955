"""The counters of a worker that shares its sources: of the buffers that it captured into, and of its own behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sedna_py.metrics import names
from workers.edge.frames import Backlog, FrameBuffer, LaneCounts
from workers.edge.sharing.shared_reader import Role, SharedReader

ALONE = "alone"


class SharedFigures:
    """The counters of FrameBuffer, summed over all turns as capturer; a frame that was only taken was not read here."""

    def __init__(self, reader: SharedReader) -> None:
        self._reader = reader

    @property
    def taken_in(self) -> int:
        """How many frames were read here."""
        return self._sum(lambda buffer: buffer.taken_in)

    @property
    def came(self) -> int:
        """How many frames came to this replica's model, or were dropped here before any got them: over replicas these add up."""
        return self._reader.buffer.taken_in + self.dropped + self.too_old

    @property
    def dropped(self) -> int:
        """How many frames gave way to a newer one."""
        return self._sum(lambda buffer: buffer.dropped)

    @property
    def too_old(self) -> int:
        """How many frames were dropped for their age."""
        return self._sum(lambda buffer: buffer.too_old)

    @property
    def discarded(self) -> int:
        """How many frames were left when it was too late for any, read here or taken."""
        at_the_end = self._reader.exchange.handed_out.unsent + self._reader.buffer.discarded
        return self._sum(lambda buffer: buffer.discarded) + at_the_end

    @property
    def lost(self) -> int:
        """How many frames were with a replica that has died."""
        return self._reader.exchange.handed_out.lost

    def counts(self) -> dict[str, LaneCounts]:
        """Return the counters by source: read here, and processed here, whoever read them."""
        found: dict[str, LaneCounts] = {}
        for buffer in self._buffers():
            for source, lane in buffer.counts().items():
                own = found.setdefault(source, LaneCounts())
                own.taken_in += lane.taken_in
                own.handed_out += lane.handed_out
                own.buffer_full += lane.buffer_full
                own.too_old += lane.too_old
                own.discarded += lane.discarded
        for source in self._reader.sources:
            found.setdefault(source, LaneCounts()).got = self._reader.buffer.processed(source)
        return found

    def backlog(self) -> Backlog:
        """Return how long frames have waited here, for whoever gets them."""
        found = [buffer.backlog() for buffer in (*self._buffers(), self._reader.buffer)]
        return Backlog(sum(one.waiting_s for one in found), max(one.age_s for one in found))

    def summary(self) -> str:
        """Return one line that tells where the frames that were read here went."""
        counts = self._reader.exchange.handed_out
        return (
            f"shared: {self.taken_in} frames read here, {counts.itself} handed to itself, {counts.others} to others,"
            f" {counts.queue} to the queue, {self.dropped} gave way to newer ones, {self.too_old} were too old,"
            f" {self.discarded} left at the end, {self.lost} were with replicas that died"
        )

    def __len__(self) -> int:
        return sum(len(buffer) for buffer in self._buffers()[-1:]) + len(self._reader.buffer)

    def _buffers(self) -> Sequence[FrameBuffer]:
        return [capture.feed.buffer for capture in self._reader.captures]

    def _sum(self, of: Callable[[FrameBuffer], int]) -> int:
        return sum(of(buffer) for buffer in self._buffers())


class SharingCollector(Collector):
    """The role of this replica, and who got the frames that it captured. Until `watch` it is alone."""

    def __init__(self) -> None:
        self._reader: SharedReader | None = None

    def watch(self, reader: SharedReader) -> None:
        """Tell of this reader from now on."""
        self._reader = reader

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        now = ALONE if self._reader is None else self._reader.role.value
        role = GaugeMetricFamily(names.EDGE_SHARING_ROLE, "1 for what this replica does for others", labels=["role"])
        for name in (ALONE, *Role):
            role.add_metric([str(name)], name == now)
        yield role
        if self._reader is None:
            return
        counts = self._reader.exchange.handed_out
        handed = CounterMetricFamily(
            names.EDGE_FRAMES_HANDED_OUT, "Frames captured here, by who got them", labels=["to"]
        )
        for to, count in (("itself", counts.itself), ("others", counts.others), ("queue", counts.queue)):
            handed.add_metric([to], count)
        yield handed
