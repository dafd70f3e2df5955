"""The HTTPS side: every request is answered in JSON, as Kubernetes' API servers do."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from aiohttp import web

from controller.errors import ControllerError
from controller.metrics_api import catalogue
from controller.metrics_api.access import Access
from controller.metrics_api.answers import MetricValue, Refusal, not_found, status_body, value_list
from controller.metrics_api.front_proxy import common_names
from controller.metrics_api.paths import MetricPath, metric_path
from controller.metrics_api.selectors import Selector, SelectorError, parse_selector

_log = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 256
HANDSHAKE_S: Final = 5.0
IDLE_S: Final = 75.0
LEAVE_S: Final = 2.0
_BACKLOG: Final = 128
_HEALTH: Final = ("/healthz", "/readyz", "/livez")
_RETRY: Final = {"Retry-After": "1"}
_DOCUMENTS: Final = catalogue.documents()


class Source(Protocol):
    """Knows the values of this moment."""

    def find(self, path: MetricPath, selector: Selector) -> Sequence[MetricValue]:
        """Return what has a value, by name; nothing for an unknown metric."""
        ...


class MetricsServer:
    """The server; one listener at a time, each with a TLS context of its own on the same socket."""

    def __init__(self, access: Access, source: Source, count: Callable[[int], None] = lambda _: None) -> None:
        """`count` is told the status of each answer."""
        self._access = access
        self._source = source
        self._count = count
        self._runner: web.ServerRunner | None = None
        self._socket: socket.socket | None = None
        self._listener: asyncio.Server | None = None
        self.port = 0
        """Where it listens; 0 before `start`."""

    async def start(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """Listen; port 0 takes a free one. Raises ControllerError if the address cannot be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen(_BACKLOG)
        except OSError as error:
            bound.close()
            reason = error.strerror or error
            raise ControllerError(f"cannot listen on {host}:{port}: {reason}; write another METRICS_API_PORT") from None
        bound.setblocking(False)
        answering = web.Server(self._handle, access_log=None, keepalive_timeout=IDLE_S, auto_decompress=False)
        self._runner = web.ServerRunner(answering, shutdown_timeout=LEAVE_S)
        await self._runner.setup()
        self._socket = bound
        await self.renew(context)
        self.port = bound.getsockname()[1]

    async def renew(self, context: ssl.SSLContext) -> None:
        """Use another context for connections from now on; those that are there go on, and none is refused meanwhile."""
        if self._socket is None:
            raise RuntimeError("start the server first")
        before = self._listener
        self._listener = await asyncio.get_running_loop().create_server(
            self._connection, sock=self._socket.dup(), ssl=context, ssl_handshake_timeout=HANDSHAKE_S, backlog=_BACKLOG
        )
        if before is not None:
            before.close()

    async def stop(self) -> None:
        """Close the door, let requests under way end, and close their connections."""
        if self._listener is not None:
            self._listener.close()
        if self._socket is not None:
            self._socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server if self._runner is not None else None
        if server is None or len(server.connections) >= MOST_CONNECTIONS:
            return _TurnedAway()
        return server()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            answer = await self._answer(request)
        except Refusal as refusal:
            answer = _json(status_body(refusal.status, str(refusal)), refusal.status)
        except Exception:  # noqa: BLE001 - one request must not end its connection without an answer
            _log.exception("metrics API, %s: unexpected error", request.path)
            answer = _json(status_body(500, "unexpected error; the controller's log has it"), 500)
        self._count(answer.status)
        return answer

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        path = request.rel_url.raw_path
        if path in _HEALTH:
            return web.Response(text="ok")
        names = common_names(request.get_extra_info("peercert"))
        caller = await self._access.caller(names, request.headers.items())
        if request.method not in {"GET", "HEAD"}:
            raise Refusal(405, f"{request.method} is not known here; values can only be got")
        metric = metric_path(path)
        await self._access.check(caller, request.path, metric)
        if metric is None:
            return _json(_document(request.path.rstrip("/")))
        return _json(self._values(metric, request))

    def _values(self, path: MetricPath, request: web.BaseRequest) -> dict[str, Any]:
        query = request.rel_url.query
        if query.get("watch", "") not in {"", "0", "false"}:
            raise Refusal(400, "metrics cannot be watched; get them again")
        try:
            objects = parse_selector(query.get("labelSelector", ""))
            series = parse_selector(query.get("metricLabelSelector", ""))
        except SelectorError as error:
            raise Refusal(400, f"the label selector cannot be used: {error}") from None
        # Our metrics have no labels of their own.
        found = self._source.find(path, objects) if series.selects({}) else ()
        if not found:
            raise not_found(path)
        return value_list(path, found)


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def _document(path: str) -> dict[str, Any]:
    found = _DOCUMENTS.get(path)
    if found is None:
        raise Refusal(404, "the server could not find the requested resource")
    return found


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers=_RETRY if status == 503 else None)
