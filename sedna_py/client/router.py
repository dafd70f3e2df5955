"""One request, its way, and its second try.

To a ready pod; to another pod if that one cannot take it; to the Service if no pod can. A second try never goes where the
first one went, is bounded by a budget and by the deadline around all of it, and repeats nothing of which a reply has begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx

from sedna_py.client.balancer import Balancer, Pod, PodState, Verdict
from sedna_py.client.circuit_breaker import Outcome
from sedna_py.client.connections import Call, Connections, Kind, Target
from sedna_py.client.dialect import Dialect
from sedna_py.client.failures import CloudFailure, failure_of_exception, failure_of_status
from sedna_py.client.http_connection import Reply
from sedna_py.client.retry_budget import RetryBudget
from sedna_py.client.route import OK, RetryCause, Route, RouteCounts
from sedna_py.client.send_cap import SendCap
from sedna_py.client.settings import ClientSettings
from sedna_py.protocol.asleep import cause_in
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.headers import SERVER_TIMING, RequestHeaders, parse_server_timing

_MOST_PODS: Final = 2  # that are asked before the Service is
_CONNECTING: Final = (httpx.ConnectError, httpx.ConnectTimeout)
_BROKEN: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
# What a server that goes away says beside `Connection: close`; with other answers it is about that one request.
_FAREWELLS: Final = frozenset({200, 429, 503})
# Stages of the cloud worker's Server-Timing; `read` is the link's time and `queue` the line's, others are some proxy's.
_WORK: Final = ("decode", "infer", "encode")
_GATEWAY_ERRORS: Final = frozenset({502, 503, 504})

Result = Reply | Exception


@dataclass(frozen=True, slots=True)
class RouterParts:
    """What a router works with. `on_failure` is called when a pod has been set aside; without a `cap` all may be sent."""

    connections: Connections
    balancer: Balancer
    budget: RetryBudget
    counts: RouteCounts
    clock: Callable[[], float]
    on_failure: Callable[[], None]
    cap: SendCap | None = None


class _Capped(CloudFailure):
    """The cap did not let the body go: nothing was sent, and nobody is to blame."""

    def __init__(self, cause: OffloadCause, cap: SendCap, size: int) -> None:
        super().__init__(cause, f"not sent: a body of {size} bytes, and the cap is {cap.name}", Outcome.ABANDONED)


class Router:
    """Sends requests to the service at `root` (http://host:port) by the best way, for one event loop."""

    def __init__(self, root: str, dialect: Dialect, settings: ClientSettings, parts: RouterParts) -> None:
        self._dialect = dialect
        self._settings = settings
        self._parts = parts
        self._service = Target(f"{root}/{dialect.prefix}", Kind.SERVICE, settings.connect_timeout_s)
        self._service_fresh = Target(f"{root}/{dialect.prefix}", Kind.FRESH, settings.connect_timeout_s)

    async def send(self, call: Call) -> Reply:
        """Return the reply of whoever answered. Raises what httpx raises, or CloudFailure for what the cap keeps here."""
        try:
            return await self._send(call)
        except _Capped:
            if call.result is None:
                raise
        return _unwrap(call.result)  # the cap allows no second try; what came of the first one stands

    async def _send(self, call: Call) -> Reply:
        parts = self._parts
        parts.budget.deposit()
        tried: list[str] = []
        while len(tried) < _MOST_PODS and (pod := parts.balancer.choose(tried)) is not None:
            result = await self._ask_pod(call, pod)
            cause = _why_elsewhere(result, call)
            if cause is RetryCause.OVERLOADED and (tried or not parts.balancer.others(pod)):
                return _unwrap(result)  # as busy as this one, or this one again
            tried.append(pod.address)
            if cause is None or not parts.budget.withdraw():
                return _unwrap(result)
            call.retry = cause
        return await self._ask_service(call, fresh=call.fresh or bool(tried))

    async def probe(self, pod: Pod) -> Verdict:
        """Ask a pod what it is; raises nothing."""
        limit_s = self._settings.pod_connect_timeout_s
        call = Call("GET", self._dialect.probe_path, self._parts.clock() + 2 * limit_s, RequestHeaders())
        try:
            async with asyncio.timeout(2 * limit_s):
                answer = await self._parts.connections.send(call, self._pod(pod, Kind.POD))
        except Exception as error:  # noqa: BLE001 - whatever it is, the pod cannot be used now
            self._parts.counts.trouble = str(failure_of_exception(error))
            return Verdict.FAILED
        if answer.status in _GATEWAY_ERRORS or (self._dialect.ready_by_200 and answer.status != 200):
            self._parts.counts.trouble = f"a pod answered {answer.status}"
            return Verdict.FAILED
        return Verdict.CLOSING if answer.closes else Verdict.ANSWERED

    async def _ask_pod(self, call: Call, pod: Pod) -> Result:
        verdict, work_s = Verdict.NOTHING, 0.0
        try:
            result = await self._attempt(call, self._pod(pod, Kind.FRESH if call.fresh else Kind.POD), Route.PODS)
            verdict, work_s = _verdict(result), _work_s(result)
        except asyncio.CancelledError:
            if self._parts.clock() >= call.deadline:
                verdict = Verdict.NO_ANSWER
            raise
        finally:
            self._parts.balancer.settle(pod, verdict, self._parts.clock(), work_s)
            if pod.state is not PodState.READY:
                self._parts.on_failure()
        return result

    async def _ask_service(self, call: Call, *, fresh: bool) -> Reply:
        result = await self._attempt(call, self._service_fresh if fresh else self._service, Route.SERVICE)
        cause = None if fresh else _why_again(result, call)
        if cause is None:
            return _unwrap(result)
        # A kept connection breaks once; that a pod is not ready may last.
        if cause is not RetryCause.CONNECTION_LOST and not self._parts.budget.withdraw():
            return _unwrap(result)
        call.retry = cause
        return _unwrap(await self._attempt(call, self._service_fresh, Route.SERVICE))

    async def _attempt(self, call: Call, target: Target, route: Route) -> Result:
        """Send once unless the cap keeps the body here."""
        cap, size, clock = self._parts.cap, len(call.body), self._parts.clock
        if cap is None or not size:
            self._count_retry(call)
            return await self._exchange(call, target, route)
        passage = cap.take(size, clock())
        if isinstance(passage, OffloadCause):
            return _Capped(passage, cap, size)
        self._count_retry(call)
        before = call.bodies_sent
        call.on_body_left = lambda: passage.left(clock())
        try:
            call.result = await self._exchange(call, target, route)
        finally:
            passage.left(clock(), sent=call.bodies_sent > before)
        return call.result

    async def _exchange(self, call: Call, target: Target, route: Route) -> Result:
        outcome: str | None = None
        try:
            answer = await self._parts.connections.send(call, target)
        except asyncio.CancelledError:
            if self._parts.clock() >= call.deadline:
                outcome = OffloadCause.DEADLINE_EXCEEDED.value
            raise
        except Exception as error:  # noqa: BLE001 - who called decides what to make of it
            failure = failure_of_exception(error)
            outcome, self._parts.counts.trouble = failure.cause.value, str(failure)
            return error
        else:
            outcome = OK if answer.status == 200 else failure_of_status(answer.status, "", answer.body).cause.value
            return answer
        finally:
            if outcome is not None:
                self._parts.counts.attempts[route, outcome] += 1

    def _count_retry(self, call: Call) -> None:
        """Count a second try once nothing keeps it here any more."""
        if call.retry is not None:
            self._parts.counts.retries[call.retry] += 1
            call.retry = None

    def _pod(self, pod: Pod, kind: Kind) -> Target:
        return Target(f"http://{pod.address}/{self._dialect.prefix}", kind, self._settings.pod_connect_timeout_s)


def _unwrap(result: Result) -> Reply:
    if isinstance(result, Exception):
        raise result
    return result


def _verdict(result: Result) -> Verdict:
    if isinstance(result, Reply):
        if result.closes and result.status in _FAREWELLS:
            return Verdict.CLOSING
        return Verdict.FAILED if result.status in (502, 503) else Verdict.ANSWERED
    return Verdict.FAILED if isinstance(result, (*_CONNECTING, *_BROKEN)) else Verdict.NOTHING


def _work_s(result: Result) -> float:
    """Return the seconds that the worker says it worked on the request, 0 if it says nothing; waiting in line is no work."""
    if not isinstance(result, Reply) or result.status != 200:
        return 0.0
    timing = parse_server_timing(result.header(SERVER_TIMING))
    return sum(timing.get(stage, 0.0) for stage in _WORK) / 1000


def _why_elsewhere(result: Result, call: Call) -> RetryCause | None:
    """Return why a request that a pod did not answer should go to another one, None if it should not."""
    if isinstance(result, Reply):
        return {503: RetryCause.NOT_READY, 429: RetryCause.OVERLOADED}.get(result.status)
    if isinstance(result, _CONNECTING):
        return RetryCause.CONNECT_FAILED
    return RetryCause.CONNECTION_LOST if isinstance(result, _BROKEN) and not call.has_reply else None


def _why_again(result: Result, call: Call) -> RetryCause | None:
    """Return why a request that the Service did not answer should be sent on a fresh connection, None if it should not."""
    if isinstance(result, Reply):
        return RetryCause.NOT_READY if result.status == 503 and cause_in(result.body) == "not_ready" else None
    # The pod behind a kept connection is gone; its successor has not seen this request.
    broken_while_idle = isinstance(result, _BROKEN) and not call.new_connection and not call.has_reply
    return RetryCause.CONNECTION_LOST if broken_while_idle else None
