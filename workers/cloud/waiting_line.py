"""Who waits for the model, and who is next: two classes, a bounded number of places. Pure.

Urgent requests (somebody looks at the answer) go before background ones (audits, batches), but not for ever: while both wait,
every tenth turn belongs to the background, and a tenth of the places. It is weighted round robin with weights of nine to one.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")
URGENT_TURNS: Final = 9  # for one of the background
_PLACES_FOR_ONE: Final = 4  # the fewest of which the background has one to itself


class WaitingLine(Generic[T]):
    """At most `places` requests, first come first served within their class."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._share = max(places // (URGENT_TURNS + 1), 1) if places >= _PLACES_FOR_ONE else 0
        self._urgent: deque[T] = deque()
        self._background: deque[T] = deque()
        self._turns = 0  # of urgent ones while the background waited

    def __len__(self) -> int:
        return len(self._urgent) + len(self._background)

    def takes(self, *, urgent: bool) -> bool:
        """Return whether there is a place for one more of this class, be it another's."""
        return len(self) < self._places or self._yields(urgent)

    def push(self, item: T, *, urgent: bool) -> T | None:
        """Put one in at the end of its class; it `takes` one. Returns who lost its place for it: the youngest of the others."""
        loser = None
        if len(self) >= self._places:
            loser = (self._background if urgent else self._urgent).pop()
        (self._urgent if urgent else self._background).append(item)
        return loser

    def pop(self) -> T:
        """Take out who is next. Raises IndexError if nobody waits."""
        if self._urgent and (not self._background or self._turns < URGENT_TURNS):
            self._turns = self._turns + 1 if self._background else 0
            return self._urgent.popleft()
        self._turns = 0
        return self._background.popleft()

    def remove(self, item: T) -> bool:
        """Take out one that gave up; return whether it was still there."""
        for waiting in (self._urgent, self._background):
            if item in waiting:
                waiting.remove(item)
                return True
        return False

    def _yields(self, urgent: bool) -> bool:
        """Return whether the other class has places that belong to this one."""
        if urgent:
            return len(self._background) > self._share
        return len(self._background) < self._share and bool(self._urgent)
