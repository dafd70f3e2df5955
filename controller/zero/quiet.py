"""Since when nobody has asked a cloud worker for anything: pure; the time is an argument.

There are two witnesses: what its pods have counted, and the hard frames that edges report. Where one of the pods says nothing, or
what it said is old, nothing is known and the time begins anew: no worker is taken for idle because nobody could see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sedna_py.autoscaling.snapshot import Snapshot

FRESH_S: Final = 10.0
"""How old a reading of a pod may be."""

HEARD_S: Final = 120.0
"""An edge that has reported within this time is waited for: its next report may tell of hard frames. One that is silent for
longer is offline, or gone, and holds nothing up."""

MOST_EDGES: Final = 1000


@dataclass(frozen=True, slots=True)
class _Counted:
    began: float
    totals: tuple[float, float, float]


class Quiet:
    """The witnesses of one service; times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._pods: dict[str, _Counted] = {}
        self._heard: dict[str, float] = {}

    def disturbed(self, now: float) -> None:
        """Note that somebody has asked for the worker just now."""
        if self._since is not None:
            self._since = now

    def heard(self, edge: str, now: float) -> None:
        """Note that an edge has reported."""
        self._heard.pop(edge, None)
        self._heard[edge] = now
        if len(self._heard) > MOST_EDGES:
            del self._heard[next(iter(self._heard))]

    def look(self, pods: Mapping[str, Snapshot | None], now: float) -> None:
        """Take in the newest readings of all pods that serve, None for one that could not be read."""
        readings = {name: reading for name, reading in pods.items() if reading and now - reading.at <= FRESH_S}
        if not pods or len(readings) < len(pods):
            self._since, self._pods = None, {}
            return
        counted = {
            name: _Counted(reading.began, (reading.offered, reading.done, reading.dropped))
            for name, reading in readings.items()
        }
        busy = any(reading.offered > reading.done + reading.dropped for reading in readings.values())
        if busy or self._since is None or counted != self._pods:
            self._since = now
        self._pods = counted

    @property
    def is_known(self) -> bool:
        """Whether all its pods could be read at the last look."""
        return self._since is not None

    def idle_s(self, now: float) -> float:
        """Return for how many seconds nobody has asked, 0 where that is not known."""
        if self._since is None:
            return 0.0
        if any(self._since > moment > now - HEARD_S for moment in self._heard.values()):
            return 0.0
        return max(now - self._since, 0.0)
