"""The worker's HTTP: uvicorn's, with a shorter way for frames, replies that reach a client who is still sending, and few timers.

A socket that is closed with bytes nobody has read is reset by the kernel, and the reset may overtake the reply on the client's
side: it would see a broken connection instead of the status that says why. So the connection is closed in one direction first
(RFC 9112, 9.6), and what still comes is thrown away for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workers.direct_request import Direct, DirectRequest, Refusal, reply_bytes
from workers.incoming import EXTENSION, ConnectionWatch, Field

LINGER_S: Final = 2.0
LINGER_BYTES: Final = 64 * 1024 * 1024


class WorkerProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with connections that linger where the request was not read to its end, and that can be watched.

    An application may have `directs`: who answers a POST to which path without ASGI.
    """

    watch: ConnectionWatch
    _unreadable = False
    _idle_since: float | None = None  # by the event loop's clock; None while a request is under way
    _idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        self.watch = ConnectionWatch()
        self._directs: dict[bytes, Direct] = getattr(self.app, "directs", {})
        super().connection_made(_LingeringTransport(transport, self, self._has_more))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever answers on it."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self.watch.lost()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._idle_since = None
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next request, with one timer for the whole connection where uvicorn has one for each request."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        now = self.loop.time()
        since = now if self._idle_since is None else self._idle_since
        left = since + self.timeout_keep_alive - now
        if left <= 0:
            self.timeout_keep_alive_handler()
        else:
            self._idle_timer = self.loop.call_later(left, self._close_if_idle)

    @property
    def head(self) -> list[Field]:
        """The headers of every reply."""
        return self.server_state.default_headers

    def on_message_begin(self) -> None:
        """Begin a request; its scope carries the connection's watch."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"watch": self.watch}}

    def on_headers_complete(self) -> None:
        """Begin to answer: by the short way where there is one, and at once where the request is refused by its headers."""
        parser = self.parser
        path = self.url.partition(b"?")[0]  # a query may hold what no log should
        direct = self._directs.get(path)
        busy = self.cycle is not None and not self.cycle.response_complete
        if direct is None or busy or parser.get_method() != b"POST" or parser.should_upgrade():
            super().on_headers_complete()
            return
        keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        if keep_alive and (refusal := direct.refuse_at_once(path.decode(), self.headers)) is not None:
            self._refuse(refusal)
            return
        request = DirectRequest(
            self, path.decode(), self.headers, keep_alive=keep_alive, expects_100=self.expect_100_continue
        )
        self.cycle = request  # type: ignore[assignment]
        self._start_asgi_task(request, direct)  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if not isinstance(self.cycle, DirectRequest):
            super().on_body(body)
        elif not self.cycle.response_complete:
            self.cycle.feed(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        super().on_message_complete()
        if isinstance(self.cycle, _Refused | DirectRequest):
            self.cycle.more_body = False
        if self.cycle.response_complete:
            # It was answered before it was all there, and nobody else says that this is its end.
            self._idle_since = self.loop.time()

    def _refuse(self, refusal: Refusal) -> None:
        self.cycle = _Refused()  # type: ignore[assignment]  # what comes of the body is thrown away
        self.transport.write(reply_bytes(refusal.status, [*self.head, *refusal.fields()], refusal.body))
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; where the request would have ended is unknown then."""
        self._unreadable = True
        super().send_400_response(msg)

    def _has_more(self) -> bool:
        return self._unreadable or (self.cycle is not None and self.cycle.more_body)


class _Refused:
    """Stands where uvicorn has the request and its response, for one that was answered before it became one."""

    response_complete = True
    more_body = True

    def __init__(self) -> None:
        self.message_event = self

    def set(self) -> None:
        """Nobody waits."""


class _LingeringTransport:
    """An asyncio transport with another `close`."""

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol, has_more: Callable[[], bool]) -> None:
        self._transport = transport
        self._protocol = protocol
        self._has_more = has_more
        self._lingering = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._lingering or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if not self._has_more():
            self._transport.close()
            return
        self._lingering = True
        self._transport.set_protocol(_Discard(self._transport, self._protocol))
        self._transport.write_eof()
        self._transport.resume_reading()


class _Discard(asyncio.Protocol):
    """Reads on for nobody; the end of the connection is told to the protocol that had it before."""

    def __init__(self, transport: asyncio.Transport, before: asyncio.Protocol) -> None:
        self._transport = transport
        self._before = before
        self._left = LINGER_BYTES
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._before.connection_lost(exc)

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()
