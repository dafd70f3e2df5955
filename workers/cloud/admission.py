"""How many requests the model works on, how many wait, for how long, and how many bytes they hold: all bounded."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final, Self

from sedna_py.errors import SednaError
from sedna_py.service_time import ServiceTime
from workers.cloud.waiting_line import WaitingLine
from workers.load_meter import LoadMeter

PRESSING_S: Final = 0.1  # of waiting: a request with a deadline so short is seldom


class Refused(SednaError):
    """There is no room now; the caller may try again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Admission:
    """`concurrency` requests in the model and `waiting` in line; one more is refused at once.

    So is one that would come to the model only after `max_wait_s` (0: no such bound), or after its own deadline, by the rate at
    which requests leave now: an early no is worth more than a late one. For one event loop.
    """

    def __init__(
        self, concurrency: int, waiting: int, max_wait_s: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._concurrency = concurrency
        self._max_wait_s = max_wait_s or math.inf
        self._tolerable_s = min(self._max_wait_s, PRESSING_S)
        self._line: WaitingLine[asyncio.Future[None]] = WaitingLine(waiting)
        self._service = ServiceTime()
        self._clock = clock
        self._meter = LoadMeter()
        self.in_flight = 0
        self.streams = 0  # that those in the model can use
        self.done = 0
        self.dropped = 0  # refused, or given up before the model came to them

    def load(self) -> tuple[float, float, float]:
        """Return the seconds until now of all requests inside, of those in line, and of streams at work (LoadMeter)."""
        return self._meter.read(self._clock())

    @property
    def offered(self) -> int:
        """How many came."""
        return self.done + self.dropped + self.in_flight + len(self._line)

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._line)

    @property
    def has_room(self) -> bool:
        """Whether a request that came now would wait for nothing."""
        return self.in_flight < self._concurrency and not len(self._line)

    @property
    def is_pressed(self) -> bool:
        """Whether a request may be refused: the line is nearly full, or the wait so long that a bound may be shorter."""
        wait_s = self._service.wait_s(len(self._line) + 1, self._concurrency)
        return not self._line.takes(urgent=False) or not self._line.takes(urgent=True) or wait_s > self._tolerable_s

    def check(self, *, urgent: bool = True, left_s: float = math.inf) -> None:
        """Raise Refused if `enter` would now; for who can spare itself the work before it. That counts the request as dropped."""
        if self.has_room:
            return
        if not self._line.takes(urgent=urgent):
            self.dropped += 1
            raise Refused(f"{len(self._line)} requests are waiting already", self._retry_after())
        wait_s = self._service.wait_s(len(self._line) + 1, self._concurrency)
        if wait_s > min(self._max_wait_s, left_s):
            self.dropped += 1
            raise Refused(f"it would wait for {wait_s * 1000:.0f} ms", self._retry_after())

    def refused_elsewhere(self) -> None:
        """Count a request that there was no room for before it came here."""
        self.dropped += 1

    async def enter(self, *, urgent: bool = True, left_s: float = math.inf) -> float:
        """Take a slot, waiting in line for it; `left_s`: seconds to its deadline. Returns what `leave` is to be given.

        Raises Refused if there is no place in the line, or when it is lost to a request of the other class.
        """
        if self.has_room:
            self.in_flight += 1
            now = self._clock()
            self._meter.moved(now, self.in_flight)
            return now
        self.check(urgent=urgent, left_s=left_s)
        loop = asyncio.get_running_loop()
        called: asyncio.Future[None] = loop.create_future()
        loser = self._line.push(called, urgent=urgent)
        if loser is not None:
            self.dropped += 1
            if not loser.done():  # else it has given up, and did not come to say so yet
                loser.set_exception(Refused("a request of the other class took its place", self._retry_after()))
        self._note(self._clock())
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled() and called.exception() is None:
                self.dropped += 1
                self._pass_on()  # it was promised the slot just before it gave up
            elif self._line.remove(called):  # else whoever took it out of the line has counted it
                self.dropped += 1
            self._note(self._clock())
            raise
        return self._clock()

    def resize(self, concurrency: int, streams: int | None = None) -> None:
        """Change the number of slots; those who wait get the new ones, and none is taken away from who has one.

        `streams`: how many requests the model works on at once, if not on as many as there are slots.
        """
        self._concurrency = concurrency
        while self.in_flight < concurrency and len(self._line):
            self.in_flight += 1
            self._pass_on()
        self.streams = concurrency if streams is None else min(streams, concurrency)
        now = self._clock()
        self._note(now)
        self._meter.resize(now, self.streams)

    def leave(self, entered: float, *, given_up: bool = False) -> None:
        """Give the slot back, to the first in line. `given_up`: the model never came to it."""
        now = self._clock()
        self._service.left(now - entered)
        if given_up:
            self.dropped += 1
        else:
            self.done += 1
        self._pass_on()
        self._note(now)

    def _note(self, now: float) -> None:
        self._meter.moved(now, self.in_flight, len(self._line))

    def _pass_on(self) -> None:
        while len(self._line) and self.in_flight <= self._concurrency:
            called = self._line.pop()
            if not called.done():
                called.set_result(None)  # in_flight stays: the slot changes hands
                return
            self.dropped += 1  # it has been cancelled and did not come to say so yet
        self.in_flight -= 1

    def _retry_after(self) -> int:
        return max(1, min(math.ceil(self._service.wait_s(len(self._line), self._concurrency)), 60))


class ByteBudget:
    """Bounds the memory that all request bodies together may take; `refused` hears of each that finds no room."""

    def __init__(self, limit: int, refused: Callable[[], None] = lambda: None) -> None:
        self._limit = limit
        self._refused = refused
        self.used = 0

    def account(self) -> Account:
        """Open an account for one request, a context at whose end what it took is given back."""
        return Account(self)

    def take(self, count: int) -> None:
        """Use `count` bytes more. Raises Refused when that is too much."""
        if self.used + count > self._limit:
            self._refused()
            raise Refused(f"the requests under way hold {self.used} bytes already")
        self.used += count


class Account:
    """What one request has taken of the budget."""

    __slots__ = ("_budget", "taken")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.used -= self.taken

    def take(self, count: int) -> None:
        """Use `count` bytes more. Raises Refused when that is too much."""
        self._budget.take(count)
        self.taken += count
