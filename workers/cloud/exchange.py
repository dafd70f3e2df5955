"""One question over HTTP: headers, body, answer; all of it before the deadline, and every refusal with its cause.

It is no FastAPI route: at a thousandth of a second a request, routing, middleware and request objects would cost as much as
everything else between socket and model. What a question means is the dialect's business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from sedna_py.errors import BodyTooLarge, SednaError, UnsupportedMediaType
from sedna_py.protocol.headers import (
    DEADLINE_MS,
    FRAME_ID,
    PRIORITY,
    REQUEST_ID,
    SERVER_TIMING,
    TRACEPARENT,
    RequestHeaders,
)
from sedna_py.protocol.open_inference.binary_form import HEADER_LENGTH
from workers.cloud.admission import Account, ByteBudget, Refused
from workers.cloud.big_model import BigModel, NotReady
from workers.cloud.deadlines import Deadlines
from workers.cloud.failures import Failure, failure_of
from workers.cloud.handled import Handled, Observer
from workers.cloud.stages import Stages
from workers.incoming import AsgiRequest, Field, Fields, Incoming

_READ: Final = frozenset(
    name.lower().encode()
    for name in (
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "Origin",
        HEADER_LENGTH,
        FRAME_ID,
        REQUEST_ID,
        DEADLINE_MS,
        TRACEPARENT,
        PRIORITY,
    )
)
_SERVER_TIMING: Final = SERVER_TIMING.lower().encode()
_FRAME_ID: Final = FRAME_ID.lower().encode()
_REQUEST_ID: Final = REQUEST_ID.lower().encode()
_CLOSE: Final = (b"connection", b"close")
_ANY_ORIGIN: Final = (b"access-control-allow-origin", b"*")


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """`timeout_s` holds for a request that brings no deadline, and bounds one that brings a longer one."""

    max_body_bytes: int = 64 * 1024 * 1024
    timeout_s: float = 30.0


@dataclass(slots=True)
class Question:
    """What came: the headers that count (names in small letters), the body, and until when it must be answered."""

    headers: dict[str, str]
    about: RequestHeaders
    body: bytes
    stages: Stages
    deadline: float  # by the event loop's clock
    clock: Callable[[], float]  # that one

    def left_s(self) -> float:
        """Return the seconds to the deadline."""
        return self.deadline - self.clock()


@dataclass(slots=True)
class Reply:
    """What goes back."""

    body: bytes
    media_type: bytes = b"application/json"
    status: int = 200
    headers: list[Field] = field(default_factory=list)

    def fields(self) -> list[Field]:
        """Return all headers, those of the body among them."""
        size = str(len(self.body)).encode()
        return [(b"content-type", self.media_type), (b"content-length", size), *self.headers]


class Dialect(Protocol):
    """How one protocol asks and is answered."""

    async def answer(self, question: Question, path_params: Mapping[str, Any]) -> Reply:
        """Return the answer; `path_params` are what a route found in the address.

        Raises what `failure_of` knows, or anything else, which is an internal error.
        """

    def refuse(self, failure: Failure) -> Reply:
        """Return what a client of this protocol is told of a failure."""


class Exchange:
    """Who answers at one address: without ASGI where the connection knows that way, else as an ASGI application."""

    def __init__(
        self,
        model: BigModel,
        limits: ExchangeLimits,
        dialect: Dialect,
        budget: ByteBudget,
        observers: Sequence[Observer],
    ) -> None:
        self._model = model
        self._observers = observers
        self._limits = limits
        self._dialect = dialect
        self._bytes = budget
        self._deadlines = Deadlines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that came through ASGI."""
        await self.answer(AsgiRequest(scope, receive, send))

    async def answer(self, request: Incoming) -> None:
        """Answer one request."""
        begun, begun_at = time.perf_counter(), time.time()
        clock = asyncio.get_running_loop().time
        now = self._model.last_asked = clock()
        stages = Stages()
        headers = _known(request.fields)
        echoed: list[Field] = []
        outcome, close, about = "ok", False, RequestHeaders()
        ending = _Ending(asyncio.current_task())
        try:
            request.tell_if_lost(ending.client_left)
            about = RequestHeaders.parse_lowered(headers)
            echoed = _echo(about)
            deadline = now + self._timeout(about)
            with self._deadlines.calling(deadline, ending.time_is_over):
                reply = await self._ask(Question(headers, about, b"", stages, deadline, clock), begun, request)
        except asyncio.CancelledError:
            # Who is told of nothing was cancelled by the server: the time for draining is over.
            failure = failure_of(ending.why or NotReady("the worker is shutting down"))
            outcome, reply = failure.cause, self._dialect.refuse(failure)
            # Else the rest of a slow body would keep the connection open for ever.
            close = isinstance(ending.why, TimeoutError) and not stages.read
        except Exception as error:  # noqa: BLE001 - the client must hear of it, and the worker must live on
            failure = failure_of(error)
            outcome, reply = failure.cause, self._dialect.refuse(failure)
        finally:
            request.tell_if_lost(None)
        if "origin" in headers:  # upstream's server is open to pages of every origin
            echoed.append(_ANY_ORIGIN)
        if close or self._model.draining:
            echoed.append(_CLOSE)
        echoed.append((_SERVER_TIMING, stages.server_timing()))
        await request.reply(reply.status, [*reply.fields(), *echoed], reply.body)
        ended_at = begun_at + time.perf_counter() - begun
        sizes = (stages.bytes_read, len(reply.body))
        self._tell(Handled(request.path, reply.status, outcome, about, stages, begun_at, ended_at, sizes))

    def refuse_at_once(self, path: str, fields: Fields) -> Reply | None:
        """Return what a request is told that there is no room for now; None for any other, which is to be answered as usual.

        Under ten times the load that a worker can bear nine of ten requests are refused: whatever that costs is taken from the
        tenth. So the connection asks here before it makes a request of what came; nothing is awaited.
        """
        if not self._model.is_pressed or self._model.draining:
            return None
        headers, begun = _known(fields), time.time()
        try:
            about = RequestHeaders.parse_lowered(headers)
            self._check_head(headers)
            self._model.check_room(urgent=about.urgent, left_s=self._timeout(about))
        except Refused as error:
            failure = failure_of(error)
        except SednaError:
            return None
        else:
            return None
        self._model.last_asked = asyncio.get_running_loop().time()
        reply = self._dialect.refuse(failure)
        reply.headers += _echo(about)
        if "origin" in headers:
            reply.headers.append(_ANY_ORIGIN)
        self._tell(
            Handled(path, reply.status, failure.cause, about, Stages(), begun, time.time(), (0, len(reply.body)))
        )
        return reply

    def _timeout(self, about: RequestHeaders) -> float:
        if about.deadline_s is None:  # 0 is a deadline that has passed
            return self._limits.timeout_s
        return min(about.deadline_s, self._limits.timeout_s)

    def _tell(self, handled: Handled) -> None:
        for observe in self._observers:
            observe(handled)

    async def _ask(self, question: Question, begun: float, request: Incoming) -> Reply:
        self._check_head(question.headers)
        self._model.check_room(urgent=question.about.urgent, left_s=question.left_s())
        with self._bytes.account() as account:
            question.body = await self._read(request, account)
            question.stages.read = time.perf_counter() - begun
            question.stages.bytes_read = len(question.body)
            if question.left_s() <= 0:  # the timer tells of it some milliseconds late, and a model may be faster
                raise TimeoutError
            return await self._dialect.answer(question, request.path_params)

    def _check_head(self, headers: Mapping[str, str]) -> None:
        encoding = headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise UnsupportedMediaType(f"Content-Encoding {encoding[:40]!r} is not supported; send the body as it is")
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._limits.max_body_bytes:
            raise self._too_large()

    async def _read(self, request: Incoming, account: Account) -> bytes:
        body, more = await request.next()
        self._take(account, body)
        if not more:  # nearly always: a frame comes at once
            return body
        chunks = bytearray(body)
        while more:
            body, more = await request.next()
            self._take(account, body)
            chunks += body
        return bytes(chunks)

    def _take(self, account: Account, chunk: bytes) -> None:
        if account.taken + len(chunk) > self._limits.max_body_bytes:
            raise self._too_large()
        account.take(len(chunk))

    def _too_large(self) -> BodyTooLarge:
        limit = self._limits.max_body_bytes
        return BodyTooLarge(f"the body is larger than {limit} bytes; send a JPEG, or raise MAX_BODY_BYTES")


class _Ending:
    """Ends the work on a request that nobody waits for any more; `why` is the first reason."""

    __slots__ = ("_task", "why")

    def __init__(self, task: asyncio.Task[Any] | None) -> None:
        self._task = task
        self.why: Exception | None = None

    def client_left(self) -> None:
        """The connection is gone."""
        self._end(ClientDisconnect())

    def time_is_over(self) -> None:
        """The deadline has passed."""
        self._end(TimeoutError())

    def _end(self, why: Exception) -> None:
        if self.why is None:
            self.why = why
            if self._task is not None:
                self._task.cancel()


def _known(fields: Fields) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in fields if name in _READ}


def _echo(about: RequestHeaders) -> list[Field]:
    said = ((_FRAME_ID, about.frame_id), (_REQUEST_ID, about.request_id))
    return [(name, value.encode("ascii")) for name, value in said if value]
