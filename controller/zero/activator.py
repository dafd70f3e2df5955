"""Answers in the place of cloud workers that sleep: each has a port here, to which its Service leads meanwhile.

Nothing of a request is kept: its head says whether it wakes, its port whose it is, and its body is thrown away as it comes. Each
answer ends its connection, for the next one shall go wherever the Service leads by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from controller.errors import ControllerError
from controller.http_api import Surplus
from controller.store import ServiceKey
from sedna_py.protocol.asleep import RETRY_AFTER_S, STATUS, asleep_body
from sedna_py.protocol.worker_report import ROUTE

_log = logging.getLogger(__name__)

_BACKLOG: Final = 128
_HEADERS: Final = {"Retry-After": str(RETRY_AFTER_S)}
_WOKEN: Final = f"the cloud worker is asleep and has been woken; ask again in {RETRY_AFTER_S} s"
_ASLEEP: Final = "the cloud worker is asleep; a request with a body to predict wakes it"

Report = Callable[[web.Request], Awaitable[web.Response]]
"""Takes a worker's report in, as the controller's own address does."""


@dataclass(frozen=True, slots=True)
class ActivatorLimits:
    """Bounds on clients. `body_s`: how long what is left of a body is thrown away after the answer, so that it can be read."""

    connections: int = 1024
    head_s: float = 10.0
    body_s: float = 10.0


DEFAULT_LIMITS: Final = ActivatorLimits()


class NoPortLeft(ControllerError):
    """Every port is taken, by other services that sleep or by other programs."""


class Activator:
    """The listening ports; belongs to one event loop.

    `asked(key)` is called for each request that wakes a service.
    """

    def __init__(
        self,
        host: str,
        ports: range,
        asked: Callable[[ServiceKey], None],
        report: Report,
        limits: ActivatorLimits = DEFAULT_LIMITS,
    ) -> None:
        self._host = host
        self._ports = ports
        self._asked = asked
        self._limits = limits
        self._next = 0
        self._servers: dict[ServiceKey, asyncio.Server] = {}
        self._owners: dict[int, ServiceKey] = {}
        self._runner: web.AppRunner | None = None
        self._app = web.Application()
        self._app.router.add_post(ROUTE, _closing(report))
        self._app.router.add_route("*", "/{rest:.*}", self._answer)

    def port(self, key: ServiceKey) -> int | None:
        """Return the port at which a service is answered for, None where it is not."""
        return next((port for port, owner in self._owners.items() if owner == key), None)

    async def open(self, key: ServiceKey) -> int:
        """Listen for a service and return the port, the same one as long as it is open. Raises NoPortLeft."""
        known = self.port(key)
        if known is not None:
            return known
        if self._runner is None:
            self._runner = web.AppRunner(
                self._app,
                access_log=None,
                keepalive_timeout=self._limits.head_s,
                lingering_time=self._limits.body_s,
                shutdown_timeout=1.0,
                auto_decompress=False,
            )
            await self._runner.setup()
        # One after the other, so that a port that has just been closed is not soon another service's: clients of the one
        # before may still come.
        for turn in range(len(self._ports)):
            port = self._ports[(self._next + turn) % len(self._ports)]
            if port in self._owners:
                continue
            with suppress(OSError):
                server = await asyncio.get_running_loop().create_server(
                    self._connection, self._host, port, backlog=_BACKLOG
                )
                self._next = (self._next + turn + 1) % len(self._ports)
                self._servers[key], self._owners[port] = server, key
                return port
        raise NoPortLeft(
            f"none of the ports {self._ports.start} to {self._ports.stop - 1} is free; write more in ACTIVATOR_PORTS"
        )

    def close(self, key: ServiceKey) -> None:
        """Listen for the service no longer; requests under way end."""
        port = self.port(key)
        if port is not None:
            del self._owners[port]
            self._servers.pop(key).close()

    async def stop(self) -> None:
        """Close all ports and connections."""
        for key in list(self._servers):
            self.close(key)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server if self._runner is not None else None
        if server is None or len(server.connections) >= self._limits.connections:
            return Surplus()
        return server()

    async def _answer(self, request: web.Request) -> web.Response:
        key = self._owners.get(_port_of(request))
        wakes = request.method == "POST" and key is not None
        if wakes and key is not None:
            self._asked(key)
        response = web.json_response(asleep_body(_WOKEN if wakes else _ASLEEP), status=STATUS, headers=_HEADERS)
        response.force_close()
        return response


def _closing(report: Report) -> Report:
    async def handle(request: web.Request) -> web.Response:
        response = await report(request)
        response.force_close()
        return response

    return handle


def _port_of(request: web.Request) -> int:
    address = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return int(address[1]) if address else 0
