"""A frame on its way through the edge worker, and the bounded fair buffer that it waits in."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from sedna_py.estimator import Frame
from workers.load_meter import LoadMeter


@dataclass(slots=True)
class SourceFrame:
    """One picture with its identity. `number` counts the source's frames from 1; times are seconds of one monotonic clock."""

    number: int
    source: str
    picture: Frame
    captured: float
    captured_at: float  # seconds since the epoch
    sequence: int = field(default=-1)  # among the frames that were processed, from 0; -1 before its turn
    taken: float = field(default=0.0)  # when the little model's turn came
    moved: bool | None = field(default=None)  # since the last pictures of its source; None: nobody looked
    frames_waiting: int = field(default=0)  # behind it in the buffer at that moment
    turn: int = field(default=-1)  # among its source's frames that were processed here, from 0; -1 before its turn
    lap: int = field(default=0)  # the round of its source that it belongs to, from 0
    index: int = field(default=-1)  # its place in that round, from 0, frames that were left out counted; -1: not known
    ordinal: int = field(default=0)  # among the frames that were taken of its source, from 1
    run: str = field(default="")  # of the replicas that share the source; empty: of this process


class BufferPolicy(StrEnum):
    """What happens to a new frame when the buffer is full."""

    WAIT = "wait"  # the source waits: nothing is lost (files)
    DROP_OLDEST = "drop-oldest"  # the oldest waiting frame gives way: what is processed is fresh (live sources)


@dataclass(frozen=True, slots=True)
class LaneRule:
    """How one source's frames wait. One that is older than `max_age_s` when its turn comes is dropped; 0: none is."""

    policy: BufferPolicy
    max_age_s: float = 0.0


@dataclass(slots=True)
class LaneCounts:
    """What became of a source's frames: taken_in = got + handed_out + buffer_full + too_old + discarded + those that wait."""

    taken_in: int = 0
    got: int = 0
    handed_out: int = 0
    buffer_full: int = 0  # gave way to a newer one
    too_old: int = 0  # their turn came too late
    discarded: int = 0  # came, or still waited, when it was too late for any


@dataclass(frozen=True, slots=True)
class Backlog:
    """`waiting_s`: for how long all frames have waited so far, together; `age_s`: of the oldest that waits, 0 if none does."""

    waiting_s: float
    age_s: float


class FrameFigures(Protocol):
    """What a buffer, or several, tell of the frames that came: FrameBuffer has each of these."""

    @property
    def came(self) -> int: ...

    @property
    def taken_in(self) -> int: ...

    @property
    def dropped(self) -> int: ...

    @property
    def too_old(self) -> int: ...

    @property
    def discarded(self) -> int: ...

    @property
    def lost(self) -> int: ...

    def counts(self) -> dict[str, LaneCounts]: ...

    def backlog(self) -> Backlog: ...

    def __len__(self) -> int: ...


@dataclass(slots=True, eq=False)
class _Lane:
    rule: LaneRule
    frames: deque[SourceFrame] = field(default_factory=deque)
    counts: LaneCounts = field(default_factory=LaneCounts)

    @property
    def waits(self) -> bool:
        return self.rule.policy is BufferPolicy.WAIT


class FrameBuffer:
    """A bounded fair buffer between the threads that read sources and the one that processes frames.

    Every source has a lane, first in, first out. Out of the lanes that have frames one is taken in turn (round robin, as Nagle's
    fair queueing, RFC 970). All lanes together hold at most `capacity` frames, and each has an equal share of that: a lane that
    waits never holds more than its share; of those that drop, one may use what others leave, and when the buffer is full the
    longest gives its oldest frame up. So a lane that keeps to its share loses nothing, however fast the others are.

    It also bounds what is being worked on: a frame counts as out from `get` until `done`, and at most `most_out` are.
    Every frame that was handed to `put` is counted once more as it leaves (`LaneCounts`).
    """

    def __init__(
        self, capacity: int, policy: BufferPolicy, most_out: int, lanes: Mapping[str, LaneRule] | None = None
    ) -> None:
        """Make a lane for each source of `lanes`; without them one lane with this policy, which takes every frame."""
        if lanes and len(lanes) > capacity:
            raise ValueError(f"a buffer for {capacity} frames has no room for {len(lanes)} lanes")
        self._by_source = {source: _Lane(rule) for source, rule in (lanes or {}).items()}
        self._only = None if lanes else _Lane(LaneRule(policy))
        self._lanes = [self._only] if self._only else list(self._by_source.values())
        self._turns = deque(self._lanes)
        self._again: deque[SourceFrame] = deque()
        self._capacity = capacity
        self._share = capacity // len(self._lanes)
        self._most_out = most_out
        self._waiting = 0
        self._load = LoadMeter()
        self._out = 0
        self._processed: Counter[str] = Counter()
        self._ended = False
        self._closed = False
        self._stops_at: float | None = None
        self._changed = threading.Condition()

    def put(self, frame: SourceFrame) -> bool:
        """Add a frame; return whether more are wanted. Raises KeyError for a source without a lane.

        A frame that comes after `stop` was read before it: it is taken, too, and one that waited for room does so no longer.
        """
        lane = self._only or self._by_source[frame.source]
        with self._changed:
            lane.counts.taken_in += 1
            if lane.waits:
                self._changed.wait_for(lambda: len(lane.frames) < self._share or self._stops_at is not None)
            if self._closed:
                lane.counts.discarded += 1
                return False
            if self._waiting >= self._capacity:
                self._make_room(lane)
            lane.frames.append(frame)
            self._wait(+1)
            self._changed.notify_all()
            return self._stops_at is None

    def put_back(self, frame: SourceFrame) -> None:
        """Return a frame that is out: it is next. Never waits."""
        with self._changed:
            self._again.append(frame)
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more frames will come; those inside still leave."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self, limit_s: float) -> None:
        """Ask for no more frames; those inside still leave, for `limit_s` seconds: what still waits then is discarded."""
        with self._changed:
            if self._stops_at is None:
                self._stops_at = time.monotonic() + limit_s
            self._changed.notify_all()

    def close(self) -> None:
        """Take nothing any more and discard what waits; what is out still gets done."""
        with self._changed:
            self._close()

    def get(self, end_limit_s: float) -> SourceFrame | None:
        """Wait for the next frame and for room to work on it; None when every frame is done.

        Once no more frames will come, it waits at most `end_limit_s` for those that are out.
        """
        gives_up_at: float | None = None
        with self._changed:
            while True:
                now = self._look_at_the_clock()
                if self._again:
                    return self._again.popleft()
                if self._out < self._most_out and (lane := self._next_lane(now)) is not None:
                    return self._work_on(lane)
                if self._ended and gives_up_at is None:
                    gives_up_at = now + end_limit_s
                if self._finished() or (gives_up_at is not None and now >= gives_up_at):
                    return None
                self._changed.wait(self._patience(gives_up_at, now))

    def hand_out(self, timeout_s: float) -> SourceFrame | None:
        """Take the next frame by the same turns as `get`, for somebody else to work on: it is not out here.

        None when there is none within `timeout_s`, or when no more will come.
        """
        gives_up_at = time.monotonic() + timeout_s
        with self._changed:
            while True:
                now = self._look_at_the_clock()
                if (lane := self._next_lane(now)) is not None:
                    lane.counts.handed_out += 1
                    return self._take(lane)
                if self._ended or now >= gives_up_at:
                    return None
                self._changed.wait(self._patience(gives_up_at, now))

    def done(self) -> None:
        """Say that a frame that was out has left for good."""
        with self._changed:
            self._out -= 1
            self._changed.notify_all()

    @property
    def out(self) -> int:
        """How many frames are being worked on."""
        return self._out

    @property
    def taken_in(self) -> int:
        """How many frames came."""
        return sum(lane.counts.taken_in for lane in self._lanes)

    @property
    def came(self) -> int:
        """How many frames this replica had to do with: all; where replicas share them, some (sharing.figures)."""
        return self.taken_in

    @property
    def got(self) -> int:
        """How many frames left by `get`; one that was put back counts once."""
        return sum(lane.counts.got for lane in self._lanes)

    @property
    def handed_out(self) -> int:
        """How many frames left by `hand_out`."""
        return sum(lane.counts.handed_out for lane in self._lanes)

    @property
    def dropped(self) -> int:
        """How many frames gave way to a newer one."""
        return sum(lane.counts.buffer_full for lane in self._lanes)

    @property
    def too_old(self) -> int:
        """How many frames were dropped for their age."""
        return sum(lane.counts.too_old for lane in self._lanes)

    @property
    def discarded(self) -> int:
        """How many frames came, or still waited, when it was too late for any."""
        return sum(lane.counts.discarded for lane in self._lanes)

    @property
    def lost(self) -> int:
        """How many frames another replica took with it as it died: only who shares them can tell."""
        return 0

    @property
    def exhausted(self) -> bool:
        """Whether no frame waits and none will come."""
        with self._changed:
            return self._ended and not self._waiting

    def processed(self, source: str) -> int:
        """Return how many frames of a source left by `get`, with named lanes or without."""
        return self._processed[source]

    def counts(self) -> dict[str, LaneCounts]:
        """Return the counters by source; empty where there are no named lanes."""
        return {source: lane.counts for source, lane in self._by_source.items()}

    def backlog(self) -> Backlog:
        """Return how long frames have waited here."""
        with self._changed:
            now = time.monotonic()
            oldest = min((lane.frames[0].captured for lane in self._lanes if lane.frames), default=now)
            return Backlog(self._load.read(now)[1], max(now - oldest, 0.0))

    def __len__(self) -> int:
        return self._waiting

    def _wait(self, change: int) -> None:
        self._waiting += change
        self._load.moved(time.monotonic(), 0, self._waiting)

    def _make_room(self, newcomer: _Lane) -> None:
        """Drop the oldest frame of the longest lane, the newcomer counted: of equals the newcomer's own.

        A lane that waits is within its share, so when the buffer is full one that drops is above its own.
        """
        dropping = [lane for lane in self._lanes if not lane.waits and lane.frames]
        if not dropping:  # after `stop` only: the frame was in the reader's hand
            return
        longest = max(dropping, key=lambda lane: (len(lane.frames) + (lane is newcomer), lane is newcomer))
        longest.frames.popleft()
        longest.counts.buffer_full += 1
        self._wait(-1)

    def _next_lane(self, now: float) -> _Lane | None:
        """Return the lane whose turn it is, without its frames that are too old; None where no frame waits."""
        for _ in self._lanes:
            lane = self._turns[0]
            self._turns.rotate(-1)
            limit = lane.rule.max_age_s
            while limit and lane.frames and now - lane.frames[0].captured > limit:
                lane.frames.popleft()
                lane.counts.too_old += 1
                self._wait(-1)
            if lane.frames:
                return lane
        return None

    def _work_on(self, lane: _Lane) -> SourceFrame:
        frame = self._take(lane)
        frame.turn = self._processed[frame.source]
        self._processed[frame.source] += 1
        lane.counts.got += 1
        self._out += 1
        return frame

    def _take(self, lane: _Lane) -> SourceFrame:
        frame = lane.frames.popleft()
        self._wait(-1)
        frame.frames_waiting += self._waiting  # of every buffer that it has come through
        self._changed.notify_all()
        return frame

    def _look_at_the_clock(self) -> float:
        now = time.monotonic()
        if self._stops_at is not None and now >= self._stops_at:
            self._close()
        return now

    def _finished(self) -> bool:
        return self._ended and not self._waiting and not self._again and self._out == 0

    def _patience(self, gives_up_at: float | None, now: float) -> float | None:
        limits = [limit for limit in (gives_up_at, None if self._closed else self._stops_at) if limit is not None]
        return max(min(limits) - now, 0.0) if limits else None

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = self._ended = True
        for lane in self._lanes:
            lane.counts.discarded += len(lane.frames)
            lane.frames.clear()
        self._wait(-self._waiting)
        self._changed.notify_all()
