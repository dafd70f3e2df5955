"""Moves frames from the sources into the buffer, each source in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sedna_py.errors import SednaError, SourceError
from sedna_py.estimator import Frame
from workers.edge.frames import FrameBuffer, SourceFrame
from workers.edge.motion import Look
from workers.edge.sharing.exchange import BEGINNING, Place
from workers.edge.sources import FrameSource

LookAt = Callable[[Frame, float], Look]
NOWHERE: Mapping[str, Place] = {}
LOG = logging.getLogger(__name__)
STOP_S = 6.0  # a network stream's read gives up after 5 s; frames that were read get as long to be looked at


class Reader(Protocol):
    """What fills a buffer and ends it; `error` is what it failed with, if it did."""

    buffer: FrameBuffer

    @property
    def error(self) -> SednaError | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout: float) -> None: ...


class FrameReader(threading.Thread):
    """Reads the source `repeat` times, at `pace` frames per second, takes every `stride`-th frame, until `limit` were taken.

    0 means no limit for each of repeat, pace and limit. A live source has its own pace and no second round. `ended` is called
    when no more frames will come, instead of the buffer's `end`. `start` is how far the source has been read before, by somebody
    else: what comes next is read, with the numbers that follow. A picture that `look` (given
    the picture and the time) does not want is not taken.
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
        ended: Callable[[], None] | None = None,
        start: Place = BEGINNING,
        look: LookAt | None = None,
    ) -> None:
        super().__init__(name="frame-reader", daemon=True)
        self.buffer = buffer
        self._source = source
        self._stride = stride
        self._pace = 0.0 if source.live else pace
        self._repeat = 1 if source.live else repeat
        self._limit = limit
        self._ended = ended or buffer.end
        self._look = look
        self._stopped = threading.Event()
        self.place = start
        self.read = start.number
        self.taken = start.taken
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
            self._ended()
            self._source.close()

    def stop(self) -> None:
        """End the reading; returns at once. Frames that were read already still leave the buffer, for STOP_S seconds."""
        self._stopped.set()
        if self._source.endless:
            self._source.close()
        self.buffer.stop(STOP_S)

    def _all_rounds(self) -> None:
        if self._limit and self.taken >= self._limit:
            return
        rounds = self.place.lap
        while not self._stopped.is_set() and (rounds < self._repeat or not self._repeat):
            before = self.read
            first = self.place.index + 1 if rounds == self.place.lap and not self._source.endless else 0
            if not self._one_round(rounds, first) or (self.read == before and not first):
                return
            rounds += 1

    def _one_round(self, lap: int, first: int) -> bool:
        started = time.monotonic()
        for index, picture in enumerate(self._source):
            if self._stopped.is_set():
                return False
            if index < first:  # handed out by another capturer
                started = time.monotonic()
                continue
            self.read += 1
            if index % self._stride:
                continue
            if self._pace:
                self._stopped.wait(max(due_in(index - first, self._pace, time.monotonic() - started), 0))
            look = self._look(picture, time.monotonic()) if self._look else None
            if look is not None and not look.wanted:
                continue
            self.taken += 1
            frame = self._frame(picture, lap, index)
            frame.moved = look.moved if look else None
            self.place = Place.of(frame)
            if not self.buffer.put(frame) or self.taken == self._limit:
                return False
        return True

    def _frame(self, picture: Frame, lap: int, index: int) -> SourceFrame:
        now, now_at = time.monotonic(), time.time()
        captured_at = min(self._source.captured_at or now_at, now_at)  # another machine's clock may be ahead
        captured = now - (now_at - captured_at)
        return SourceFrame(
            self.read,
            self._source.name,
            picture,
            captured,
            captured_at,
            lap=lap,
            index=index,
            ordinal=self.taken,
        )


class SourceReaders:
    """One reader a source, into one buffer, which ends when the last of them has; what befalls one source is its own.

    `look` makes what each of them looks at its pictures with.
    """

    def __init__(
        self,
        sources: Sequence[FrameSource],
        buffer: FrameBuffer,
        *,
        stride: int = 1,
        pace: float = 0,
        repeat: int = 1,
        limit: int = 0,
        start: Mapping[str, Place] = NOWHERE,
        look: Callable[[], LookAt | None] = lambda: None,
    ) -> None:
        self.buffer = buffer
        self._sources = sources
        self._left = len(sources)
        self._lock = threading.Lock()
        self._readers = [
            FrameReader(
                source,
                buffer,
                stride=stride,
                pace=pace,
                repeat=repeat,
                limit=limit,
                ended=self._one_has_ended,
                start=start.get(source.name, BEGINNING),
                look=look(),
            )
            for source in sources
        ]

    @property
    def error(self) -> SednaError | None:
        """What the only source failed with, or one error that tells of all that did; None if none did."""
        errors = [reader.error for reader in self._readers if reader.error is not None]
        if len(self._readers) == 1 or not errors:
            return errors[0] if errors else None
        said = "; ".join(str(error) for error in errors)
        return SourceError(f"{len(errors)} of {len(self._readers)} sources failed: {said}")

    def start(self) -> None:
        """Start every reader."""
        for reader in self._readers:
            reader.start()

    def stop(self) -> None:
        """End the reading; returns at once, as FrameReader's does."""
        for reader in self._readers:
            reader.stop()

    def places(self) -> dict[str, Place]:
        """Return how far each source has been read."""
        return {source.name: reader.place for source, reader in zip(self._sources, self._readers, strict=True)}

    def join(self, timeout: float) -> None:
        """Wait for the readers' ends, at most `timeout` seconds for all of them."""
        until = time.monotonic() + timeout
        for reader in self._readers:
            reader.join(max(until - time.monotonic(), 0.0))

    def _one_has_ended(self) -> None:
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            self.buffer.end()


def due_in(index: int, pace: float, elapsed_s: float) -> float:
    """Return in how many seconds the source's frame `index` (from 0) is due at `pace` frames per second; negative: it is late."""
    return index / pace - elapsed_s
