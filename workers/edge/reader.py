"""Moves frames from the source into the buffer, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time

from sedna_py.errors import SednaError, SourceError
from workers.edge.frames import FrameBuffer, SourceFrame
from workers.edge.sources import FrameSource

LOG = logging.getLogger(__name__)


class FrameReader(threading.Thread):
    """Reads every `stride`-th frame, at most `pace` per second, the source `repeat` times, until `limit` were taken.

    0 means no limit for each of the three.
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
    ) -> None:
        super().__init__(name="frame-reader", daemon=True)
        self._source = source
        self._buffer = buffer
        self._stride = stride
        self._pace = 0.0 if source.live else pace
        self._repeat = 1 if source.live else repeat
        self._limit = limit
        self._taken = 0
        self._stopped = threading.Event()
        self.read = 0
        self.error: SednaError | None = None

    def run(self) -> None:
        """Read until the source ends, fails, or `stop`."""
        try:
            rounds = 0
            while not self._stopped.is_set() and (rounds < self._repeat or not self._repeat):
                before = self.read
                if not self._one_round() or self.read == before:
                    return
                rounds += 1
        except SednaError as error:
            self.error = error
            LOG.error("the source failed: %s", error)
        except Exception as error:
            LOG.exception("reading the source failed")
            self.error = SourceError(f"{self._source.name} cannot be read any more: {error}")
        finally:
            self._source.close()
            self._buffer.end()

    def stop(self) -> None:
        """End the reading; returns at once."""
        self._stopped.set()
        if self._source.live:
            self._source.close()
        self._buffer.stop()

    def _one_round(self) -> bool:
        started = time.monotonic()
        for index, picture in enumerate(self._source):
            self.read += 1
            if index % self._stride:
                continue
            if self._pace:
                due = started + (index // self._stride) / self._pace
                self._stopped.wait(max(due - time.monotonic(), 0))
            frame = SourceFrame(self.read, self._source.name, picture, time.monotonic(), time.time())
            if self._stopped.is_set() or not self._buffer.put(frame):
                return False
            self._taken += 1
            if self._taken == self._limit:
                return False
        return True
