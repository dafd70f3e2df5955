"""The worker's HTTP: uvicorn's, with replies that reach a client who is still sending, in one piece, and few timers.

A socket that is closed with bytes nobody has read is reset by the kernel, and the reset may overtake the reply on the client's
side: it would see a broken connection instead of the status that says why. So the connection is closed in one direction first
(RFC 9112, 9.6), and what still comes is thrown away for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from workers.connection_watch import EXTENSION, ConnectionWatch

LINGER_S: Final = 2.0
LINGER_BYTES: Final = 64 * 1024 * 1024


class WorkerProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with connections that linger where the request was not read to its end, and that can be watched."""

    _unreadable = False
    _idle_since: float | None = None  # by the event loop's clock; None while a request is under way
    _idle_timer: asyncio.TimerHandle | None = None
    _watch: ConnectionWatch

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        lingering = _LingeringTransport(transport, self, self._has_more)
        self._watch = ConnectionWatch(lingering.writing_at_once)
        super().connection_made(lingering)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever answers on it."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)
        self._watch.lost()

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

    def on_message_begin(self) -> None:
        """Begin a request; its scope carries the connection's watch."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"watch": self._watch}}

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the application refuses the request by its headers."""
        if not self._is_refused_at_once():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        super().on_message_complete()
        if isinstance(self.cycle, _Refused):
            self.cycle.more_body = False
        if self.cycle.response_complete:
            # It was answered before it was all there, and nobody else says that this is its end.
            self._idle_since = self.loop.time()

    def _is_refused_at_once(self) -> bool:
        refuse: Refuse | None = getattr(self.app, "refuse_at_once", None)
        parser = self.parser
        busy = self.cycle is not None and not self.cycle.response_complete
        if refuse is None or busy or parser.get_method() != b"POST" or not parser.should_keep_alive():
            return False
        reply = refuse(self.url, self.headers)
        if reply is None:
            return False
        self.cycle = _Refused()  # type: ignore[assignment]  # what comes of the body is thrown away
        fields = [*self.server_state.default_headers, *reply.fields()]
        head = b"".join([STATUS_LINE[reply.status], *(b"%s: %s\r\n" % field for field in fields), b"\r\n"])
        self.transport.write(head + reply.body)
        self.on_response_complete()
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; where the request would have ended is unknown then."""
        self._unreadable = True
        super().send_400_response(msg)

    def _has_more(self) -> bool:
        return self._unreadable or (self.cycle is not None and self.cycle.more_body)


class Reply(Protocol):
    """An answer as the application gives it."""

    body: bytes
    status: int

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Return its headers."""


Refuse = Callable[[bytes, list[tuple[bytes, bytes]]], Reply | None]


class _Refused:
    """Stands where uvicorn has the request and its response, for one that was answered before it became one."""

    response_complete = True
    more_body = True

    def __init__(self) -> None:
        self.message_event = self

    def set(self) -> None:
        """Nobody waits."""


class _LingeringTransport:
    """An asyncio transport with another `close`, and with a `write` that can be made to wait for more."""

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol, has_more: Callable[[], bool]) -> None:
        self._transport = transport
        self._protocol = protocol
        self._has_more = has_more
        self._lingering = False
        self._kept: list[bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._kept is None:
            self._transport.write(data)
        else:
            self._kept.append(data)

    @contextmanager
    def writing_at_once(self) -> Iterator[None]:
        self._kept = []
        try:
            yield
        finally:
            self._flush()

    def _flush(self) -> None:
        kept, self._kept = self._kept, None
        if kept:
            self._transport.write(b"".join(kept))

    def is_closing(self) -> bool:
        return self._lingering or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        self._flush()
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
