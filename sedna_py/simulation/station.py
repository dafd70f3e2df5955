"""One worker: its streams, the bounded line before them, and what it counts."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from sedna_py.simulation.clock import Clock

_BUCKETS: Final = len(names.STAGE_BUCKETS_S) + 1


@dataclass(eq=False, slots=True)
class Work:
    """One frame or request. `ended` is told how it went, once, by one of the words below."""

    came: float
    until: float  # when nobody waits for it any more
    ended: Callable[[str], None]
    hard: bool = False


DONE: Final = "done"
REFUSED: Final = "refused"  # the line was full, or too long for its deadline
PUSHED_OUT: Final = "pushed_out"  # a newer one took its place
TOO_LATE: Final = "too_late"  # its time was over before its turn


@dataclass
class Counts:
    """What a worker counts, as its /metrics page has it."""

    offered: float = 0.0
    done: float = 0.0
    dropped: float = 0.0
    present_s: float = 0.0
    waiting_s: float = 0.0
    busy_s: float = 0.0
    hard: float = 0.0
    latency: list[float] = field(default_factory=lambda: [0.0] * _BUCKETS)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a worker has: streams, requests in the model at once, places in line; how long a request takes a stream."""

    streams: int
    inside: int
    line: int
    service_s: Callable[[], float]
    drops_oldest: bool = False  # a full line pushes its oldest out instead of refusing the new one: an edge's buffer


class Station:
    """One worker, first come first served. Requests in the model beyond its streams wait for a stream there."""

    def __init__(self, clock: Clock, shape: Shape) -> None:
        self._clock = clock
        self._shape = shape
        self._began = clock.now
        self._changed = clock.now
        self._line: deque[Work] = deque()
        self._busy = 0
        self.counts = Counts()

    @property
    def present(self) -> int:
        """How many are inside, in the model or in line."""
        return self._busy + len(self._line)

    def offer(self, work: Work) -> None:
        """Take one, or refuse it."""
        self._advance()
        self.counts.offered += 1
        self._forget_late()
        if self._busy < self._streams:
            self._begin(work)
        elif self._too_long(work):
            self._drop(work, REFUSED)
        else:
            if len(self._line) >= self._places:
                self._drop(self._line.popleft(), PUSHED_OUT)
            self._line.append(work)

    def resize(self, shape: Shape) -> None:
        """Change what the worker has; what is under way goes on."""
        self._advance()
        self._shape = shape
        while self._line and self._busy < self._streams:
            self._begin(self._line.popleft())

    def snapshot(self) -> Snapshot:
        """Return the counters now."""
        self._advance()
        counts, total, cumulative = self.counts, 0.0, []
        for count in counts.latency:
            total += count
            cumulative.append(total)
        return Snapshot(
            at=self._clock.now,
            began=self._began,
            offered=counts.offered,
            done=counts.done,
            dropped=counts.dropped,
            present_s=counts.present_s,
            waiting_s=counts.waiting_s,
            busy_s=counts.busy_s,
            streams=float(self._shape.streams),
            latency=tuple(cumulative),
            hard=counts.hard,
        )

    @property
    def _streams(self) -> int:
        return min(self._shape.streams, self._shape.inside)

    @property
    def _places(self) -> int:
        return self._shape.line + self._shape.inside - self._streams

    def _too_long(self, work: Work) -> bool:
        if self._shape.drops_oldest:
            return self._places == 0
        mean_s = self.counts.busy_s / self.counts.done if self.counts.done else 0.0
        wait_s = (len(self._line) + 1) * mean_s / self._streams
        return len(self._line) >= self._places or self._clock.now + wait_s > work.until

    def _begin(self, work: Work) -> None:
        self._busy += 1
        self._clock.after(self._shape.service_s(), lambda: self._end(work))

    def _end(self, work: Work) -> None:
        self._advance()
        self._busy -= 1
        self.counts.done += 1
        self.counts.hard += work.hard
        self.counts.latency[bisect.bisect_left(names.STAGE_BUCKETS_S, self._clock.now - work.came)] += 1
        self._forget_late()
        if self._line and self._busy < self._streams:
            self._begin(self._line.popleft())
        work.ended(DONE)

    def _forget_late(self) -> None:
        while self._line and self._line[0].until < self._clock.now:
            self._drop(self._line.popleft(), TOO_LATE)

    def _drop(self, work: Work, how: str) -> None:
        self.counts.dropped += 1
        work.ended(how)

    def _advance(self) -> None:
        passed = self._clock.now - self._changed
        self._changed = self._clock.now
        inside_model = min(self.present, self._shape.inside)
        self.counts.present_s += passed * self.present
        self.counts.waiting_s += passed * (self.present - inside_model)
        self.counts.busy_s += passed * self._busy
