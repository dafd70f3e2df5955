"""Which stored frame goes next, and which gives way: pure; the time is an argument.

One order serves both ends. The most uncertain answer of the edge goes first, that is the lowest score; a frame without a score
goes before all others, as nobody knows how sure its answer is (mostly the little model failed on it). Of equals the newest goes
first: its correction is of more use, and the oldest is the next that grows too old. Where there is no room the last in that order
gives way, which may be the one that has just come.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BLOCK: Final = 4096  # bytes; file systems hand out no less
REST_S: Final = 5.0  # after a failed try, twice as long after each further one
LONGEST_REST_S: Final = 600.0


class Loss(StrEnum):
    """Why a frame that was to wait will not be asked of the cloud any more: one for each."""

    EXPIRED = "expired"  # older than is wanted
    EVICTED = "evicted"  # gave way to more uncertain ones
    TOO_FAST = "too_fast"  # gave way before it was encoded: hard frames come faster than is spent on them
    ENCODE_FAILED = "encode_failed"
    DISK_FULL = "disk_full"
    WRITE_FAILED = "write_failed"  # any other trouble of the disk
    DAMAGED = "damaged"  # its file is not what was written
    REJECTED = "rejected"  # the cloud refused it again and again, or it can never be sent


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored frame: its name on the disk, the filter's score, when it was captured (epoch, s), and its file's bytes."""

    name: str
    score: float | None
    captured: float
    size: int

    @property
    def room(self) -> int:
        """The bytes that it takes on the disk."""
        return -(-self.size // BLOCK) * BLOCK


Key = tuple[bool, float, float, str]
ByAge = tuple[float, str]


def value(item: Waiting) -> Key:
    """Return what to sort by: the first goes first, the last gives way first."""
    return (item.score is not None, item.score or 0.0, -item.captured, item.name)


def age(item: Waiting) -> ByAge:
    """Return what to sort by for the oldest first."""
    return (item.captured, item.name)


class Backlog:
    """The index of what waits, bounded in bytes and in seconds. Items that are lent (being sent) count, but never give way."""

    def __init__(self, max_bytes: int, max_age_s: float) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._by_value: list[Waiting] = []
        self._by_age: list[Waiting] = []
        self._lent: dict[str, Waiting] = {}
        self._tries: dict[str, int] = {}
        self._rests: dict[str, float] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_value) + len(self._lent)

    def add(self, item: Waiting) -> list[Waiting]:
        """Take an item in; return those that give way, the new one among them if it is the least uncertain."""
        if item.room > self._max_bytes:  # all others would give way in vain
            return [item]
        self.bytes += item.room
        self._insert(item)
        gone = []
        while self.bytes > self._max_bytes and self._by_value:
            gone.append(self._by_value[-1])
            self.remove(self._by_value[-1])
        return gone

    def would_keep(self, item: Waiting) -> bool:
        """Whether `add` would not let this very item give way; its size may be an estimate."""
        room = self._max_bytes - self.bytes - item.room
        behind = len(self._by_value)
        while room < 0 and behind and value(self._by_value[behind - 1]) > value(item):
            behind -= 1
            room += self._by_value[behind].room
        return room >= 0

    def expire(self, now: float) -> list[Waiting]:
        """Remove and return what is older than the bound; `now` is of the epoch, as capture times are."""
        gone = []
        while self._by_age and now - self._by_age[0].captured > self._max_age_s:
            gone.append(self._by_age[0])
            self.remove(self._by_age[0])
        return gone

    def lend(self, now: float) -> Waiting | None:
        """Return the most uncertain item that does not rest, which is on its way now; None if there is none."""
        for item in self._by_value:
            if self._rests.get(item.name, now) <= now:
                self._take_out(item)
                self._lent[item.name] = item
                return item
        return None

    def give_back(self, item: Waiting, now: float, *, tried: bool) -> None:
        """Let a lent item wait again; one that was `tried` in vain rests, so that it does not hold up all others."""
        del self._lent[item.name]
        self._insert(item)
        if tried:
            tries = self._tries[item.name] = self._tries.get(item.name, 0) + 1
            self._rests[item.name] = now + min(REST_S * 2 ** (tries - 1), LONGEST_REST_S)

    def tries(self, item: Waiting) -> int:
        """Return how often it was tried in vain."""
        return self._tries.get(item.name, 0)

    def remove(self, item: Waiting) -> None:
        """Forget an item, lent or not."""
        if self._lent.pop(item.name, None) is None:
            self._take_out(item)
        self.bytes -= item.room
        self._tries.pop(item.name, None)
        self._rests.pop(item.name, None)

    @property
    def oldest(self) -> float | None:
        """When the oldest item was captured; None if nothing waits."""
        waiting = self._by_age[:1] + list(self._lent.values())
        return min((item.captured for item in waiting), default=None)

    def _insert(self, item: Waiting) -> None:
        insort(self._by_value, item, key=value)
        insort(self._by_age, item, key=age)

    def _take_out(self, item: Waiting) -> None:
        _delete(self._by_value, item, value)
        _delete(self._by_age, item, age)


def _delete(items: list[Waiting], item: Waiting, key: Callable[[Waiting], Key] | Callable[[Waiting], ByAge]) -> None:
    # A list and bisection: moving some 10 000 pointers costs microseconds.
    place = bisect_left(items, key(item), key=key)
    assert items[place] == item  # noqa: S101 - the index holds what it was given
    del items[place]
