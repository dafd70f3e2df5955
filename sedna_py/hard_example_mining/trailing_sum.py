"""A sum over the last so many seconds, to the frame: pure; the time is an argument."""

from __future__ import annotations

from collections import deque


class TrailingSum:
    """Adds up amounts; each is left out again once more than `seconds` have passed since."""

    def __init__(self, seconds: float) -> None:
        self.value = 0.0
        self._seconds = seconds
        self._amounts: deque[tuple[float, float]] = deque()

    def add(self, amount: float, now: float) -> None:
        """Add what happened at `now`, which never falls."""
        self._amounts.append((now, amount))
        self.value += amount

    def forget(self, now: float) -> None:
        """Leave out what is too old at `now`."""
        while self._amounts and self._amounts[0][0] < now - self._seconds:
            self.value -= self._amounts.popleft()[1]
        if not self._amounts:
            self.value = 0.0  # what rounding has left
