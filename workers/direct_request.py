"""One request between the connection and who answers it, without ASGI.

A frame comes and goes in one piece each. ASGI has them in messages, each of them checked and noted by the server: half of what an
event loop does for a request, and on a busy machine, where the model has emptied the processor's caches, a tenth of a light
model's time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from workers.incoming import ConnectionWatch, Field, Fields, Incoming, Tell

LOG = logging.getLogger(__name__)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE: Final = (b"connection", b"close")
_FAILED: Final = b"Internal Server Error"


class Refusal(Protocol):
    """An answer to a request of which nobody will read the body."""

    body: bytes
    status: int

    def fields(self) -> list[Field]:
        """Return its headers."""


class Direct(Protocol):
    """Who answers such requests."""

    async def answer(self, request: Incoming) -> None:
        """Answer one request."""

    def refuse_at_once(self, path: str, fields: Fields) -> Refusal | None:
        """Return the answer to a request that is not to be read; None for one that is to be answered."""


class Connection(Protocol):
    """What of a connection its requests use; `head` are the server's own headers."""

    transport: asyncio.Transport
    flow: FlowControl
    watch: ConnectionWatch

    @property
    def head(self) -> list[Field]:
        """The headers of every reply."""

    def on_response_complete(self) -> None:
        """Go on with the next request."""


class DirectRequest:
    """An Incoming that stands where uvicorn's protocol has the request and its response: it has the attributes used there."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_expects_100",
        "_held",
        "_waiter",
        "disconnected",
        "fields",
        "keep_alive",
        "more_body",
        "path",
        "response_complete",
    )
    path_params: Mapping[str, Any] = {}

    def __init__(
        self, connection: Connection, path: str, fields: Fields, *, keep_alive: bool, expects_100: bool
    ) -> None:
        self.path = path
        self.fields = fields
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_complete = False
        self.disconnected = False
        self._connection = connection
        self._expects_100 = expects_100
        self._chunks: list[bytes] = []
        self._held = 0  # bytes in them
        self._waiter: asyncio.Future[None] | None = None

    @property
    def message_event(self) -> DirectRequest:
        """What uvicorn sets when something has changed."""
        return self

    def set(self) -> None:
        """Wake who waits for the body: more of it came, it is at its end, or the client has left."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def feed(self, chunk: bytes) -> None:
        """Take a part of the body."""
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held > HIGH_WATER_LIMIT:
            self._connection.flow.pause_reading()
        self.set()

    async def run_asgi(self, direct: Direct) -> None:
        """Let it be answered; the name is that of uvicorn's."""
        try:
            await direct.answer(self)
        except BaseException:  # as uvicorn has it: a client hears of whatever happens
            LOG.exception("a request was not answered")
            if not self.response_complete:
                fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(_FAILED)), _CLOSE]
                await self.reply(500, fields, _FAILED)

    async def next(self) -> tuple[bytes, bool]:
        """As in Incoming."""
        connection = self._connection
        if self._expects_100:
            self._expects_100 = False
            if not connection.transport.is_closing():
                connection.transport.write(_CONTINUE)
        while self.more_body and not self._chunks and not connection.watch.is_lost:
            connection.flow.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if connection.watch.is_lost:
            raise ClientDisconnect
        chunks, self._chunks, self._held = self._chunks, [], 0
        return (chunks[0] if len(chunks) == 1 else b"".join(chunks)), self.more_body

    def tell_if_lost(self, tell: Tell | None) -> None:
        """As in Incoming."""
        self._connection.watch.tell_if_lost(tell)

    async def reply(self, status: int, fields: Sequence[Field], body: bytes) -> None:
        """Write head and body at once: one packet and one system call at each end."""
        connection = self._connection
        if connection.flow.write_paused and not connection.watch.is_lost:
            await connection.flow.drain()
        if _CLOSE in fields:
            self.keep_alive = False
        elif not self.keep_alive:
            fields = [*fields, _CLOSE]
        self.response_complete = True
        if connection.watch.is_lost:
            return
        connection.transport.write(reply_bytes(status, [*connection.head, *fields], body))
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()


def reply_bytes(status: int, fields: Sequence[Field], body: bytes) -> bytes:
    """Return a whole reply. The fields are the worker's own, so there is nothing to look for in them."""
    return b"".join([STATUS_LINE[status], *[b"%b: %b\r\n" % field for field in fields], b"\r\n", body])
