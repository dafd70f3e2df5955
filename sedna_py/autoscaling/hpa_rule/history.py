"""What an autoscaler remembers: what it recommended, and by how much it changed the replicas."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Recommendation:
    replicas: int
    at: float


@dataclass(frozen=True, slots=True)
class _Change:
    by: int  # never negative
    at: float


class Recommendations:
    """What the metrics asked for, for as long as the longest window looks back."""

    def __init__(self) -> None:
        self._all: list[_Recommendation] = []

    def begin(self, replicas: int, now: float) -> None:
        """Take the replicas that were found for the first recommendation, unless there is one."""
        if not self._all:
            self._all.append(_Recommendation(replicas, now))

    def add(self, replicas: int, now: float, keep_s: float) -> None:
        """Remember what is asked for now, and forget what is older than `keep_s`."""
        self._all = [one for one in self._all if one.at >= now - keep_s]
        self._all.append(_Recommendation(replicas, now))

    def most(self, now: float, window_s: float, least: int) -> int:
        """Return the highest in the window, `least` at least."""
        return max([least, *self._within(now - window_s)])

    def fewest(self, now: float, window_s: float, most: int) -> int:
        """Return the lowest in the window, `most` at most."""
        return min([most, *self._within(now - window_s)])

    def _within(self, since: float) -> list[int]:
        return [one.replicas for one in self._all if one.at > since]


class Changes:
    """By how much the replicas were changed in one direction.

    Kubernetes keeps them in a list whose outdated places are used again, one for each new change. Which old ones are still there
    matters to a policy of the other direction that looks back further, so it is done in the same way here.
    """

    def __init__(self) -> None:
        self._all: list[_Change] = []

    def add(self, by: int, now: float, keep_s: float) -> None:
        """Remember a change; the last place that holds one older than `keep_s` is used again."""
        change = _Change(by, now)
        outdated = [place for place, one in enumerate(self._all) if one.at < now - keep_s]
        if outdated:
            self._all[outdated[-1]] = change
        else:
            self._all.append(change)

    def within(self, now: float, period_s: float) -> int:
        """Return the sum over the last so many seconds."""
        return sum(one.by for one in self._all if one.at > now - period_s)
