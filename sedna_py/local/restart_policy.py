"""When a worker that ended is started again: pure; Kubernetes' crash-loop back-off with shorter times."""

from __future__ import annotations

import signal
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

    After `attempts` crashes in a row that were never `settled_s` apart, it gives up. A worker that never ran that long and
    ends itself with a status of its own has said what is wrong with its settings, model or source: `refusals` of these
    are enough (one may have been a camera that was still starting).
    """

    def __init__(
        self,
        *,
        shortest_s: float = 0.5,
        longest_s: float = 30.0,
        settled_s: float = 10.0,
        attempts: int = 6,
        refusals: int = 2,
    ) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._settled_s = settled_s
        self._attempts = attempts
        self._refusals = refusals
        self._crashes = 0  # in a row
        self._refused = 0  # in a row
        self._has_settled = False

    def ended(self, status: int, ran_s: float) -> Restart | GiveUp:
        """Return what to do after a run of `ran_s` seconds that ended with `status`, negative for a signal as in subprocess."""
        settled = ran_s >= self._settled_s
        self._has_settled |= settled
        self._crashes = 1 if settled else self._crashes + 1
        self._refused = self._refused + 1 if status > 0 and not self._has_settled else 0
        if self._crashes >= self._attempts or self._refused >= self._refusals:
            return GiveUp(f"it ended {_times(self._crashes)}, the last time {how_it_ended(status)}")
        delay = min(self._shortest_s * 2 ** (self._crashes - 1), self._longest_s)
        return Restart(delay, f"ended {how_it_ended(status)}")


def how_it_ended(status: int) -> str:
    """Return the words for an exit status, such as `with status 1` or `by SIGKILL`."""
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def _times(count: int) -> str:
    return f"{count} times in a row" if count > 1 else "once"
