"""One turn as capturer: the sources, read into a bounded fair buffer that is handed out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sedna_py.errors import SednaError
from workers.edge.frames import FrameBuffer, SourceFrame
from workers.edge.sharing.exchange import Place


class Feed(Protocol):
    """What reads the sources into `buffer` (reader.FrameReader)."""

    buffer: FrameBuffer

    @property
    def error(self) -> SednaError | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def places(self) -> dict[str, Place]: ...


class Capture:
    """Reads once somebody wants frames: opened sources alone lose nothing while a model is being loaded."""

    def __init__(self, feed: Feed, sources: Sequence[str]) -> None:
        self.sources = sources
        self.feed = feed
        self._begun = False
        self._stopped = False

    def begin(self) -> None:
        """Start reading, if that has not begun and nobody has stopped it."""
        if not self._begun and not self._stopped:
            self._begun = True
            self.feed.start()

    def next(self, timeout_s: float) -> SourceFrame | None:
        """Return the next frame, None when there is none in time."""
        return self.feed.buffer.hand_out(timeout_s)

    def stop(self) -> None:
        """Read no more; what was read is still handed out, for as long as FrameReader.stop says."""
        self._stopped = True
        self.feed.stop()

    def give_up(self) -> None:
        """Read no more, and count what was read and not handed out as discarded."""
        self.stop()
        self.feed.buffer.close()

    @property
    def finished(self) -> bool:
        """Whether no frame waits and none will come."""
        return self.feed.buffer.exhausted if self._begun else self._stopped

    @property
    def complete(self) -> bool:
        """Whether the sources have ended by themselves, every frame of them handed out or dropped."""
        return self.finished and not self._stopped and self.feed.error is None

    def passed_over(self) -> dict[str, Place]:
        """Return how far the sources were read where frames have been given up at the end: those are not read again."""
        return self.feed.places() if self.feed.buffer.discarded else {}
