"""An httpx transport for many small requests to few servers.

Carried by httpx's own transport, a hard frame's request costs the edge's processor a third of a light model's inference: a pool
that walks all its connections, locks and cancel scopes for each read and write, for two event libraries. Here a request is one
write and its reply a few reads (http_connection.py). No proxies, no HTTP/2, no bound of connections: who uses it has one.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import httpx

from sedna_py.client.http_connection import HttpConnection, Origin

CONNECTING: Final = "connect"  # events of the extension `notify`
BODY_LEFT: Final = "body_left"
REPLY_BEGUN: Final = "reply_begun"
Notify = Callable[[str], None]


class HttpTransport(httpx.AsyncBaseTransport):
    """Keeps up to `most_idle` connections for `keepalive_s` seconds each; 0 keeps none. For one event loop.

    Of a request's extensions it heeds `timeout` (its `connect`) and `notify`, which is called with CONNECTING, BODY_LEFT and
    REPLY_BEGUN. Raises what httpx raises.
    """

    def __init__(
        self, tls: ssl.SSLContext, most_idle: int, keepalive_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tls = tls
        self._most_idle = most_idle
        self._keepalive_s = keepalive_s
        self._clock = clock
        self._idle: dict[Origin, deque[HttpConnection]] = {}
        self._idle_count = 0
        self._in_use: set[HttpConnection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request whose body is bytes, and return the reply; its body is read from `stream`, which has to be closed."""
        notify: Notify = request.extensions.get("notify") or _ignore
        origin = self._origin(request.url)
        connection = self._take(origin)
        if connection is None:
            notify(CONNECTING)
            timeout: Mapping[str, float | None] = request.extensions.get("timeout") or {}
            connection = await HttpConnection.open(origin, timeout.get("connect"))
        self._in_use.add(connection)
        try:
            connection.send(request, request.content, lambda: notify(BODY_LEFT))
            head = await connection.head()
        except BaseException:
            self._give_up(connection)
            raise
        notify(REPLY_BEGUN)
        stream = _Reply(connection, lambda: self._release(origin, connection))
        return httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=stream)

    async def aclose(self) -> None:
        """Close every connection, also those in use."""
        idle = [connection for kept in self._idle.values() for connection in kept]
        self._idle.clear()
        self._idle_count = 0
        for connection in (*idle, *self._in_use):
            connection.abort()
        self._in_use.clear()

    def _origin(self, url: httpx.URL) -> Origin:
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"{url.scheme}: is neither http nor https")
        tls = self._tls if url.scheme == "https" else None
        return Origin(url.host, url.port or (443 if tls else 80), tls)

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
        if connection in self._in_use and self._most_idle > self._idle_count and connection.recycle(now):
            self._in_use.discard(connection)
            self._idle.setdefault(origin, deque()).append(connection)
            self._idle_count += 1
        else:
            self._give_up(connection)

    def _end_old(self, now: float) -> None:
        for origin, kept in tuple(self._idle.items()):
            while kept and now - kept[0].idle_since > self._keepalive_s:
                kept.popleft().abort()
                self._idle_count -= 1
            if not kept:
                del self._idle[origin]

    def _give_up(self, connection: HttpConnection) -> None:
        self._in_use.discard(connection)
        connection.abort()


class _Reply(httpx.AsyncByteStream):
    """A reply's body; its connection is released when it is closed."""

    def __init__(self, connection: HttpConnection, release: Callable[[], None]) -> None:
        self._connection = connection
        self._release: Callable[[], None] | None = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._connection.body():
            yield chunk

    async def aclose(self) -> None:
        if self._release is not None:
            release, self._release = self._release, None
            release()


def _ignore(_event: str) -> None:
    """Nobody wants to know."""
