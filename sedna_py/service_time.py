"""How long a request that comes now would wait: the line's length times what a request takes, shared by the places. Pure."""

from __future__ import annotations

from typing import Final

WEIGHT: Final = 0.1  # of the newest time in the moving average: about the last ten count


class ServiceTime:
    """A moving average (exponential, WEIGHT) of the seconds that requests spend in the model.

    Every request that leaves counts, whether others wait or not: a bad time, after which nobody may wait, is forgotten by and by.
    """

    def __init__(self) -> None:
        self._mean = 0.0

    def left(self, seconds: float) -> None:
        """Note that a request was in the model for that long."""
        self._mean += WEIGHT * (seconds - self._mean) if self._mean else seconds

    def wait_s(self, ahead: int, places: int) -> float:
        """Return the seconds until `ahead` requests have left `places`; 0 as long as nothing is known."""
        return ahead * self._mean / places
