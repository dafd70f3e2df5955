"""A frame on its way through the edge worker, and the bounded buffer that it waits in."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from sedna_py.estimator import Frame


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


class BufferPolicy(StrEnum):
    """What happens to a new frame when the buffer is full."""

    WAIT = "wait"  # the source waits: nothing is lost (files)
    DROP_OLDEST = "drop-oldest"  # the oldest waiting frame gives way: what is processed is fresh (live sources)


class FrameBuffer:
    """A bounded first-in-first-out buffer between one reading and one processing thread.

    It also bounds what is being worked on: a frame counts as out from `get` until `done`, and at most `most_out` are.
    Every frame that was handed to `put` (`taken_in`) leaves by `get`, is `dropped`, or is `discarded`.
    """

    def __init__(self, capacity: int, policy: BufferPolicy, most_out: int) -> None:
        self._frames: deque[SourceFrame] = deque()
        self._again: deque[SourceFrame] = deque()
        self._capacity = capacity
        self._policy = policy
        self._most_out = most_out
        self._out = 0
        self._ended = False
        self._closed = False
        self._stops_at: float | None = None
        self._changed = threading.Condition()
        self.taken_in = 0
        self.dropped = 0  # gave way to a newer one
        self.discarded = 0  # came, or still waited, when it was too late

    def put(self, frame: SourceFrame) -> bool:
        """Add a frame; return whether more are wanted. A frame that comes after `stop` was read before it: it is taken, too."""
        with self._changed:
            self.taken_in += 1
            if self._policy is BufferPolicy.DROP_OLDEST:
                if len(self._frames) >= self._capacity:
                    self._frames.popleft()
                    self.dropped += 1
            else:
                self._changed.wait_for(lambda: len(self._frames) < self._capacity or self._stops_at is not None)
            if self._closed:
                self.discarded += 1
                return False
            self._frames.append(frame)
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
                now = time.monotonic()
                if self._stops_at is not None and now >= self._stops_at:
                    self._close()
                if self._next_queue() is not None:
                    return self._take()
                if self._ended and gives_up_at is None:
                    gives_up_at = now + end_limit_s
                if self._finished() or (gives_up_at is not None and now >= gives_up_at):
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

    def __len__(self) -> int:
        return len(self._frames)

    def _next_queue(self) -> deque[SourceFrame] | None:
        if self._again:
            return self._again
        return self._frames if self._frames and self._out < self._most_out else None

    def _finished(self) -> bool:
        return self._ended and not self._frames and not self._again and self._out == 0

    def _patience(self, gives_up_at: float | None, now: float) -> float | None:
        limits = [limit for limit in (gives_up_at, None if self._closed else self._stops_at) if limit is not None]
        return max(min(limits) - now, 0.0) if limits else None

    def _close(self) -> None:
        self._closed = self._ended = True
        self.discarded += len(self._frames)
        self._frames.clear()
        self._changed.notify_all()

    def _take(self) -> SourceFrame:
        queue = self._next_queue()
        assert queue is not None  # noqa: S101 - the callers waited for it
        frame = queue.popleft()
        if queue is self._frames:
            self._out += 1
            frame.frames_waiting = len(self._frames)
        self._changed.notify_all()
        return frame
