"""The controller's HTTP side: health, metrics, and the reports of workers.

Only the leader adds reports up; a standby passes them on to it. A passed-on request carries a mark and is never passed on
again, so that two replicas that each take the other for the leader cannot send it round in circles.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from yarl import URL

from controller.errors import ControllerError
from controller.metrics import ControllerMetrics, ReportOutcome
from controller.reports import RoutedReport, ServiceOfPod, route
from sedna_py.errors import BodyTooLarge, MalformedBody
from sedna_py.protocol.worker_report import MAX_REPORT_BYTES, ROUTE, answer_body, parse_report, report_path

LOG = logging.getLogger(__name__)

FORWARDED: Final = "Sedna-Forwarded"
_RETRY: Final = {"Retry-After": "5"}
_BACKLOG: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHooks:
    """What the rest of the controller answers about reports; all functions return at once.

    `accept` tells whether it counts the report; it does not where no such pod is known, or where the pod counts more hard ones
    than all. `leader_address` is the leader's base URL, such as http://10.0.0.7:9100, None while there is no leader; it is
    asked only where `leads` is false. Without these two it is the leader who takes the reports.
    """

    accept: Callable[[RoutedReport], bool]
    service_of_pod: ServiceOfPod
    leads: Callable[[], bool] = lambda: True
    leader_address: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpApiHooks(ReportHooks):
    """... and about itself: `not_alive` and `not_ready` give a reason, None where all is well."""

    not_alive: Callable[[], str | None]
    not_ready: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class HttpApiLimits:
    """Bounds on clients; `idle_s` also bounds the time in which the head of a request has to arrive."""

    body_bytes: int = MAX_REPORT_BYTES
    body_s: float = 5.0
    forward_s: float = 3.0
    idle_s: float = 30.0
    reports_at_once: int = 64
    connections: int = 1024


DEFAULT_LIMITS: Final = HttpApiLimits()


class HttpApi:
    """The server; `start` and `stop` belong to one event loop."""

    def __init__(self, hooks: HttpApiHooks, metrics: ControllerMetrics, limits: HttpApiLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._runner = web.AppRunner(
            create_app(hooks, metrics, limits),
            access_log=None,
            keepalive_timeout=limits.idle_s,
            lingering_time=min(limits.body_s, 1.0),
            shutdown_timeout=5.0,
            auto_decompress=False,  # nobody compresses a report, and a small body could grow without bound
        )
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "0.0.0.0", port: int = 9100) -> int:  # noqa: S104 - a server in a pod
        """Listen, and return the port; 0 takes a free one. Raises ControllerError if the address cannot be had."""
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connection, host, port, backlog=_BACKLOG
            )
        except OSError as error:
            await self._runner.cleanup()
            reason = error.strerror or error
            raise ControllerError(f"cannot listen on {host}:{port}: {reason}; write another address or port") from None
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close the door, let requests under way end within seconds, and close their connections."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._limits.connections:
            return Surplus()
        return server()


class Surplus(asyncio.Protocol):
    """A connection over the bound: it is ended at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """End it."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def create_app(
    hooks: HttpApiHooks, metrics: ControllerMetrics, limits: HttpApiLimits = DEFAULT_LIMITS
) -> web.Application:
    """Return the application with all its routes."""

    async def healthz(_: web.Request) -> web.Response:
        return _health(hooks.not_alive())

    async def readyz(_: web.Request) -> web.Response:
        return _health(hooks.not_ready())

    async def metrics_page(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    reports = ReportRoute(hooks, metrics, limits)
    app.cleanup_ctx.append(reports.client)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics_page)
    app.router.add_post(ROUTE, reports.handle)
    return app


def _health(problem: str | None) -> web.Response:
    return web.Response(text="ok\n") if problem is None else web.Response(status=503, text=f"{problem}\n")


class _Answer(NamedTuple):
    status: int
    message: str
    outcome: ReportOutcome
    close: bool = False  # where the rest of the body is not worth waiting for


class ReportRoute:
    """Takes reports in; what the replica that does not lead passes on goes by the `client` of the application."""

    def __init__(self, hooks: ReportHooks, metrics: ControllerMetrics, limits: HttpApiLimits) -> None:
        self._hooks = hooks
        self._metrics = metrics
        self._limits = limits
        self._under_way = 0
        self._session: aiohttp.ClientSession | None = None
        self._problem = ""

    async def client(self, _: web.Application) -> AsyncIterator[None]:
        """Have a client as long as the application runs."""
        timeout = aiohttp.ClientTimeout(total=self._limits.forward_s)
        connector = aiohttp.TCPConnector(limit=self._limits.reports_at_once)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as self._session:
            yield

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one report."""
        if self._under_way >= self._limits.reports_at_once:
            answer = _Answer(503, "too many reports at once; send it again later", "unavailable", close=True)
        else:
            self._under_way += 1
            try:
                answer = await self._receive(request)
            finally:
                self._under_way -= 1
        self._metrics.report(answer.outcome)
        body = answer_body(answer.status, answer.message)
        response = web.json_response(body, status=answer.status, headers=_RETRY if answer.status == 503 else None)
        if answer.close:
            response.force_close()
        return response

    async def _receive(self, request: web.Request) -> _Answer:
        try:
            async with asyncio.timeout(self._limits.body_s):
                body = await self._read(request)
            report = parse_report(request.match_info["name"], body)
        except TimeoutError:
            return _Answer(408, f"the report did not arrive within {self._limits.body_s:g} s", "refused", close=True)
        except BodyTooLarge as error:
            return _Answer(413, str(error), "refused", close=True)
        except MalformedBody as error:
            return _Answer(400, str(error), "refused")
        except (OSError, web.RequestPayloadError):
            return _Answer(400, "the report was cut off", "refused", close=True)
        if not self._hooks.leads():
            return await self._pass_on(request, report.worker, body)
        routed = route(report, self._hooks.service_of_pod)
        counted = routed is not None and self._hooks.accept(routed)
        return _Answer(200, report.problem or "OK", "accepted" if counted else "unrouted")

    async def _read(self, request: web.Request) -> bytes:
        limit = self._limits.body_bytes
        body = bytearray()
        if (request.content_length or 0) <= limit:
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > limit:
                    break
            else:
                return bytes(body)
        raise BodyTooLarge(f"the report is larger than {limit} bytes")

    async def _pass_on(self, request: web.Request, worker: str, body: bytes) -> _Answer:
        leader = self._hooks.leader_address()
        if FORWARDED in request.headers or leader is None or self._session is None:
            return _Answer(503, "this replica does not lead; send it again later", "unavailable")
        url = URL(leader.rstrip("/") + report_path(worker), encoded=True)
        headers = {FORWARDED: "1", "Content-Type": "application/json"}
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as reply:
                status = reply.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._say(leader, f"{type(error).__name__}: {error}".rstrip(": "))
            return _Answer(503, "the leading replica does not answer; send it again later", "unavailable")
        if status != 200:
            self._say(leader, f"status {status}")
            return _Answer(503, "the leading replica did not take it; send it again later", "unavailable")
        self._say(leader, "")
        return _Answer(200, "OK", "forwarded")

    def _say(self, leader: str, problem: str) -> None:
        if problem and problem != self._problem:
            LOG.warning("reports cannot be passed on to the leader at %s: %s", leader, problem)
        elif self._problem and not problem:
            LOG.info("reports reach the leader at %s again", leader)
        self._problem = problem
