"""One worker: its streams, the bounded line before them, and what it counts."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from sedna_py.service_time import ServiceTime
from sedna_py.simulation.clock import Clock

_BUCKETS: Final = len(names.STAGE_BUCKETS_S) + 1


@dataclass(eq=False, slots=True)
class Work:
    """One frame or request. `ended` is told how it went, once, by one of the words below."""

    came: float
    until: float  # when nobody waits for it any more
    ended: Callable[[str], None]
    hard: bool = False
    entered: float = 0.0  # when the model got it


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
    """One worker, first come first served. Requests in the model beyond its streams wait for a stream there.

    Who comes when the model is full waits in line. A cloud worker refuses whom it could not begin with in time, by the rate at
    which requests leave now, and forgets whose time is over; an edge's buffer looks at a frame's age as it hands it to the model.
    """

    def __init__(self, clock: Clock, shape: Shape) -> None:
        self._clock = clock
        self._shape = shape
        self._began = clock.now
        self._changed = clock.now
        self._line: deque[Work] = deque()
        self._ahead: deque[Work] = deque()  # in the model, without a stream
        self._busy = 0
        self._service = ServiceTime()
        self.counts = Counts()

    @property
    def present(self) -> int:
        """How many are inside, in the model or in line."""
        return self._busy + len(self._ahead) + len(self._line)

    def offer(self, work: Work) -> None:
        """Take one, or refuse it."""
        self._advance()
        self.counts.offered += 1
        if not self._shape.drops_oldest:
            self._forget_late(self._line)
        if self._has_room and not self._line:
            self._enter(work)
        elif self._too_long(work):
            self._drop(work, REFUSED)
        else:
            if len(self._line) >= self._shape.line:
                self._drop(self._line.popleft(), PUSHED_OUT)
            self._line.append(work)

    def resize(self, shape: Shape) -> None:
        """Change what the worker has; what is under way goes on."""
        self._advance()
        self._shape = shape
        self._go_on()

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
    def _has_room(self) -> bool:
        return self._busy + len(self._ahead) < self._shape.inside

    def _too_long(self, work: Work) -> bool:
        if self._shape.drops_oldest:
            return self._shape.line == 0
        wait_s = self._service.wait_s(len(self._line) + 1, self._shape.inside)
        return len(self._line) >= self._shape.line or self._clock.now + wait_s > work.until

    def _enter(self, work: Work) -> None:
        work.entered = self._clock.now
        if self._busy < self._streams:
            self._begin(work)
        else:
            self._ahead.append(work)

    def _begin(self, work: Work) -> None:
        self._busy += 1
        self._clock.after(self._shape.service_s(), lambda: self._end(work))

    def _end(self, work: Work) -> None:
        self._advance()
        self._busy -= 1
        self.counts.done += 1
        self.counts.hard += work.hard
        self.counts.latency[bisect.bisect_left(names.STAGE_BUCKETS_S, self._clock.now - work.came)] += 1
        self._service.left(self._clock.now - work.entered)
        self._go_on()
        work.ended(DONE)

    def _go_on(self) -> None:
        """Give free streams to those in the model, and their places there to those in line."""
        if not self._shape.drops_oldest:
            self._forget_late(self._ahead)
        while self._ahead and self._busy < self._streams:
            self._begin(self._ahead.popleft())
        self._forget_late(self._line)
        while self._line and self._has_room:
            self._enter(self._line.popleft())
            self._forget_late(self._line)

    def _forget_late(self, waiting: deque[Work]) -> None:
        while waiting and waiting[0].until < self._clock.now:
            self._drop(waiting.popleft(), TOO_LATE)

    def _drop(self, work: Work, how: str) -> None:
        self.counts.dropped += 1
        work.ended(how)

    def _advance(self) -> None:
        passed = self._clock.now - self._changed
        self._changed = self._clock.now
        self.counts.present_s += passed * self.present
        self.counts.waiting_s += passed * len(self._line)
        self.counts.busy_s += passed * self._busy
