"""Simulated time: things to do, in order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Clock:
    """Runs what is due, earliest first, and in the order in which it was planned where times are equal."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        """Plan something in so many seconds."""
        self.at(self.now + delay_s, do)

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Plan something at a moment that is not past."""
        heapq.heappush(self._due, (moment, next(self._numbers), do))

    def run(self, until: float) -> None:
        """Do all that is due up to this moment."""
        while self._due and self._due[0][0] <= until:
            self.now, _, do = heapq.heappop(self._due)
            do()
        self.now = until
