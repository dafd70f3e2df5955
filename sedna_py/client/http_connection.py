"""One HTTP/1.1 connection over asyncio; httptools reads the replies. Raises what httpx raises."""

from __future__ import annotations

import asyncio
import contextlib
import select
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, cast

import httptools
import httpx

_HEAD_BYTES: Final = 100 * 1024  # of a reply's head at most, as httpcore allows
_LARGE_BYTES: Final = 512 * 1024  # of a body; boxes are a few thousand


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection goes; `tls` None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; names in `headers` are in small letters, `body` is None if it is over the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def closes(self) -> bool:
        """Whether the server will take nothing more on this connection."""
        return "close" in self.header("Connection").lower()

    def header(self, name: str) -> str:
        """Return the value of a header, an empty text where there is none."""
        return self.headers.get(name.lower(), "")


class Follower(Protocol):
    """Is told of a request's steps, each at most once and in this order; `body_left`: the system has all of it."""

    def connecting(self) -> None: ...

    def body_left(self) -> None: ...

    def reply_begun(self) -> None: ...


class LargeBodies:
    """The connections whose replies turned out to be large: one of them is read at a time, the others wait in the system.

    So that as many requests as may be on their way do not need so many times the memory of the largest reply.
    """

    def __init__(self) -> None:
        self._line: deque[HttpConnection] = deque()

    def enter(self, connection: HttpConnection) -> bool:
        """Note that one has a large body; return whether it may read on. Else `go_on` is called when it may."""
        self._line.append(connection)
        return self._line[0] is connection

    def leave(self, connection: HttpConnection) -> None:
        """Note that one reads nothing more; it need not have entered."""
        if connection not in self._line:
            return
        first = self._line[0] is connection
        self._line.remove(connection)
        if first and self._line:
            self._line[0].go_on()


class HttpConnection(asyncio.Protocol):
    """Carries one request at a time, and takes no reply whose body is over `most_bytes`."""

    def __init__(self, most_bytes: int, large: LargeBodies) -> None:
        self._most_bytes = most_bytes
        self._large = large
        self._is_large = False
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._follower: Follower | None = None
        self._asked: asyncio.Future[Reply] | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()  # one piece of memory: many small ones of a huge reply would not go back to the system
        self._head_bytes = 0
        self._head_read = False
        self._body_here = False  # a part of it at least
        self._full = False  # the system takes no more of the request for now
        self._spoilt = False  # it can carry nothing any more
        self._aborted = False
        self.idle_since = 0.0

    @classmethod
    async def open(cls, origin: Origin, timeout_s: float | None, most_bytes: int, large: LargeBodies) -> HttpConnection:
        """Connect. Raises httpx.ConnectError or httpx.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        name = origin.host if origin.tls else None
        try:
            async with asyncio.timeout(timeout_s):
                _, protocol = await loop.create_connection(
                    lambda: cls(most_bytes, large),
                    origin.host,
                    origin.port,
                    ssl=origin.tls,
                    server_hostname=name,
                    happy_eyeballs_delay=0.25,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except (OSError, ssl.SSLError) as error:
            raise httpx.ConnectError(str(error)) from error
        return protocol

    @property
    def usable(self) -> bool:
        """Whether it can take another request; one that the other side has closed, or said something on, cannot."""
        return not (self._spoilt or self._full or self._asked is not None or self._has_news())

    async def ask(self, head: bytes, body: bytes, follower: Follower) -> Reply:
        """Write a request and return its reply. Raises httpx.ReadError or httpx.RemoteProtocolError."""
        assert self._transport is not None  # noqa: S101 - it is open
        asked: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked = asked
        self._follower = follower
        self._begin()
        if self._spoilt:
            self._fail(httpx.ReadError("the connection is closed"))
        else:
            self._body_here = True
            self._transport.write(head + body)
            if not self._full:
                self._tell_body_left()
        try:
            return await asked
        finally:
            self._asked = self._follower = None
            if not asked.done() or asked.cancelled() or asked.exception() is not None:  # the last is to see it as well
                self.abort()

    def abort(self) -> None:
        """Close at once; who waits for a reply gets httpx.ReadError."""
        self._spoilt = self._aborted = True
        self._leave_line()
        if self._transport is not None:
            self._transport.abort()

    def go_on(self) -> None:
        """Read on: the large bodies before this one have been read."""
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the system (called by the event loop)."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # so that `resume_writing` means that all of it has left

    def data_received(self, data: bytes) -> None:
        """Read what came (called by the event loop)."""
        if self._asked is None:  # nobody has asked for it
            self.abort()
            return
        if not self._head_read:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(f"no HTTP reply: {error}"))
        if not self._head_read and self._head_bytes > _HEAD_BYTES:
            self._fail(httpx.RemoteProtocolError("the head of the reply is too long"))

    def eof_received(self) -> None:
        """Note that nothing more comes (called by the event loop, which then closes)."""
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end (called by the event loop)."""
        self._end(error)

    def pause_writing(self) -> None:
        """Note that a part of the request is still here (called by the event loop)."""
        self._full = True

    def resume_writing(self) -> None:
        """Note that the system has all of the request (called by the event loop)."""
        self._full = False
        self._tell_body_left()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or add to it (called by the parser)."""
        if self._head_read:  # one behind the body
            return
        said, text = name.decode("latin-1").lower(), value.decode("latin-1")
        before = self._headers.get(said)
        self._headers[said] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        """Look whether the reply may be read (called by the parser)."""
        if self._is_interim():
            return
        self._head_read = True
        if self._follower is not None:
            self._follower.reply_begun()
        declared = self._headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._most_bytes:
            self._answer(None)

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body (called by the parser)."""
        if self._asked is None or self._asked.done():
            return
        if len(self._body) + len(data) > self._most_bytes:
            self._answer(None)
            return
        self._body += data
        if len(self._body) > _LARGE_BYTES and not self._is_large and self._transport is not None:
            self._is_large = True
            if not self._large.enter(self):
                self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Answer who has asked (called by the parser)."""
        if self._is_interim():
            self._headers.clear()
        else:
            self._answer(bytes(self._body))

    def _begin(self) -> None:
        self._headers, self._body = {}, bytearray()
        self._head_bytes = 0
        self._head_read = False

    def _is_interim(self) -> bool:
        return 100 <= self._parser.get_status_code() < 200

    def _answer(self, body: bytes | None) -> None:
        """Give the reply to who has asked; `body` None leaves the rest of it unread."""
        if self._asked is None or self._asked.done():
            return
        self._tell_body_left()  # who answers before it has read all does not want the rest
        if body is None or self._full or not self._parser.should_keep_alive():
            self._spoilt = True
        self._asked.set_result(Reply(self._parser.get_status_code(), self._headers, body))
        self._body = bytearray()
        self._leave_line()
        if body is None:
            self.abort()

    def _end(self, error: Exception | None) -> None:
        """Nothing more comes: that ends a body of no declared length, and breaks off any other."""
        self._spoilt = True
        if self._asked is None or self._asked.done():
            return
        if self._aborted or isinstance(error, OSError):
            self._fail(httpx.ReadError(str(error or "the connection was given up")))
        elif self._head_read and self._ends_with_connection():
            self._answer(bytes(self._body))
        elif self._head_read:
            self._fail(httpx.RemoteProtocolError("the server has closed the connection in the middle of a reply"))
        else:
            self._fail(httpx.RemoteProtocolError("the server has closed the connection without a reply"))

    def _ends_with_connection(self) -> bool:
        chunked = "chunked" in self._headers.get("transfer-encoding", "").lower()
        return not chunked and "content-length" not in self._headers

    def _leave_line(self) -> None:
        if self._is_large:
            self._is_large = False
            self._large.leave(self)

    def _tell_body_left(self) -> None:
        if self._body_here and self._follower is not None:
            self._body_here = False
            self._follower.body_left()

    def _fail(self, error: httpx.TransportError) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error)
        self.abort()

    def _has_news(self) -> bool:
        """Ask the system for what the event loop has had no time to tell yet: mostly that the other side has closed."""
        assert self._transport is not None  # noqa: S101 - it is open
        looking = select.poll()
        with contextlib.suppress(ValueError):  # it is closed
            looking.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
            return bool(looking.poll(0))
        return True
