"""One HTTP/1.1 connection over asyncio: h11 speaks, an `asyncio.Protocol` carries it. Raises what httpx raises."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, cast

import h11
import httpx

_HEAD_BYTES: Final = 100 * 1024  # of a reply's head at most, as httpcore allows
_UNREAD_BYTES: Final = 256 * 1024  # of a reply, after which no more is taken from the system


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection goes; `tls` None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class HttpConnection(asyncio.Protocol):
    """Carries one request at a time: `send`, then `head`, then `body` to its end; anything else ends it with `abort`."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._received: list[bytes] = []
        self._unread = 0
        self._paused = False
        self._ended = False  # by the other side
        self._lost: Exception | None = None
        self._wakes: asyncio.Future[None] | None = None
        self._full = False  # the system takes no more of the request for now
        self._body_left: Callable[[], None] | None = None
        self.idle_since = 0.0

    @classmethod
    async def open(cls, origin: Origin, timeout_s: float | None) -> HttpConnection:
        """Connect. Raises httpx.ConnectError or httpx.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        name = origin.host if origin.tls else None
        try:
            async with asyncio.timeout(timeout_s):
                _, protocol = await loop.create_connection(
                    cls, origin.host, origin.port, ssl=origin.tls, server_hostname=name, happy_eyeballs_delay=0.25
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except (OSError, ssl.SSLError) as error:
            raise httpx.ConnectError(str(error)) from error
        return protocol

    @property
    def usable(self) -> bool:
        """Whether it can take another request; one that the other side has closed, or said something on, cannot."""
        return self._http.our_state is h11.IDLE and not (self._ended or self._received or self._has_news())

    def send(self, request: httpx.Request, body: bytes, body_left: Callable[[], None]) -> None:
        """Write a request; `body_left` is called once the system has all of it. Raises httpx.LocalProtocolError."""
        assert self._transport is not None  # noqa: S101 - it is open
        try:
            parts = [
                self._http.send(
                    h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
                ),
                self._http.send(h11.Data(body)) if body else b"",
                self._http.send(h11.EndOfMessage()),
            ]
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        self._body_left = body_left
        self._transport.write(b"".join(part for part in parts if part))
        if not self._full:
            self._tell_body_left()

    async def head(self) -> h11.Response:
        """Return the reply's head; interim ones are passed over. Raises httpx.ReadError or httpx.RemoteProtocolError."""
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx.RemoteProtocolError("the server has closed the connection without a reply")

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the reply's body. Raises as `head`."""
        while True:
            event = await self._event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._tell_body_left()  # who answers before it has read all does not want the rest
                return
            else:
                raise httpx.RemoteProtocolError("the server has closed the connection in the middle of a reply")

    def recycle(self, now: float) -> bool:
        """Make ready for another request, and return whether it can take one: the last reply was read to its end."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE and not self._full:
            self._http.start_next_cycle()
        self.idle_since = now
        return self.usable

    def abort(self) -> None:
        """Close at once; who waits for a reply gets httpx.ReadError."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the system (called by the event loop)."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # so that `resume_writing` means that all of it has left

    def data_received(self, data: bytes) -> None:
        """Keep what came (called by the event loop)."""
        self._received.append(data)
        self._unread += len(data)
        if self._unread > _UNREAD_BYTES and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that nothing more comes (called by the event loop, which then closes)."""
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end (called by the event loop)."""
        self._lost = error or ConnectionAbortedError("the connection is closed")
        self._ended = True
        self._wake()

    def pause_writing(self) -> None:
        """Note that a part of the request is still here (called by the event loop)."""
        self._full = True

    def resume_writing(self) -> None:
        """Note that the system has all of the request (called by the event loop)."""
        self._full = False
        self._tell_body_left()

    def _has_news(self) -> bool:
        """Ask the system for what the event loop has had no time to tell yet: mostly that the other side has closed."""
        assert self._transport is not None  # noqa: S101 - it is open
        looking = select.poll()
        looking.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(looking.poll(0))

    async def _event(self) -> object:
        """Return h11's next event, waiting for as much of the reply as it takes."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                await self._hear()
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        return event

    async def _hear(self) -> None:
        """Give h11 what has come; wait for something where nothing has."""
        if not self._received and not self._ended:
            self._wakes = asyncio.get_running_loop().create_future()
            try:
                await self._wakes
            finally:
                self._wakes = None
        if self._received:
            data = self._received[0] if len(self._received) == 1 else b"".join(self._received)
            self._received.clear()
            self._unread = 0
            if self._paused and self._transport is not None:
                self._paused = False
                self._transport.resume_reading()
            self._http.receive_data(data)
        elif isinstance(self._lost, OSError) and not isinstance(self._lost, ConnectionAbortedError):
            raise httpx.ReadError(str(self._lost)) from self._lost
        else:
            self._http.receive_data(b"")

    def _wake(self) -> None:
        if self._wakes is not None and not self._wakes.done():
            self._wakes.set_result(None)

    def _tell_body_left(self) -> None:
        if self._body_left is not None:
            told, self._body_left = self._body_left, None
            told()
