"""How much there is to do, summed over time: requests inside, in line, and streams at work. Pure.

A gauge tells of the moment in which it is read. Of these sums two readings give the true mean of the time between them, be it
that nobody looked meanwhile: a burst of 50 ms counts for what it was.
"""

from __future__ import annotations


class LoadMeter:
    """Exact integrals over time, in request-seconds and stream-seconds. For one thread at a time; times are of one clock."""

    __slots__ = ("_busy_s", "_present_s", "_since", "_streams", "_waiting", "_waiting_s", "_working")

    def __init__(self, streams: int = 0) -> None:
        self._streams = streams
        self._since = 0.0
        self._working = self._waiting = 0
        self._present_s = self._waiting_s = self._busy_s = 0.0

    def moved(self, now: float, working: int, waiting: int = 0) -> None:
        """From now on so many requests are in the model and in line."""
        # Called for each request in the cloud: nothing here is a call.
        gap = now - self._since
        self._since = now
        if self._working:
            self._present_s += self._working * gap
            self._busy_s += (self._working if self._working < self._streams else self._streams) * gap
        if self._waiting:
            self._present_s += self._waiting * gap
            self._waiting_s += self._waiting * gap
        self._working = working
        self._waiting = waiting

    def resize(self, now: float, streams: int) -> None:
        """From now on the model has so many streams."""
        self.moved(now, self._working, self._waiting)
        self._streams = streams

    def read(self, now: float) -> tuple[float, float, float]:
        """Return present_s, waiting_s and busy_s until now, as Snapshot has them."""
        self.moved(now, self._working, self._waiting)
        return self._present_s, self._waiting_s, self._busy_s
