"""A sink for each source, where one for all would mix their frames up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from workers.edge.decision import FrameResult
from workers.edge.sinks.base import Sink


class PerSource:
    """Makes a source's own sink with its first frame, when its rate is known, and hands it what is that source's."""

    def __init__(self, name: str, make: Callable[[str], Sink]) -> None:
        self.name = name
        self._make = make
        self._sinks: dict[str, Sink] = {}

    def write(self, result: FrameResult) -> None:
        """Write to the sink of the frame's source. Raises OSError."""
        source = result.frame.source
        if source not in self._sinks:
            self._sinks[source] = self._make(source)
        self._sinks[source].write(result)

    def close(self) -> None:
        """Close all of them, also after one that cannot be closed. Raises OSError."""
        with contextlib.ExitStack() as closing:
            for sink in self._sinks.values():
                closing.callback(sink.close)
