"""The requests under way: what a closed and an open loop have in common."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sedna_py.load_test.connection import Connection, NoReply
from sedna_py.load_test.reply import ReplyReader
from sedna_py.load_test.tally import Tally

# How exact time-outs are: one look at all connections costs less than a timer for each request.
_SWEEPS_PER_TIMEOUT: Final = 20
_MAX_SWEEP_S: Final = 0.1
_CLOSE_S: Final = 2.0
_MAX_TROUBLE_CHARS: Final = 300

Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[Any]]  # make a connection for the protocol; raises OSError


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request (seconds, bytes) and of connections at once."""

    timeout_s: float
    max_reply_bytes: int
    max_connections: int


class Traffic:
    """Sends prepared requests in turn over its connections; how fast is for the subclasses. For one event loop."""

    def __init__(
        self, requests: Sequence[bytes], dial: Dial, limits: Limits, tally: Tally, clock: Callable[[], float]
    ) -> None:
        self._requests = requests
        self._dial = dial
        self._limits = limits
        self._clock = clock
        self._turn = 0
        self._connections: dict[Connection, asyncio.Future[Any]] = {}
        self._loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None
        self._quiet: asyncio.Future[None] | None = None  # resolved when no request is under way
        self._empty: asyncio.Future[None] | None = None  # resolved when no connection is left
        self.tally = tally
        self.stopped = False
        self.opened = 0
        self.trouble = ""  # why the last connection could not be made

    def start(self) -> None:
        """Begin to send."""
        self._sweep()

    def stop(self) -> None:
        """Send nothing more."""
        self.stopped = True

    async def drained(self) -> None:
        """Return when no request is under way, which the time-out bounds; after `stop`."""
        if any(connection.busy for connection in self._connections):
            self._quiet = self._loop.create_future()
            await self._quiet

    async def aclose(self) -> None:
        """Close every connection; what is on its way is forgotten."""
        self.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection, dialling in list(self._connections.items()):
            connection.end()
            dialling.cancel()
        if self._connections:
            self._empty = self._loop.create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._empty

    def free(self, connection: Connection, now: float) -> None:
        """Use a connection whose request has been answered, or keep it."""
        raise NotImplementedError

    def lost(self, connection: Connection) -> None:
        """Make up for a connection that is gone, where that is called for."""

    def replied(self, connection: Connection, reply: ReplyReader) -> None:
        """Count a reply (see connection.Owner)."""
        now = self._clock()
        tally = self.tally
        tally.reply(reply.status, reply.body, connection.due, now)
        if tally.begins <= now < tally.ends:
            tally.bytes_received += reply.size
            tally.bytes_sent += connection.size
        if reply.keep and not self.stopped:
            self.free(connection, now)
        elif self._quiet is not None:
            self._look()

    def failed(self, connection: Connection, cause: str) -> None:
        """Count a request without a reply (see connection.Owner)."""
        self.tally.failure(cause, connection.due)
        if self._quiet is not None:
            self._look()

    def closed(self, connection: Connection) -> None:
        """Forget a connection (see connection.Owner)."""
        if self._connections.pop(connection, None) is None:
            return
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)
        if not self.stopped:
            self.lost(connection)

    def send(self, connection: Connection, due: float, now: float) -> None:
        """Send the next request, which was due then."""
        request = self._requests[self._turn]
        self._turn += 1
        if self._turn == len(self._requests):
            self._turn = 0
        tally = self.tally
        if tally.begins <= due < tally.ends:
            tally.sent += 1
        connection.send(request, due, now)

    def open(self) -> Connection:
        """Begin to make a connection; it takes a request at once, and sends it when it is made."""
        connection = Connection(self, self._limits.max_reply_bytes)
        dialling = asyncio.ensure_future(self._dial(lambda: connection))
        self._connections[connection] = dialling
        dialling.add_done_callback(partial(self._dialled, connection))
        return connection

    def _dialled(self, connection: Connection, dialling: asyncio.Future[Any]) -> None:
        error = None if dialling.cancelled() else dialling.exception()
        if error is not None:
            self.trouble = f"{type(error).__name__}: {error}"[:_MAX_TROUBLE_CHARS]
        if error is None and not dialling.cancelled():
            self.opened += 1
        elif not connection.made:  # else it hears of its end itself
            connection.end(NoReply.CONNECT_FAILED.value)
            self.closed(connection)

    def _sweep(self) -> None:
        oldest = self._clock() - self._limits.timeout_s
        for connection, dialling in list(self._connections.items()):
            if connection.busy and connection.begun <= oldest:
                connection.end(NoReply.TIMED_OUT.value)
                dialling.cancel()
        pause = min(self._limits.timeout_s / _SWEEPS_PER_TIMEOUT, _MAX_SWEEP_S)
        self._sweeper = self._loop.call_later(pause, self._sweep)

    def _look(self) -> None:
        """Resolve `drained` if nothing is under way."""
        busy = any(connection.busy for connection in self._connections)
        if self._quiet is not None and not self._quiet.done() and not busy:
            self._quiet.set_result(None)
