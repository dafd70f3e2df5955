"""Counts of the last minute, in bins of a second: pure; the time is an argument."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

MINUTE_S: Final = 60.0


@dataclass(slots=True)
class Totals:
    """Frames, hard ones and bytes, of so many seconds: fewer than a minute at the beginning."""

    frames: int = 0
    hard: int = 0
    size: int = 0
    seconds: float = 0.0


class RecentMinute:
    """Adds up what happened in the last 60 s; a second is in it or not as a whole."""

    def __init__(self) -> None:
        self._bins: deque[tuple[int, Totals]] = deque()
        self._sum = Totals()
        self._begun: float | None = None

    def add(self, now: float, *, frames: int = 0, hard: int = 0, size: int = 0) -> None:
        """Count what happened at `now`."""
        if self._begun is None:
            self._begun = now
        second = math.floor(now)
        if not self._bins or self._bins[-1][0] < second:
            self._bins.append((second, Totals()))
        for counted in (self._bins[-1][1], self._sum):
            counted.frames += frames
            counted.hard += hard
            counted.size += size
        self._forget(second)

    def totals(self, now: float) -> Totals:
        """Return the sums of the last minute; they are valid until the next call."""
        self._forget(math.floor(now))
        self._sum.seconds = 0.0 if self._begun is None else min(max(now - self._begun, 0.0), MINUTE_S)
        return self._sum

    def _forget(self, second: int) -> None:
        while self._bins and self._bins[0][0] <= second - MINUTE_S:
            _, old = self._bins.popleft()
            self._sum.frames -= old.frames
            self._sum.hard -= old.hard
            self._sum.size -= old.size
