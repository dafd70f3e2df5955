"""A bounded queue between the sinks' thread and a slow receiver, with an exact account of what became of every item.

What is put in is sent, lost for one cause, or still inside; `put` never waits. When the queue is full the oldest waiting
item gives way: what arrives late is worth least.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar, runtime_checkable

LOG = logging.getLogger(__name__)
T = TypeVar("T")
MAX_BYTES: Final = 32 * 1024 * 1024  # of all that waits in one outbox, whatever its number
FLUSH_S: Final = 3.0  # for what is inside when the worker ends
JOIN_S: Final = 0.5  # for a courier that has been told to give up


class SinkCause(StrEnum):
    """Why a result was not delivered, or why a try failed: one closed list for metrics."""

    QUEUE_FULL = "queue_full"  # lost: newer results took its place
    TOO_LARGE = "too_large"  # lost: alone larger than the whole queue may be
    SHUTDOWN = "shutdown"  # lost: not known to have arrived when the worker ended
    REJECTED = "rejected"  # the receiver will never take it
    OVERLOADED = "overloaded"  # 429 or 503
    SERVER_ERROR = "server_error"  # any other 5xx
    TIMED_OUT = "timed_out"  # no answer in time
    UNREACHABLE = "unreachable"  # no such name, refused, or the connection broke off
    LOGIN_REFUSED = "login_refused"  # the broker does not take this user and password
    TLS_FAILED = "tls_failed"  # the other side's certificate is not good
    CONNECTION_LOST = "connection_lost"  # broken off after it was made
    INTERNAL = "internal"  # an error nobody foresaw


@dataclass(frozen=True, slots=True)
class SinkFigures:
    """What became of the results that a sink was given: put = sent + lost + waiting. `connected` None: there is no such thing."""

    put: int
    sent: int
    lost: Mapping[str, int]
    skipped: int  # never put in, as the settings say
    waiting: int
    failures: Mapping[str, int]  # tries that failed, by cause
    connected: bool | None = None


@runtime_checkable
class CountingSink(Protocol):
    """A sink that says what became of its results."""

    name: str

    def figures(self) -> SinkFigures: ...


class Outbox(Generic[T]):
    """The queue and its counters; one thread puts, one takes, any may settle."""

    def __init__(self, name: str, capacity: int, max_bytes: int = MAX_BYTES) -> None:
        self._name = name
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._out = 0
        self._put = self._sent = self._skipped = 0
        self._lost: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._dropped_in_a_row = 0
        self._closed = False
        self._changed = threading.Condition()
        self.abandoned = threading.Event()  # set when whoever still tries to deliver something may stop

    def put(self, item: T, size: int) -> None:
        """Add an item of `size` bytes; never waits. After `close` it is lost at once."""
        with self._changed:
            self._put += 1
            if self._closed or size > self._max_bytes:
                self._lost[SinkCause.SHUTDOWN if self._closed else SinkCause.TOO_LARGE] += 1
                return
            first = self._make_room(size)
            self._waiting.append((item, size))
            self._bytes += size
            self._changed.notify_all()
        if first:
            LOG.warning(
                "sink %s: %d results wait already; from now on the oldest are dropped", self._name, self._capacity
            )

    def skip(self) -> None:
        """Count a result that the settings leave out."""
        self._skipped += 1

    def take(self, most: int, linger_s: float = 0.0) -> list[T]:
        """Wait for an item; return up to `most`, waiting up to `linger_s` for more. Empty: closed, and nothing is left.

        What was taken is out until it is settled by `sent` or `lost`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if most > 1 and linger_s > 0:
                self._changed.wait_for(lambda: len(self._waiting) >= most or self._closed, linger_s)
            taken: list[T] = []
            while self._waiting and len(taken) < most:
                item, size = self._waiting.popleft()
                self._bytes -= size
                self._out += 1
                taken.append(item)
            dropped = 0
            if taken and not self._waiting:
                dropped, self._dropped_in_a_row = self._dropped_in_a_row, 0
        if dropped:
            LOG.warning("sink %s: caught up; %d results were dropped meanwhile", self._name, dropped)
        return taken

    def sent(self, count: int = 1) -> None:
        """Settle items that are out: the receiver has them."""
        self._settle(count, None)

    def lost(self, cause: SinkCause, count: int = 1) -> None:
        """Settle items that are out: nobody will get them."""
        self._settle(count, cause)

    def failed(self, cause: SinkCause) -> None:
        """Count a try that failed; its items stay out."""
        with self._changed:
            self._failures[cause] += 1

    def close(self) -> None:
        """Take nothing any more; what is inside may still leave."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_empty(self, limit_s: float) -> bool:
        """Wait until nothing is inside; False when that took longer than the limit."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._out, limit_s)

    def abandon(self) -> int:
        """Count all that is inside as lost by the shutdown, and take no account of what becomes of it; return how many."""
        with self._changed:
            self._closed = True
            left = len(self._waiting) + self._out
            self._lost[SinkCause.SHUTDOWN] += left
            self._waiting.clear()
            self._bytes = self._out = 0
            self.abandoned.set()
            self._changed.notify_all()
        return left

    def figures(self, connected: bool | None = None) -> SinkFigures:
        """Return the account of this moment."""
        with self._changed:
            lost = {cause: count for cause, count in self._lost.items() if count}
            waiting = len(self._waiting) + self._out
            return SinkFigures(self._put, self._sent, lost, self._skipped, waiting, dict(self._failures), connected)

    @property
    def closed(self) -> bool:
        """Whether the worker is ending."""
        return self._closed

    def _settle(self, count: int, cause: SinkCause | None) -> None:
        with self._changed:
            if self.abandoned.is_set():  # counted already
                return
            self._out -= count
            if cause is None:
                self._sent += count
            else:
                self._lost[cause] += count
            self._changed.notify_all()

    def _make_room(self, size: int) -> bool:
        """Drop the oldest until an item of this size fits; return whether that begins now."""
        dropped = 0
        while len(self._waiting) >= self._capacity or self._bytes + size > self._max_bytes:
            _, old = self._waiting.popleft()
            self._bytes -= old
            dropped += 1
        self._lost[SinkCause.QUEUE_FULL] += dropped
        begins = dropped > 0 and not self._dropped_in_a_row
        self._dropped_in_a_row += dropped
        return begins


class Courier(threading.Thread, Generic[T]):
    """The thread that empties an outbox: hands batches to `deliver`, which settles each item, at once or later."""

    def __init__(
        self, outbox: Outbox[T], name: str, deliver: Callable[[Sequence[T]], None], most: int = 1, linger_s: float = 0.0
    ) -> None:
        super().__init__(name=f"sink {name}", daemon=True)
        self._outbox = outbox
        self._sink = name
        self._deliver = deliver
        self._most = most
        self._linger_s = linger_s

    def run(self) -> None:
        """Deliver until the outbox is closed and empty."""
        said = False
        while items := self._outbox.take(self._most, self._linger_s):
            try:
                self._deliver(items)
            except Exception:  # a thread that died would lose all that comes, uncounted
                if self._outbox.abandoned.is_set():  # broken off on purpose
                    return
                self._outbox.lost(SinkCause.INTERNAL, len(items))
                if not said:
                    LOG.exception("sink %s failed on %d results", self._sink, len(items))
                    said = True

    def finish(self, limit_s: float | None = None) -> None:
        """Deliver what is inside for `limit_s` seconds at most (FLUSH_S); the rest is counted as lost by the shutdown."""
        limit_s = FLUSH_S if limit_s is None else limit_s
        ends = time.monotonic() + limit_s
        self._outbox.close()
        self._outbox.wait_empty(limit_s)
        if left := self._outbox.abandon():
            LOG.warning("sink %s: %d results had not arrived after %g s and are given up", self._sink, left, limit_s)
        self.join(max(ends - time.monotonic(), JOIN_S))
