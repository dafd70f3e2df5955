"""Ask the big model: one request, one deadline, one cause if it fails.

Nothing here can hold a frame longer than its deadline: connecting, sending and reading share it, the reply is bounded,
and an open circuit answers without touching the network.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx

from sedna_py.client.circuit_breaker import BreakerState, CircuitBreaker, Outcome, Permit, Refusal
from sedna_py.client.failures import CloudFailure, failure_of_exception, failure_of_status
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import CloudUnavailable, MalformedBody, SettingsError
from sedna_py.protocol import sedna_json
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.headers import (
    MAX_DEADLINE_MS,
    SERVER_TIMING,
    RequestHeaders,
    new_request_id,
    parse_server_timing,
)

T = TypeVar("T")

_MAX_ERROR_CHARS: Final = 200
# A frame that spent more than this part of its deadline waiting for a connection would come too late anyway.
_WAIT_SHARE: Final = 0.9
# What a keep-alive connection raises if the other side went away while it was idle.
_BROKEN_WHILE_IDLE: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


@dataclass(frozen=True, slots=True)
class CloudReply:
    """The big model's answer; `server_timing` is in milliseconds, `bytes_sent` counts bodies, a repeated one twice."""

    result: list[Any]
    latency_s: float
    server_timing: dict[str, float]
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes | None  # None: over the limit


@dataclass(slots=True)
class _Call:
    """One request and what became of it on the wire."""

    method: str
    path: str
    deadline: float
    headers: RequestHeaders
    body: bytes = b""
    media_type: str = ""
    attempts: int = 0
    new_connection: bool = False
    reply_begun: bool = False
    fresh: bool = False

    async def trace(self, event: str, _info: dict[str, Any]) -> None:
        """Follow the transport: whether it connected, and whether a reply began."""
        if event == "connection.connect_tcp.started":
            self.new_connection = True
        elif event.endswith("receive_response_headers.complete"):
            self.reply_begun = True


class CloudClient:
    """A client of one cloud address, for one event loop."""

    def __init__(
        self,
        base_url: str,
        prefix: str = "sedna",
        settings: ClientSettings | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings or ClientSettings()
        self._root = f"{_checked(base_url)}/{prefix.strip('/')}"
        self._clock = clock
        self._breaker = CircuitBreaker(self._settings.breaker_policy())
        self._closed = False
        self._client = self._make_client(transport, self._settings.max_connections)
        # Probes and repeats must not meet another connection that died unnoticed.
        self._fresh_client = self._make_client(transport, 0)

    @property
    def breaker_state(self) -> BreakerState:
        """The state of the circuit, for metrics."""
        return self._breaker.state

    def would_refuse(self) -> bool:
        """Whether a request made now would fail with the cause `circuit_open`; for who can spare itself the encoding."""
        return self._breaker.would_refuse(self._clock())

    async def predict(
        self, body: bytes, media_type: str, *, frame_id: str = "", deadline_s: float | None = None
    ) -> CloudReply:
        """Send one encoded frame and return the answer within `deadline_s` seconds (default: the settings').

        Raises CloudUnavailable, with its cause, for every failure.
        """
        started = self._clock()
        budget_s = self._budget(deadline_s)
        permit = self._permit(started)
        outcome = Outcome.ABANDONED
        headers = RequestHeaders(frame_id, new_request_id())
        call = _Call("POST", "/predict", started + budget_s, headers, body, media_type, fresh=permit.is_probe)
        try:
            answer = await self._ask(call)
            result = _read(answer, sedna_json.decode_reply)
            outcome = Outcome.SUCCESS
        except CloudFailure as failure:
            outcome = failure.outcome
            raise
        finally:
            self._breaker.resolve(permit, outcome, self._clock())
        timing = parse_server_timing(answer.headers.get(SERVER_TIMING))
        return CloudReply(result, self._clock() - started, timing, call.attempts * len(body))

    async def fetch_infos(self) -> dict[str, Any]:
        """Return what the service says about itself; a diagnosis, so the circuit neither forbids it nor learns from it.

        Raises CloudUnavailable.
        """
        deadline = self._clock() + self._budget(None)
        answer = await self._ask(_Call("GET", "", deadline, RequestHeaders(request_id=new_request_id())))
        return _read(answer, _decode_infos)

    async def aclose(self) -> None:
        """Close the connections; requests on their way and later ones fail with the cause `shutdown`."""
        self._closed = True
        await self._client.aclose()
        await self._fresh_client.aclose()

    def _make_client(self, transport: httpx.AsyncBaseTransport | None, keepalive: int) -> httpx.AsyncClient:
        settings = self._settings
        return httpx.AsyncClient(
            transport=transport,
            trust_env=False,
            limits=httpx.Limits(
                max_connections=settings.max_connections,
                max_keepalive_connections=keepalive,
                keepalive_expiry=settings.keepalive_s,
            ),
        )

    def _budget(self, deadline_s: float | None) -> float:
        if self._closed:
            raise CloudUnavailable(OffloadCause.SHUTDOWN, "the client is closed")
        budget_s = self._settings.deadline_s if deadline_s is None else deadline_s
        if not budget_s > 0:
            raise CloudUnavailable(OffloadCause.DEADLINE_EXCEEDED, "the deadline had passed before the cloud was asked")
        return min(budget_s, MAX_DEADLINE_MS / 1000)

    def _permit(self, now: float) -> Permit:
        decision = self._breaker.allow(now)
        if isinstance(decision, Refusal):
            raise CloudUnavailable(
                OffloadCause.CIRCUIT_OPEN, f"not asked ({decision.reason}); again in {decision.retry_in_s:.1f} s"
            )
        return decision

    async def _ask(self, call: _Call) -> _Answer:
        """Send within the deadline, twice at most. Raises CloudFailure and nothing else but cancellation."""
        try:
            async with asyncio.timeout(call.deadline - self._clock()):
                return await self._send_or_repeat(call)
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> CloudFailure:
        if self._closed:
            return CloudFailure(OffloadCause.SHUTDOWN, "the client was closed meanwhile", Outcome.ABANDONED)
        return failure_of_exception(error)

    async def _send_or_repeat(self, call: _Call) -> _Answer:
        try:
            return await self._send(call)
        except _BROKEN_WHILE_IDLE:
            # The pod behind a kept connection is gone; its successor has not seen this request.
            if call.new_connection or call.reply_begun or call.fresh or self._closed:
                raise
        call.fresh = True
        return await self._send(call)

    async def _send(self, call: _Call) -> _Answer:
        call.attempts += 1
        client = self._fresh_client if call.fresh else self._client
        async with client.stream(
            call.method,
            self._root + call.path,
            content=call.body or None,
            headers=self._headers(call),
            timeout=self._timeout(call),
            extensions={"trace": call.trace},
        ) as response:
            return _Answer(response.status_code, response.headers, await self._read_bounded(response))

    def _timeout(self, call: _Call) -> httpx.Timeout:
        # The deadline around the whole request bounds the rest.
        wait_s = max(call.deadline - self._clock(), 0.0) * _WAIT_SHARE
        return httpx.Timeout(None, connect=self._settings.connect_timeout_s, pool=wait_s)

    def _headers(self, call: _Call) -> dict[str, str]:
        left_s = call.deadline - self._clock()
        said = RequestHeaders(call.headers.frame_id, call.headers.request_id, left_s)
        # No compression: a reply is small, and a small body that unpacks to a huge one is not bounded by its bytes.
        headers = {**said.render(), "Accept": "application/json", "Accept-Encoding": "identity"}
        return {**headers, "Content-Type": call.media_type} if call.media_type else headers

    async def _read_bounded(self, response: httpx.Response) -> bytes | None:
        limit = self._settings.max_reply_bytes
        declared = response.headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared[:20]) > limit:
            return None
        chunks = bytearray()
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise httpx.DecodingError("the reply is compressed, which was not asked for")
        async for chunk in response.aiter_bytes():
            chunks += chunk
            if len(chunks) > limit:
                return None
        return bytes(chunks)


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise SettingsError(f"cloud address {base_url!r}: {error}; write http://host:port") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(f"cloud address {base_url!r} is not usable; write http://host:port")
    return base_url.rstrip("/")


def _read(answer: _Answer, decode: Callable[[bytes], T]) -> T:
    """Return the decoded body of a 200. Raises CloudFailure."""
    if answer.status != 200:
        text = (answer.body or b"")[:_MAX_ERROR_CHARS].decode("utf-8", "replace")
        raise failure_of_status(answer.status, text)
    if answer.body is None:
        raise CloudFailure(OffloadCause.INVALID_REPLY, "the reply is larger than max_reply_bytes")
    try:
        return decode(answer.body)
    except MalformedBody as error:
        raise CloudFailure(OffloadCause.INVALID_REPLY, str(error)) from error


def _decode_infos(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the service's description is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedBody('the service\'s description is not an object; expected {"infos": [...]}')
    return document
