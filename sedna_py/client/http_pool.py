"""Kept HTTP/1.1 connections for many small requests to few servers.

Carried by httpx, a hard frame's request costs the edge's processor a good part of a light model's inference: objects for each
request and reply, a pool that walks all its connections, locks and cancel scopes for each read and write. Here a request is one
write, and its reply what httptools makes of a read or two (http_connection.py). No proxies, no HTTP/2, no bound of connections:
who uses it has one.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import httpx

from sedna_py.client.http_connection import Follower, HttpConnection, LargeBodies, Origin, Reply

_KNOWN_URLS: Final = 128  # pods come and go


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `url` begins with http:// or https://; headers that the connection needs are added to `headers`."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Exchanger(Protocol):
    """Sends requests and returns their replies. Raises what httpx raises."""

    async def exchange(self, request: Request, follower: Follower, connect_s: float | None = None) -> Reply: ...

    async def aclose(self) -> None: ...


class HttpPool:
    """Keeps up to `most_idle` connections for `keepalive_s` seconds each; 0 keeps none. For one event loop.

    A reply whose body is over `most_bytes` comes without it. Pools may share the line of their `large` bodies.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        most_idle: int,
        keepalive_s: float,
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        large: LargeBodies | None = None,
    ) -> None:
        self._tls = tls
        self._most_idle = most_idle
        self._keepalive_s = keepalive_s
        self._most_bytes = most_bytes
        self._clock = clock
        self._large = large or LargeBodies()
        self._idle: dict[Origin, deque[HttpConnection]] = {}
        self._idle_count = 0
        self._in_use: set[HttpConnection] = set()
        self._places: dict[tuple[str, str], tuple[Origin, str]] = {}  # by method and URL, with the begin of the head

    async def exchange(self, request: Request, follower: Follower, connect_s: float | None = None) -> Reply:
        """As in Exchanger; a connection may take `connect_s` seconds to be made."""
        origin, head = self._place(request.method, request.url)
        written = _head(head, request)
        connection = self._take(origin)
        if connection is None:
            follower.connecting()
            connection = await HttpConnection.open(origin, connect_s, self._most_bytes, self._large)
        self._in_use.add(connection)
        try:
            return await connection.ask(written, request.body, follower)
        finally:
            self._release(origin, connection)

    async def aclose(self) -> None:
        """Close every connection, also those in use."""
        idle = [connection for kept in self._idle.values() for connection in kept]
        self._idle.clear()
        self._idle_count = 0
        for connection in (*idle, *self._in_use):
            connection.abort()
        self._in_use.clear()

    def _place(self, method: str, text: str) -> tuple[Origin, str]:
        """Return where a request goes, and how its head begins. Raises httpx.InvalidURL or httpx.UnsupportedProtocol."""
        place = self._places.get((method, text))
        if place is None:
            if len(self._places) >= _KNOWN_URLS:
                self._places.clear()
            url = httpx.URL(text)
            if url.scheme not in ("http", "https"):
                raise httpx.UnsupportedProtocol(f"{url.scheme}: is neither http nor https")
            tls = self._tls if url.scheme == "https" else None
            head = f"{method} {url.raw_path.decode('ascii')} HTTP/1.1\r\nHost: {url.netloc.decode('ascii')}\r\n"
            place = self._places[method, text] = Origin(url.host, url.port or (443 if tls else 80), tls), head
        return place

    def _take(self, origin: Origin) -> HttpConnection | None:
        """Return the connection that was used last; those that are too old or closed end here."""
        kept = self._idle.get(origin)
        while kept:
            connection = kept.pop()
            self._idle_count -= 1
            if connection.usable and self._clock() - connection.idle_since <= self._keepalive_s:
                return connection
            connection.abort()
        self._idle.pop(origin, None)
        return None

    def _release(self, origin: Origin, connection: HttpConnection) -> None:
        now = self._clock()
        self._end_old(now)
        known = connection in self._in_use
        self._in_use.discard(connection)
        if known and self._most_idle > self._idle_count and connection.usable:
            connection.idle_since = now
            self._idle.setdefault(origin, deque()).append(connection)
            self._idle_count += 1
        else:
            connection.abort()

    def _end_old(self, now: float) -> None:
        for origin, kept in tuple(self._idle.items()):
            while kept and now - kept[0].idle_since > self._keepalive_s:
                kept.popleft().abort()
                self._idle_count -= 1
            if not kept:
                del self._idle[origin]


def _head(begin: str, request: Request) -> bytes:
    """Return the whole head. Raises httpx.LocalProtocolError for a header that would be more than one."""
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    length = f"Content-Length: {len(request.body)}\r\n" if request.body or request.method != "GET" else ""
    text = "".join((begin, *lines, length))
    if text.count("\n") != begin.count("\n") + len(lines) + bool(length) or text.count("\r") != text.count("\n"):
        raise httpx.LocalProtocolError("a header has a line break in it")
    try:
        return f"{text}\r\n".encode("latin-1")
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError(f"a header cannot be written: {error}") from error
