"""Ask the big model: one request, one deadline, one cause if it fails.

Nothing here can hold a frame longer than its deadline: finding a pod, connecting, sending, a second try and reading share it,
the reply is bounded, and an open circuit answers without touching the network.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx

from sedna_py.client.balancer import Balancer, BalancerPolicy
from sedna_py.client.circuit_breaker import BreakerState, CircuitBreaker, Outcome, Permit, Refusal
from sedna_py.client.connections import Call, Connections
from sedna_py.client.dialect import Dialect, open_inference, sedna
from sedna_py.client.failures import CloudFailure, failure_of_exception, failure_of_status
from sedna_py.client.http_connection import Reply
from sedna_py.client.pod_lookup import PodLookup, PodSource
from sedna_py.client.pod_watch import PodWatch, WatchPolicy
from sedna_py.client.retry_budget import RetryBudget
from sedna_py.client.route import Route, RouteCounts, RouteFigures, RouteNews
from sedna_py.client.router import Router, RouterParts
from sedna_py.client.send_cap import NOT_LET_GO, SendCap
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import CloudUnavailable, MalformedBody, SettingsError
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.headers import (
    MAX_DEADLINE_MS,
    MODEL_INPUT,
    SERVER_TIMING,
    RequestHeaders,
    new_request_id,
    parse_server_timing,
)
from sedna_py.protocol.model_input import ModelInput, parse_model_input
from sedna_py.settings import redact

T = TypeVar("T")
LOG = logging.getLogger(__name__)

# A frame that spent more than this part of its deadline waiting for a place would come too late anyway.
_WAIT_SHARE: Final = 0.9
_LOOKUP_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class CloudReply:
    """The big model's answer; `server_timing` is in milliseconds, `bytes_sent` counts bodies, a repeated one twice.

    `model_input` is None where the cloud says nothing of it.
    """

    result: list[Any]
    latency_s: float
    server_timing: dict[str, float]
    bytes_sent: int
    model_input: ModelInput | None = None


@dataclass(slots=True)
class _Question:
    """What is asked about, until when (by the client's clock), and what that took so far."""

    body: bytes
    media_type: str
    headers: RequestHeaders
    deadline: float
    is_probe: bool
    bytes_sent: int = 0


class CloudClient:
    """A client of one cloud service, for one event loop: of its pods where `pods` names them, else of its one address.

    With `model` the cloud is a server of the Open Inference Protocol that has a model of that name; bodies are JPEG or PNG then.
    What `cap` does not let go fails with the cause `over_cap` or `larger_than_cap`; a repeated body counts again.
    """

    def __init__(
        self,
        base_url: str,
        prefix: str = "sedna",
        settings: ClientSettings | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        pods: PodSource | None = None,
        model: str = "",
        cap: SendCap | None = None,
    ) -> None:
        self._dialect = open_inference(model) if model else sedna(prefix)
        self._settings = settings or ClientSettings()
        root = _checked(base_url)
        self._clock = clock
        self._cap = cap
        self._closed = False
        chance = random.Random()
        self._breaker = CircuitBreaker(self._settings.breaker_policy(), chance)
        self._connections = Connections(self._settings, transport, clock, chance, tls=root.startswith("https:"))
        self._balancer = Balancer(BalancerPolicy(), chance)
        self._counts = RouteCounts()
        self._news = RouteNews(redact(root), str(pods or ""), clock())
        budget = RetryBudget.for_requests(self._settings.retry_ratio, self._settings.max_connections)
        parts = RouterParts(self._connections, self._balancer, budget, self._counts, clock, self._pod_failed, cap)
        self._router = Router(root, self._dialect, self._settings, parts)
        self._watch = self._make_watch(pods, chance) if pods else None

    @property
    def breaker_state(self) -> BreakerState:
        """The state of the circuit, for metrics."""
        return self._breaker.state

    @property
    def route(self) -> Route:
        """The way that requests take now."""
        if self._breaker.state is not BreakerState.CLOSED:
            return Route.NONE
        return Route.PODS if self._balancer.usable else Route.SERVICE

    def figures(self) -> RouteFigures:
        """Return what was sent which way; may be asked from any thread."""
        return self._counts.figures(self.route, self._balancer.counts())

    def would_refuse(self) -> bool:
        """Whether a request made now would fail unsent, as circuit open or asleep; for who can spare itself the encoding."""
        return self._breaker.would_refuse(self._clock())

    def asleep(self) -> bool:
        """Whether the last that the cloud said is that it is scaled to zero; may be asked from any thread."""
        return self._breaker.asleep

    def cap_is_full(self) -> bool:
        """Whether a request made now would most likely fail with the cause `over_cap`. For the client's own loop."""
        return self._cap is not None and self._cap.full(self._clock())

    def cap_has_spare(self, size: int) -> bool:
        """Whether a body of that size leaves half of the cap to others. For the client's own loop."""
        return self._cap is None or self._cap.has_spare(size, self._clock())

    async def start(self) -> None:
        """Begin to look for pods; the first request does it as well."""
        if self._watch is not None and not self._closed:
            self._watch.start()

    async def predict(
        self, body: bytes, media_type: str, *, frame_id: str = "", deadline_s: float | None = None, urgent: bool = True
    ) -> CloudReply:
        """Send one encoded frame and return the answer within `deadline_s` seconds (default: the settings').

        One that is not `urgent` waits behind others at the server. Raises CloudUnavailable, with its cause, for every failure.
        """
        started = self._clock()
        budget_s = self._budget(deadline_s)
        permit = self._permit(started)
        outcome = Outcome.ABANDONED
        headers = RequestHeaders(frame_id, new_request_id(), urgent=urgent)
        question = _Question(body, media_type, headers, started + budget_s, permit.is_probe)
        try:
            answer = await self._ask_in_forms(question)
            result = _read(answer, self._dialect, self._dialect.decode)
            outcome = Outcome.SUCCESS
        except CloudFailure as failure:
            outcome = failure.outcome
            raise
        finally:
            now = self._clock()
            self._breaker.resolve(permit, outcome, now)
            self._tell(now)
        timing = parse_server_timing(answer.header(SERVER_TIMING))
        model_input = parse_model_input(answer.header(MODEL_INPUT))
        return CloudReply(result, self._clock() - started, timing, question.bytes_sent, model_input)

    async def fetch_infos(self) -> dict[str, Any]:
        """Return what the service says about itself; a diagnosis, so the circuit neither forbids it nor learns from it.

        Raises CloudUnavailable.
        """
        deadline = self._clock() + self._budget(None)
        answer = await self._ask(Call("GET", "", deadline, RequestHeaders(request_id=new_request_id())))
        return _read(answer, self._dialect, _decode_infos)

    async def aclose(self) -> None:
        """Close the connections; requests on their way and later ones fail with the cause `shutdown`."""
        self._closed = True
        if self._watch is not None:
            self._watch.close()
        await self._connections.aclose()

    def _make_watch(self, pods: PodSource, chance: random.Random) -> PodWatch:
        lookup = PodLookup(pods, _LOOKUP_TIMEOUT_S, chance)
        return PodWatch(self._balancer, lookup, self._router.probe, WatchPolicy(), chance, self._clock)

    def _pod_failed(self) -> None:
        if self._watch is not None:
            self._watch.wake()

    def _tell(self, now: float) -> None:
        route = self.route
        dns = self._watch.trouble if self._watch is not None and route is Route.SERVICE else ""
        line = self._news.look(route, dns or self._counts.trouble, now, asleep=self._breaker.asleep)
        if line:
            worse = (route is Route.NONE and not self._breaker.asleep) or (
                route is Route.SERVICE and self._watch is not None
            )
            LOG.log(logging.WARNING if worse else logging.INFO, "%s", line)

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
            cause = OffloadCause.CLOUD_ASLEEP if self._breaker.asleep else OffloadCause.CIRCUIT_OPEN
            raise CloudUnavailable(cause, f"not asked ({decision.reason}); again in {decision.retry_in_s:.1f} s")
        return decision

    async def _ask_in_forms(self, question: _Question) -> Reply:
        """Send it in one form after the other until one is understood; return the last answer. Raises CloudFailure."""
        for form in self._dialect.forms_to_try():  # there is one at least
            try:
                body, content = form.encode(question.body, question.media_type, question.headers.request_id)
            except MalformedBody as error:
                raise CloudFailure(OffloadCause.ENCODE_FAILED, str(error), Outcome.ABANDONED) from error
            # A probe must not meet a connection that died unnoticed.
            call = Call(
                "POST", self._dialect.predict_path, question.deadline, question.headers, body, content,
                accept=self._dialect.accept, fresh=question.is_probe,
            )  # fmt: skip
            try:
                answer = await self._ask(call)
            except CloudFailure as failure:
                if question.bytes_sent and failure.cause in NOT_LET_GO:
                    self._dialect.expect(form)  # or each request would be sent in the other one first, for ever
                raise
            question.bytes_sent += call.bodies_sent * len(body)
            if self._dialect.understood(form, answer.status):
                break
        return answer

    async def _ask(self, call: Call) -> Reply:
        """Send within the deadline. Raises CloudFailure and nothing else but cancellation."""
        if self._watch is not None:
            await self.start()
        try:
            await self._connections.take_place((call.deadline - self._clock()) * _WAIT_SHARE)
            try:
                async with asyncio.timeout(self._left_s(call)):
                    return await self._router.send(call)
            finally:
                self._connections.leave_place()
        except Exception as error:
            raise self._failure(error) from error

    def _left_s(self, call: Call) -> float:
        """Return the seconds that a call with a place has. Raises httpx.PoolTimeout for none."""
        left_s = call.deadline - self._clock()
        if left_s <= 0:  # this process got no processor meanwhile, for which the cloud is not to blame
            raise httpx.PoolTimeout("its deadline passed while it waited for a place")
        return left_s

    def _failure(self, error: Exception) -> CloudFailure:
        if self._closed:
            return CloudFailure(OffloadCause.SHUTDOWN, "the client was closed meanwhile", Outcome.ABANDONED)
        return failure_of_exception(error)


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise SettingsError(f"cloud address {base_url!r}: {error}; write http://host:port") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(f"cloud address {base_url!r} is not usable; write http://host:port")
    return base_url.rstrip("/")


def _read(answer: Reply, dialect: Dialect, decode: Callable[[bytes, Mapping[str, str]], T]) -> T:
    """Return the decoded body of a 200. Raises CloudFailure."""
    if answer.status != 200:
        raise failure_of_status(answer.status, dialect.error_text(answer.body or b""), answer.body)
    if answer.body is None:
        raise CloudFailure(OffloadCause.INVALID_REPLY, "the reply is larger than max_reply_bytes")
    try:
        return decode(answer.body, answer.headers)
    except MalformedBody as error:
        raise CloudFailure(OffloadCause.INVALID_REPLY, str(error)) from error


def _decode_infos(body: bytes, _headers: Mapping[str, str]) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the service's description is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedBody('the service\'s description is not an object; expected {"infos": [...]}')
    return document
