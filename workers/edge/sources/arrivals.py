"""Which files of a folder have arrived, whole, since the last look: pure.

A file's change time (ctime) moves with every write and with a rename into the folder, so it is when the file arrived, as it is
now. Whoever has taken everything up to one moment needs to remember that moment and no names: memory is bounded however many
files the folder has.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

AT_ONCE: Final = 1024  # files that are kept in mind; the next ones are seen by a later look
SETTLE_S: Final = 0.3  # so long a file must stay as it is; and at least from one look to the next


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A file: when it changed last, in nanoseconds of its file system's clock, its name, and its size in bytes."""

    changed_ns: int
    name: str
    size: int


class Arrivals:
    """Files that changed after `after`, in the order in which they did."""

    def __init__(self, after: tuple[int, str] = (0, "")) -> None:
        self._after = after
        self._since: dict[Entry, float] = {}

    def look(self, entries: Iterable[Entry], now: float) -> list[Entry]:
        """Return what has settled by `now`, and forget it. Nothing overtakes an older file that has not settled yet.

        One that is still being written does not hold the others up: it becomes younger with every write, as an empty one does
        with its first.
        """
        waiting = (entry for entry in entries if entry.size and (entry.changed_ns, entry.name) > self._after)
        oldest = heapq.nsmallest(AT_ONCE, waiting)
        self._since = {entry: self._since.get(entry, now) for entry in oldest}
        settled = []
        for entry in oldest:
            if now - self._since[entry] < SETTLE_S:
                break
            settled.append(entry)
            del self._since[entry]
            self._after = (entry.changed_ns, entry.name)
        return settled
