"""The HTTP connections of one client, and one request on them.

Three kinds: kept ones to the pods; kept ones to the Service, which are replaced before they grow old, because a Service
chooses a pod once a connection; and fresh ones for whoever must not meet a connection that died unnoticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

import httpx

from sedna_py.client.http_transport import BODY_LEFT, CONNECTING, REPLY_BEGUN, HttpTransport
from sedna_py.client.route import RetryCause
from sedna_py.client.settings import ClientSettings
from sedna_py.protocol.headers import RequestHeaders

# Requests at once have a bound of their own; beyond it each of so many pods may keep an idle connection.
_IDLE_PODS: Final = 32
_AGE_JITTER: Final = 0.2
_USER_AGENT: Final = "sedna-py"


class Kind(Enum):
    """Which connections a request may use."""

    POD = auto()
    SERVICE = auto()
    FRESH = auto()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: a URL up to the service's prefix, and how long a connection may take to be made."""

    root: str
    kind: Kind
    connect_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole reply; `body` is None if it is over the limit."""

    status: int
    headers: httpx.Headers
    body: bytes | None

    @property
    def closes(self) -> bool:
        """Whether the server will take nothing more on this connection."""
        return "close" in self.headers.get("Connection", "").lower()


@dataclass(slots=True)
class Call:
    """One request, and what became of its last attempt on the wire. `deadline` is of the client's clock.

    `content` are the headers of the body.
    """

    method: str
    path: str
    deadline: float
    headers: RequestHeaders
    body: bytes = b""
    content: Mapping[str, str] = field(default_factory=dict)
    accept: str = "application/json"
    fresh: bool = False  # use no kept connection
    bodies_sent: int = 0
    new_connection: bool = False
    reply_begun: bool = False
    body_left: Callable[[], None] = lambda: None  # called when an attempt's body is with the system
    result: Answer | Exception | None = None  # of the last attempt
    retry: RetryCause | None = None  # why the next attempt is made again

    def follow(self, event: str) -> None:
        """Follow the transport: whether it connected, whether the body has left, and whether a reply began."""
        if event == CONNECTING:
            self.new_connection = True
        elif event == BODY_LEFT:
            self.body_left()
        elif event == REPLY_BEGUN:
            self.reply_begun = True


class Connections:
    """Sends requests; bounds their number and their replies. For one event loop."""

    def __init__(
        self,
        settings: ClientSettings,
        transport: httpx.AsyncBaseTransport | None,
        clock: Callable[[], float],
        chance: random.Random,
        *,
        tls: bool,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._chance = chance
        # Made once: reading the certificates takes longer than a request.
        self._tls = httpx.create_ssl_context() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._places = asyncio.Semaphore(settings.max_connections)
        self._closed = False
        self._urls: dict[str, httpx.URL] = {}
        self._old: set[_Generation] = set()  # followed by another, but still in use
        self._closing: set[asyncio.Task[None]] = set()
        self._fresh = self._make(0)
        self._pods = self._make(settings.max_connections + _IDLE_PODS)
        self._service = self._generation()

    @contextlib.asynccontextmanager
    async def place(self, wait_s: float) -> AsyncIterator[None]:
        """Take one of the places for requests. Raises httpx.PoolTimeout if none is free in `wait_s` seconds."""
        try:
            async with asyncio.timeout(wait_s):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("as many requests as allowed were on their way all the time") from None
        try:
            yield
        finally:
            self._places.release()

    async def send(self, call: Call, target: Target) -> Answer:
        """Send once and return the reply. Raises what httpx raises."""
        call.new_connection = call.reply_begun = False
        if target.kind is not Kind.SERVICE:
            return await self._exchange(self._pods if target.kind is Kind.POD else self._fresh, call, target)
        generation = self._current()
        generation.users += 1
        try:
            return await self._exchange(generation.transport, call, target)
        finally:
            generation.users -= 1
            self._retire(generation)

    async def aclose(self) -> None:
        """Close every connection, also those in use."""
        self._closed = True
        own = (self._service.transport, self._pods, self._fresh, *(old.transport for old in self._old))
        await asyncio.gather(*(transport.aclose() for transport in own), *self._closing)

    async def _exchange(self, transport: httpx.AsyncBaseTransport, call: Call, target: Target) -> Answer:
        """Send by the transport itself: cookies, redirects and the rest of httpx's client are not needed, and cost."""
        request = httpx.Request(
            call.method,
            self._url(target.root + call.path),
            content=call.body or None,
            headers=self._headers(call),
            # The deadline around the whole request bounds the rest.
            extensions={"notify": call.follow, "timeout": {"connect": target.connect_s}},
        )
        if self._closed:  # a transport would connect again
            raise RuntimeError("the connections are closed")
        call.bodies_sent += 1
        try:
            response = await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            call.bodies_sent -= 1
            raise
        try:
            return Answer(response.status_code, response.headers, await self._read_bounded(response))
        finally:
            await response.aclose()

    def _headers(self, call: Call) -> dict[str, str]:
        left_s = call.deadline - self._clock()
        said = replace(call.headers, deadline_s=left_s)
        # No compression: a reply is small, and a small body that unpacks to a huge one is not bounded by its bytes.
        headers = {**said.render(), "Accept": call.accept, "Accept-Encoding": "identity", "User-Agent": _USER_AGENT}
        return {**headers, **call.content}

    def _url(self, text: str) -> httpx.URL:
        url = self._urls.get(text)
        if url is None:
            if len(self._urls) > 4 * _IDLE_PODS:  # pods come and go
                self._urls.clear()
            url = self._urls[text] = httpx.URL(text)
        return url

    async def _read_bounded(self, response: httpx.Response) -> bytes | None:
        limit = self._settings.max_reply_bytes
        declared = response.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared[:20]) > limit:
            return None
        chunks = bytearray()
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise httpx.DecodingError("the reply is compressed, which was not asked for")
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - an asynchronous transport's
        async for chunk in response.stream:
            chunks += chunk
            if len(chunks) > limit:
                return None
        return bytes(chunks)

    def _current(self) -> _Generation:
        old = self._service
        if self._clock() >= old.ends_at:
            self._service = self._generation()
            self._old.add(old)
            self._retire(old)
        return self._service

    def _generation(self) -> _Generation:
        if self._transport is not None:
            return _Generation(self._make(self._settings.max_connections), float("inf"))
        age_s = self._settings.connection_age_s * self._chance.uniform(1 - _AGE_JITTER, 1 + _AGE_JITTER)
        return _Generation(self._make(self._settings.max_connections), self._clock() + age_s)

    def _retire(self, generation: _Generation) -> None:
        """Close a generation that another one has followed, once its last request has ended."""
        if generation is self._service or generation.users:
            return
        self._old.discard(generation)
        # Beside the request, which need not wait for it.
        closing = asyncio.get_running_loop().create_task(generation.transport.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _make(self, keepalive: int) -> httpx.AsyncBaseTransport:
        if self._transport is not None:
            return self._transport
        return HttpTransport(self._tls, keepalive, self._settings.keepalive_s)


class _Generation:
    """Connections of about the same age, and how many requests use them."""

    __slots__ = ("ends_at", "transport", "users")

    def __init__(self, transport: httpx.AsyncBaseTransport, ends_at: float) -> None:
        self.transport = transport
        self.ends_at = ends_at
        self.users = 0
