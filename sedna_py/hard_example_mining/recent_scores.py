"""The scores of the last minute, in order of size: pure; the time is an argument."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from typing import Final

from sedna_py.hard_example_mining.recent_minute import MINUTE_S

# With fewer the quantile's error is above 3 % of the frames; more are not needed, and each costs a place in a sorted list.
FEWEST: Final = 256
MOST: Final = 4096


class RecentScores:
    """The empirical quantile of a minute's frames, and of FEWEST frames at least; a frame without a score is above them all."""

    def __init__(self) -> None:
        self._order: deque[tuple[float, float | None]] = deque()
        self._sorted: list[float] = []

    def add(self, score: float | None, now: float) -> None:
        """Note a frame's score, and forget those of more than a minute ago."""
        self._order.append((now, score))
        if score is not None:
            insort(self._sorted, score)
        while len(self._order) > MOST or (len(self._order) > FEWEST and self._order[0][0] < now - MINUTE_S):
            _, old = self._order.popleft()
            if old is not None:
                del self._sorted[bisect_left(self._sorted, old)]

    def quantile(self, share: float) -> float:
        """Return the score below which this share of the frames lies; the highest where they have no such score."""
        return self._sorted[min(int(share * len(self._order)), len(self._sorted) - 1)]

    def part_within(self, score: float, share: float) -> float:
        """Return how much of the frames with just this score belongs to the lowest `share` of all frames: 0 to 1."""
        below, up_to = bisect_left(self._sorted, score), bisect_right(self._sorted, score)
        return min(max((share * len(self._order) - below) / (up_to - below), 0.0), 1.0)
