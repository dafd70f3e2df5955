"""What a sink is, and the thread that feeds all of them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from workers.edge.decision import FrameResult

LOG = logging.getLogger(__name__)


class Sink(Protocol):
    """`write` raises OSError if it cannot; the result is then lost to this sink only.

    It gets every answer: `result.record.emit` says which of its frame's it is. The picture of a late one is decoded when it is
    looked at.
    """

    name: str

    def write(self, result: FrameResult) -> None: ...

    def close(self) -> None: ...


class SinkWriter(threading.Thread):
    """Writes results to every sink, in the order in which they are handed in.

    The queue is bounded by its user: the pipeline lets only so many frames in before `written` has been called for older ones.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        written: Callable[[FrameResult], None],
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(name="sinks", daemon=True)
        self._sinks = sinks
        self._written = written
        self._failed = failed
        self._queue: queue.SimpleQueue[FrameResult | None] = queue.SimpleQueue()
        self._broken: set[str] = set()

    def put(self, result: FrameResult) -> None:
        """Hand a result over; never waits."""
        self._queue.put(result)

    def finish(self, timeout: float) -> None:
        """Write what is queued, close the sinks, end the thread."""
        self._queue.put(None)
        self.join(timeout)

    def run(self) -> None:
        """Write until `finish`."""
        while (result := self._queue.get()) is not None:
            for sink in self._sinks:
                self._write(sink, result)
            self._written(result)
            result = None  # what waits for the next one must not hold this one's picture
        for sink in self._sinks:
            try:
                sink.close()
            except BaseException as error:  # noqa: BLE001 - as in `_write`
                self._failed(sink.name)
                LOG.error("sink %s could not be closed properly: %s: %s", sink.name, type(error).__name__, error)

    def _write(self, sink: Sink, result: FrameResult) -> None:
        try:
            sink.write(result)
        except BaseException as error:  # noqa: BLE001 - if this thread died, every frame inside would wait for it for ever
            self._note_failure(sink, error)
        else:
            if sink.name in self._broken:
                self._broken.discard(sink.name)
                LOG.info("sink %s can write again", sink.name)

    def _note_failure(self, sink: Sink, error: BaseException) -> None:
        self._failed(sink.name)
        if sink.name in self._broken:  # a full disk fails with every frame; one line is enough
            return
        self._broken.add(sink.name)
        unexpected = None if isinstance(error, OSError) else error
        LOG.error(
            "sink %s cannot write: %s; results are lost to it until it can", sink.name, error, exc_info=unexpected
        )
