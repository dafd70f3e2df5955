"""How long a request that comes now would wait: the line's length times the time between two that leave the model. Pure."""

from __future__ import annotations

from typing import Final

WEIGHT: Final = 0.1  # of the newest interval in the moving average: about the last ten count


class DrainRate:
    """A moving average (exponential, WEIGHT) of the seconds between two that leave, while others wait."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._interval = 0.0

    def left(self, now: float, *, waiting: bool) -> None:
        """Note that a request left the model; `waiting`: whether others waited for that. Times in seconds."""
        if self._last is not None and waiting:
            spent = now - self._last
            self._interval += WEIGHT * (spent - self._interval) if self._interval else spent
        self._last = now if waiting else None

    def wait_s(self, ahead: int) -> float:
        """Return the seconds until `ahead` requests have left; 0 as long as nothing is known."""
        return ahead * self._interval
