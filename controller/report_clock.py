"""When a worker took the counters that it reports, by this process's clock.

A report may wait on its way: at the cloud worker while the controller is away, or for a lost connection. If its arrival counted,
the counters of ten seconds could seem to be those of two. So its own clock counts, put into ours by the least that a reading and
its arrival were apart of late: that is how far the clocks are apart, and the quickest way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WINDOW_S: Final = 60.0  # clocks drift apart: what is older than two windows is forgotten
MOST_WORKERS: Final = 10_000


@dataclass(slots=True)
class _Apart:
    began: float
    since: float
    now: float
    before: float


class ReportClocks:
    """The offsets of workers' clocks, by any key; of more than MOST_WORKERS that of the one heard of first is forgotten."""

    def __init__(self, window_s: float = WINDOW_S, most: int = MOST_WORKERS) -> None:
        self._window_s = window_s
        self._most = most
        self._apart: dict[object, _Apart] = {}

    def taken_at(self, worker: object, began: float, at: float, now: float) -> float:
        """Return when it was, by the clock of `now`, that the worker's clock said `at`; never after `now`.

        `began` tells a worker that has been started anew, perhaps on another machine.
        """
        found = self._apart.get(worker)
        gap = now - at
        if found is None or found.began != began:
            found = self._apart[worker] = _Apart(began, now, gap, gap)
            if len(self._apart) > self._most:
                del self._apart[next(iter(self._apart))]
        elif now - found.since >= self._window_s:
            found.since, found.before, found.now = now, found.now, gap
        else:
            found.now = min(found.now, gap)
        return min(at + min(found.now, found.before), now)
