"""When a worker that ended is started again: pure; Kubernetes' crash-loop back-off with shorter times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after `delay_s`."""

    delay_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It will not come up however often it is started."""

    reason: str


class RestartPolicy:
    """Doubles the pause with every crash, up to `longest_s`; a run of `settled_s` or more starts the count anew.

    After `attempts` crashes in a row that were never `settled_s` apart, it gives up.
    """

    def __init__(
        self, *, shortest_s: float = 0.5, longest_s: float = 30.0, settled_s: float = 10.0, attempts: int = 6
    ) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._settled_s = settled_s
        self._attempts = attempts
        self._crashes = 0

    def ended(self, status: int, ran_s: float) -> Restart | GiveUp:
        """Return what to do after a run of `ran_s` seconds that ended with exit status `status`."""
        self._crashes = 1 if ran_s >= self._settled_s else self._crashes + 1
        if self._crashes >= self._attempts:
            return GiveUp(f"it ended {self._crashes} times in a row, the last time with status {status}")
        delay = min(self._shortest_s * 2 ** (self._crashes - 1), self._longest_s)
        return Restart(delay, f"ended with status {status}")
