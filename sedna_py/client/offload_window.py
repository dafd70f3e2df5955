"""How many frames may be on their way to the cloud: pure; the time is an argument.

Slow start, then additive increase and multiplicative decrease (Jacobson, 1988), as TCP does it. A cloud that is slower than
the frames come would else be handed so many that each misses its deadline while it waits for the others, and none is answered.
"""

from __future__ import annotations

START = 2


class OffloadWindow:
    """From 1 to `most` places, `start` at first.

    An answer in half the deadline widens it: by a place until the first miss, later by a place a round trip. A miss halves it.
    """

    def __init__(self, most: int, start: int = START) -> None:
        self._most = most
        self._size = float(min(start, most))
        self._slow_start = True
        self._cut_at = float("-inf")

    @property
    def places(self) -> int:
        """How many frames may be on their way now."""
        return int(self._size)

    def answered(self, took_s: float, deadline_s: float) -> None:
        """Note an answer that took so long from the decision until the reply."""
        if took_s <= deadline_s / 2:
            self._size = min(self._size + (1 if self._slow_start else 1 / self._size), float(self._most))

    def missed(self, started: float, now: float) -> None:
        """Note a frame, started then, for which the cloud had no time.

        Frames that were on their way already when the window was last cut tell nothing new: one jam is one cut.
        """
        if started > self._cut_at:
            self._size = max(self._size / 2, 1.0)
            self._slow_start = False
            self._cut_at = now
