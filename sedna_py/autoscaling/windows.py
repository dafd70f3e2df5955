"""Stable and panic windows over a signal that is served to an autoscaler: pure; the time is an argument.

The rule is Knative's (KPA, knative.dev/docs/serving/autoscaling/kpa-specific). The mean of a long window decides in quiet
times, so that a short peak changes nothing. When a tenth of that window alone asks for twice the pods that are ready, the short
one decides and nothing is given back until a whole stable window has passed without such a demand.

Knative's autoscaler counts pods; here a HorizontalPodAutoscaler does, so the rule is applied to the value that it reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# What Knative allows.
STABLE_S: Final = (6.0, 3600.0)
PANIC_PERCENT: Final = (1.0, 100.0)
THRESHOLD_PERCENT: Final = (110.0, 1000.0)


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """How long the windows are, and what is a panic; ValueError when a value is outside Knative's bounds."""

    stable_s: float = 60.0
    panic_percent: float = 10.0  # of the stable window
    threshold_percent: float = 200.0  # wanted pods, in the panic window, of those that are ready

    def __post_init__(self) -> None:
        _check("stable window, seconds", self.stable_s, STABLE_S)
        _check("panic window, percent of the stable one", self.panic_percent, PANIC_PERCENT)
        _check("panic threshold, percent of the ready pods", self.threshold_percent, THRESHOLD_PERCENT)

    @property
    def panic_s(self) -> float:
        """Seconds of the panic window."""
        return self.stable_s * self.panic_percent / 100


class PanicState:
    """Whether one worker's pods are in panic, and the most that was served since."""

    def __init__(self, settings: WindowSettings) -> None:
        self._settings = settings
        self._demanded_at: float | None = None  # the last time, in this panic, that the threshold was reached
        self._peak = 0.0

    @property
    def in_panic(self) -> bool:
        """Whether nothing is given back now."""
        return self._demanded_at is not None

    def served(self, now: float, stable_total: float, panic_total: float, ready_pods: int, target: float) -> float:
        """Return what the pods' values shall add up to, from their sums over both windows that end at `now`.

        `target` is what one pod shall have, in the same unit and above 0. `now` never falls, in seconds of any clock.
        """
        if self._threshold_reached(panic_total, ready_pods, target):
            self._demanded_at = now
        elif self._demanded_at is not None and now - self._demanded_at > self._settings.stable_s:
            self._demanded_at = None
            self._peak = 0.0
        if self._demanded_at is None:
            return stable_total
        self._peak = max(self._peak, stable_total, panic_total)
        return self._peak

    def _threshold_reached(self, panic_total: float, ready_pods: int, target: float) -> bool:
        wanted = math.ceil(panic_total / target)
        return wanted * 100 >= self._settings.threshold_percent * max(ready_pods, 1)


def shared_out(values: Mapping[str, float], total: float) -> dict[str, float]:
    """Return the pods' values scaled to this sum; where all are 0 each gets the same."""
    now = sum(values.values())
    return {name: value / now * total if now > 0 else total / len(values) for name, value in values.items()}


def _check(what: str, value: float, bounds: tuple[float, float]) -> None:
    lowest, highest = bounds
    if not lowest <= value <= highest:  # NaN is outside too
        raise ValueError(f"{what}: {value:g} is not between {lowest:g} and {highest:g}")
