"""What one worker has counted lately: readings close together at first, further apart later, never many."""

from __future__ import annotations

from collections import deque
from typing import Final

from sedna_py.autoscaling.snapshot import Snapshot

CLOSE_S: Final = 12.0
"""So far back every reading is kept; from there on one in `window / STEPS`."""

STEPS: Final = 30


class History:
    """The readings of one worker since it began, over one window and the step before it."""

    def __init__(self) -> None:
        self._recent: deque[Snapshot] = deque()
        self._older: deque[Snapshot] = deque()
        self.taken_at = 0.0
        """When the newest reading was taken, by this process's clock; times in readings may be of the worker's."""

    def __len__(self) -> int:
        """Return how many readings are kept."""
        return len(self._recent) + len(self._older)

    @property
    def latest(self) -> Snapshot | None:
        """The newest reading."""
        return self._recent[-1] if self._recent else None

    def add(self, snapshot: Snapshot, taken_at: float, window_s: float) -> None:
        """Keep a reading, and of the others what a window of so many seconds needs.

        A worker that began anew counts from 0, so nothing is left of the readings before.
        """
        last = self.latest
        if last is not None and last.began != snapshot.began:
            self._recent.clear()
            self._older.clear()
        elif last is not None and snapshot.at <= last.at:
            return
        self._recent.append(snapshot)
        self.taken_at = taken_at
        step_s = window_s / STEPS
        while snapshot.at - self._recent[0].at > CLOSE_S:
            leaving = self._recent.popleft()
            if not self._older or leaving.at - self._older[-1].at >= step_s:
                self._older.append(leaving)
        # The one at or before the window's beginning stays: readings are never exactly that old.
        while len(self._older) > 1 and snapshot.at - self._older[1].at >= window_s:
            self._older.popleft()

    def until(self, moment: float) -> Snapshot | None:
        """Return the newest reading that was taken at that moment of our clock or before it; None where all are newer."""
        latest = self.latest
        if latest is None or self.taken_at <= moment:
            return latest
        moment -= self.taken_at - latest.at  # into the worker's clock
        return next((reading for reading in reversed(self._recent) if reading.at <= moment), None)

    def since(self, moment: float) -> Snapshot | None:
        """Return the newest reading that is at least that old, else the oldest; `moment` is of the worker's clock."""
        found = None
        for readings in (self._recent, self._older):
            for reading in reversed(readings):
                found = reading
                if reading.at <= moment:
                    return found
        return found
