"""The HTTPS side: every request is answered in JSON, as Kubernetes' API servers do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
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
ACCEPT_AGAIN_S: Final = 1.0
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
    """The server. It accepts by itself, as asyncio's own servers cannot get another TLS context: closed for the next one, they
    leave in the dark whoever has just been accepted (Python 3.11).
    """

    def __init__(self, access: Access, source: Source, count: Callable[[int], None] = lambda _: None) -> None:
        """`count` is told the status of each answer."""
        self._access = access
        self._source = source
        self._count = count
        self._runner: web.ServerRunner | None = None
        self._socket: socket.socket | None = None
        self._context: ssl.SSLContext | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._greeted: set[asyncio.Task[None]] = set()  # connections whose handshake goes on
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
        self.renew(context)
        self._accepting = asyncio.create_task(self._accept(bound, answering))
        self.port = bound.getsockname()[1]

    def renew(self, context: ssl.SSLContext) -> None:
        """Use another context for connections from now on; those that are there go on, and none is refused meanwhile."""
        self._context = context

    async def stop(self) -> None:
        """Close the door, let requests under way end, and close their connections."""
        ended = [task for task in (self._accepting, *self._greeted) if task is not None]
        for task in ended:
            task.cancel()
        if ended:
            await asyncio.wait(ended)
        if self._socket is not None:
            self._socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _accept(self, listener: socket.socket, answering: web.Server) -> None:
        """Take one connection after the other, until cancelled; one too many is closed at once."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # mostly that the process may open no more files
                _log.warning("the metrics API cannot take a connection: %s; again in %g s", error, ACCEPT_AGAIN_S)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            if len(answering.connections) + len(self._greeted) >= MOST_CONNECTIONS:
                accepted.close()
                continue
            greeting = loop.create_task(self._greet(accepted, answering))
            self._greeted.add(greeting)
            greeting.add_done_callback(partial(self._has_greeted, accepted))

    async def _greet(self, accepted: socket.socket, answering: web.Server) -> None:
        """Shake hands; from then on the connection is aiohttp's."""
        # Whoever goes away in the middle, or speaks something else, is of no interest.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                answering, accepted, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )

    def _has_greeted(self, accepted: socket.socket, greeting: asyncio.Task[None]) -> None:
        self._greeted.discard(greeting)
        if greeting.cancelled():  # perhaps before it began
            accepted.close()

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


def _document(path: str) -> dict[str, Any]:
    found = _DOCUMENTS.get(path)
    if found is None:
        raise Refusal(404, "the server could not find the requested resource")
    return found


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers=_RETRY if status == 503 else None)
