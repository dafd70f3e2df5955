"""What the little model has to do with frames, counted for autoscalers; a frame with the cloud is no work for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sedna_py.autoscaling.snapshot import Snapshot
from workers.edge.frames import FrameFigures
from workers.load_meter import LoadMeter
from workers.load_metrics import LatencyCounts


class FrameLoad:
    """Frames between buffer and answer of a model with so many streams; from any thread."""

    def __init__(self, streams: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.streams = streams
        self.done = 0
        self.asked = 0
        self._clock = clock
        self._working = 0
        self._meter = LoadMeter(streams)
        self._lock = threading.Lock()

    def begun(self) -> None:
        """A frame's turn has come."""
        self._move(1)

    def left(self, *, again: bool = False) -> None:
        """A frame is out of the model's hands; `again`: it has been before, and counts once."""
        self._move(-1, done=not again)

    def cloud_asked(self) -> None:
        """The cloud is to be asked about a frame."""
        with self._lock:
            self.asked += 1

    def read(self) -> tuple[float, float]:
        """Return the seconds until now of all frames at the model, and of its streams at work."""
        with self._lock:
            present_s, _, busy_s = self._meter.read(self._clock())
        return present_s, busy_s

    def _move(self, change: int, *, done: bool = False) -> None:
        with self._lock:
            self._working += change
            self.done += done
            self._meter.moved(self._clock(), self._working)


def take_snapshot(figures: FrameFigures, load: FrameLoad, latency: LatencyCounts, began: float) -> Snapshot:
    """Return an edge worker's counters of this moment; `began` is when it began, in seconds since the epoch.

    Replicas that share their sources add up: a frame came to the one whose model got it, or to the one that dropped it.
    """
    backlog, (working_s, busy_s) = figures.backlog(), load.read()
    return Snapshot(
        at=time.monotonic(),
        began=began,
        offered=figures.came,
        done=load.done,
        dropped=figures.dropped + figures.too_old,
        present_s=backlog.waiting_s + working_s,
        waiting_s=backlog.waiting_s,
        busy_s=busy_s,
        streams=load.streams,
        latency=latency.cumulative(),
        hard=load.asked,
        backlog_age_s=backlog.age_s,
    )
