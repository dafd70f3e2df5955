"""What of a rate still fits into this second, as a cap will see it: pure; the time is an argument.

The cap itself (sedna_py/client/send_cap.py) stands at the last place before the network and never errs, but what it keeps here
counts as spent. So a budget asks here first, by the bodies' mean, and what a full second has no room for is left to a later one.
"""

from __future__ import annotations

from typing import Final

from sedna_py.hard_example_mining.budget_text import BYTES_PER_KBIT, Budget, Unit
from sedna_py.hard_example_mining.trailing_sum import TrailingSum

_SPREAD: Final = 1.1  # frames leave less evenly than they were judged, and the cap itself counts a twentieth more


class Pace:
    """Counts what was let through in the last second, or in the time of one frame where the rate is below 1 frame/s."""

    def __init__(self, cap: Budget) -> None:
        amount = cap.amount * BYTES_PER_KBIT if cap.unit is Unit.BITS else cap.amount
        seconds = 1.0 if cap.unit is Unit.BITS else max(1.0, 1 / amount)
        self._most = amount * seconds
        self._recent = TrailingSum(seconds * _SPREAD)

    def has_room(self, cost: float, now: float) -> bool:
        """Whether one more fits; the first one always does, for the cap to say that it is too large."""
        self._recent.forget(now)
        return self._recent.value <= 0 or self._recent.value + cost <= self._most

    def add(self, cost: float, now: float) -> None:
        """Note what was let through, or by how much it was more than thought."""
        self._recent.add(cost, now)
