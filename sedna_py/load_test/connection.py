"""One connection of the load test: a request is one write, its reply is read as it comes.

An `asyncio.Protocol` without streams, tasks or futures per request, because the load test shares its processors with the
server that it measures.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Protocol, cast

from sedna_py.load_test.reply import BadReply, ReplyReader


class NoReply(StrEnum):
    """Why a request had no reply at all."""

    CONNECT_FAILED = "connect_failed"  # refused, no route
    CONNECTION_LOST = "connection_lost"  # closed before the reply was complete
    TIMED_OUT = "timed_out"  # no whole reply in time; connecting counts


class Owner(Protocol):
    """Who hears what became of requests and connections."""

    def replied(self, connection: Connection, reply: ReplyReader) -> None:
        """The request has its reply. If `reply.keep`, the connection may take another one at once."""

    def failed(self, connection: Connection, cause: str) -> None:
        """The request will have no reply; the connection ends, and `closed` follows."""

    def closed(self, connection: Connection) -> None:
        """The connection is gone, or about to be; may be said twice."""


class Connection(asyncio.Protocol):
    """Carries one request at a time. `due` and `begun` are of the owner's clock and belong to the last request."""

    __slots__ = ("_ended", "_owner", "_reader", "_transport", "_waiting", "begun", "broken", "busy", "due", "size")

    def __init__(self, owner: Owner, max_reply_bytes: int) -> None:
        self._owner = owner
        self._reader = ReplyReader(max_reply_bytes)
        self._transport: asyncio.Transport | None = None
        self._ended = False
        self._waiting = b""  # for the connection to be made
        self.busy = False
        self.broken = False  # whether its last request failed
        self.due = 0.0
        self.begun = 0.0
        self.size = 0  # of the request

    @property
    def made(self) -> bool:
        """Whether there ever was a connection."""
        return self._transport is not None

    def send(self, request: bytes, due: float, now: float) -> None:
        """Send a request, or as soon as the connection is made."""
        self.busy = True
        self.due = due
        self.begun = now
        self.size = len(request)
        self._reader.begin()
        if self._transport is None:
            self._waiting = request
        else:
            self._transport.write(request)

    def end(self, cause: str = "") -> None:
        """Close at once; a request on its way has failed for `cause`, or is forgotten without one."""
        if self.busy and cause:
            self._fail(cause)
        self.busy = False
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what waited for it (called by the event loop)."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's have the methods, not the class
        if self._ended:  # given up while it was being made
            self._transport.abort()
        elif self._waiting:
            self._transport.write(self._waiting)
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        """Read on (called by the event loop)."""
        if not self.busy:  # an answer to no question
            self.end()
            self._owner.closed(self)
            return
        try:
            complete = self._reader.feed(data)
        except BadReply as error:
            self.end(error.problem.value)
            return
        if complete:
            self._complete()

    def eof_received(self) -> None:
        """Take the end of a reply without a length (called by the event loop, which then closes)."""
        if not self.busy:
            self._owner.closed(self)  # now, before the loop says so, lest a request be given to it
        elif self._reader.at_end():
            self._complete()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell the owner (called by the event loop)."""
        if self.busy:
            self._fail(NoReply.CONNECTION_LOST.value)
        self._owner.closed(self)

    def _fail(self, cause: str) -> None:
        self.busy = False
        self.broken = True
        self._owner.failed(self, cause)

    def _complete(self) -> None:
        self.busy = False
        if not self._reader.keep and self._transport is not None:
            # Before the owner hears of it, so that it does not take the connection for a usable one.
            self._transport.abort()
        self._owner.replied(self, self._reader)
