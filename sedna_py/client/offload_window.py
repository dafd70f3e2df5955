"""How many frames may be on their way to the cloud: pure; the time is an argument.

Slow start, then additive increase and multiplicative decrease (Jacobson, 1988), as TCP does it. A cloud that is slower than
the frames come would else be handed so many that each misses its deadline while it waits for the others, and none is answered.
"""

from __future__ import annotations

from typing import Final

from sedna_py.protocol.causes import OffloadCause

START: Final = 2
QUICK: Final = 1 / 2  # of the deadline: an answer that says that there is room for another frame
IN_TIME: Final = 0.9  # of the deadline: what an answer may take once that other frame is in the cloud's line, too
TOO_MUCH: Final = frozenset({OffloadCause.DEADLINE_EXCEEDED, OffloadCause.OVERLOADED})  # causes that are a miss


class OffloadWindow:
    """From 1 to `most` places, `start` at first.

    An answer in half the deadline widens it: by a place until the first miss, later by a place a round trip. A miss halves it.
    Where one place more would make a cloud that answers one frame after the other miss the deadline, it stays as it is: a model
    of nearly half the deadline answers one at a time in time, and of two every second one for nothing.
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
        longer_s = took_s * (self.places + 1) / self.places
        if took_s <= QUICK * deadline_s and longer_s <= IN_TIME * deadline_s:
            self._size = min(self._size + (1 if self._slow_start else 1 / self._size), float(self._most))

    def missed(self, started: float, now: float) -> None:
        """Note a frame, started then, for which the cloud had no time.

        Frames that were on their way already when the window was last cut tell nothing new: one jam is one cut.
        """
        if started > self._cut_at:
            self._size = max(self._size / 2, 1.0)
            self._slow_start = False
            self._cut_at = now
