"""Moves frames from the source into the buffer, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sedna_py.errors import SednaError, SourceError
from sedna_py.estimator import Frame
from workers.edge.frames import FrameBuffer, SourceFrame
from workers.edge.motion import Look
from workers.edge.sources import FrameSource

LOG = logging.getLogger(__name__)
STOP_S = 6.0  # a network stream's read gives up after 5 s; frames that were read get as long to be looked at


class FrameReader(threading.Thread):
    """Reads the source `repeat` times, at `pace` frames per second, takes every `stride`-th frame, until `limit` were taken.

    0 means no limit for each of repeat, pace and limit. A live source has its own pace and no second round. A picture that `look`
    (given the picture and when it was captured) does not want is not taken.
    """

    def __init__(
        self,
        source: FrameSource,
        buffer: FrameBuffer,
        *,
        stride: int = 1,
        pace: float = 0,
        repeat: int = 1,
        limit: int = 0,
        look: Callable[[Frame, float], Look] | None = None,
    ) -> None:
        super().__init__(name="frame-reader", daemon=True)
        self.buffer = buffer
        self._source = source
        self._stride = stride
        self._pace = 0.0 if source.live else pace
        self._repeat = 1 if source.live else repeat
        self._limit = limit
        self._look = look
        self._stopped = threading.Event()
        self.read = 0
        self.error: SednaError | None = None

    def run(self) -> None:
        """Read until the source ends, fails, or `stop`."""
        try:
            self._all_rounds()
        except SednaError as error:
            self.error = error
            LOG.error("the source failed: %s", error)
        except BaseException as error:  # a thread has nobody to raise to; the pipeline does it at its end
            LOG.error("reading the source failed", exc_info=error)
            self.error = SourceError(f"{self._source.name} cannot be read any more: {type(error).__name__}: {error}")
        finally:
            self.buffer.end()
            self._source.close()

    def stop(self) -> None:
        """End the reading; returns at once. Frames that were read already still leave the buffer, for STOP_S seconds."""
        self._stopped.set()
        if self._source.live:
            self._source.close()
        self.buffer.stop(STOP_S)

    def _all_rounds(self) -> None:
        rounds = 0
        while not self._stopped.is_set() and (rounds < self._repeat or not self._repeat):
            before = self.read
            if not self._one_round() or self.read == before:
                return
            rounds += 1

    def _one_round(self) -> bool:
        started = time.monotonic()
        for index, picture in enumerate(self._source):
            if self._stopped.is_set():
                return False
            self.read += 1
            if index % self._stride:
                continue
            if self._pace:
                self._stopped.wait(max(due_in(index, self._pace, time.monotonic() - started), 0))
            captured = time.monotonic()
            look = self._look(picture, captured) if self._look else None
            if look is not None and not look.wanted:
                continue
            moved = look.moved if look else None
            frame = SourceFrame(self.read, self._source.name, picture, captured, time.time(), moved=moved)
            if not self.buffer.put(frame) or self.buffer.taken_in == self._limit:
                return False
        return True


def due_in(index: int, pace: float, elapsed_s: float) -> float:
    """Return in how many seconds the source's frame `index` (from 0) is due at `pace` frames per second; negative: it is late."""
    return index / pace - elapsed_s
