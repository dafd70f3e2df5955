"""The HTTP connections of one client, and one request on them.

Three kinds: kept ones to the pods; kept ones to the Service, which are replaced before they grow old, because a Service
chooses a pod once a connection; and fresh ones for whoever must not meet a connection that died unnoticed.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

import httpx

from sedna_py.client.foreign_transport import ForeignTransport
from sedna_py.client.http_connection import LargeBodies, Reply
from sedna_py.client.http_pool import Exchanger, HttpPool, Request
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


@dataclass(slots=True)
class Call:
    """One request, and what became of its last attempt on the wire (it is its Follower). `deadline` is of the client's clock.

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
    has_reply: bool = False  # the begin of one at least
    on_body_left: Callable[[], None] = lambda: None  # called when an attempt's body is with the system
    result: Reply | Exception | None = None  # of the last attempt
    retry: RetryCause | None = None  # why the next attempt is made again

    def connecting(self) -> None:
        """As in Follower."""
        self.new_connection = True

    def body_left(self) -> None:
        """As in Follower."""
        self.on_body_left()

    def reply_begun(self) -> None:
        """As in Follower."""
        self.has_reply = True


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
        self._large = LargeBodies()
        self._closed = False
        self._old: set[_Generation] = set()  # followed by another, but still in use
        self._closing: set[asyncio.Task[None]] = set()
        self._fresh = self._make(0)
        self._pods = self._make(settings.max_connections + _IDLE_PODS)
        self._service = self._generation()

    async def take_place(self, wait_s: float) -> None:
        """Take one of the places for requests, until `leave_place`; wait `wait_s` seconds at most. Raises httpx.PoolTimeout."""
        if not self._places.locked():  # as nearly always: a time-out has its price
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("as many requests as allowed were on their way all the time") from None

    def leave_place(self) -> None:
        """Give a place back."""
        self._places.release()

    async def send(self, call: Call, target: Target) -> Reply:
        """Send once and return the reply. Raises what httpx raises."""
        call.new_connection = call.has_reply = False
        if target.kind is not Kind.SERVICE:
            return await self._exchange(self._pods if target.kind is Kind.POD else self._fresh, call, target)
        generation = self._current()
        generation.users += 1
        try:
            return await self._exchange(generation.exchanger, call, target)
        finally:
            generation.users -= 1
            self._retire(generation)

    async def aclose(self) -> None:
        """Close every connection, also those in use."""
        self._closed = True
        own = (self._service.exchanger, self._pods, self._fresh, *(old.exchanger for old in self._old))
        await asyncio.gather(*(exchanger.aclose() for exchanger in own), *self._closing)

    async def _exchange(self, exchanger: Exchanger, call: Call, target: Target) -> Reply:
        if self._closed:  # it would connect again
            raise RuntimeError("the connections are closed")
        request = Request(call.method, target.root + call.path, self._headers(call), call.body)
        call.bodies_sent += 1
        try:
            # The deadline around the whole request bounds the rest.
            reply = await exchanger.exchange(request, call, target.connect_s)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            call.bodies_sent -= 1
            raise
        if reply.header("Content-Encoding") not in ("", "identity"):
            raise httpx.DecodingError("the reply is compressed, which was not asked for")
        return reply

    def _headers(self, call: Call) -> dict[str, str]:
        left_s = call.deadline - self._clock()
        # No compression: a reply is small, and a small body that unpacks to a huge one is not bounded by its bytes.
        headers = {"Accept": call.accept, "Accept-Encoding": "identity", "User-Agent": _USER_AGENT}
        return {**headers, **replace(call.headers, deadline_s=left_s).render(), **call.content}

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
        closing = asyncio.get_running_loop().create_task(generation.exchanger.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _make(self, keepalive: int) -> Exchanger:
        settings = self._settings
        if self._transport is not None:
            return ForeignTransport(self._transport, settings.max_reply_bytes)
        return HttpPool(self._tls, keepalive, settings.keepalive_s, settings.max_reply_bytes, large=self._large)


class _Generation:
    """Connections of about the same age, and how many requests use them."""

    __slots__ = ("ends_at", "exchanger", "users")

    def __init__(self, exchanger: Exchanger, ends_at: float) -> None:
        self.exchanger = exchanger
        self.ends_at = ends_at
        self.users = 0
