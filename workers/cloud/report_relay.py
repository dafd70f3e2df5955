"""Passes edge workers' reports on to the controller, which the edge itself may not be able to reach.

A report holds totals since its worker began. So only the newest of each worker is kept, and a lost one loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx

from sedna_py.errors import SettingsError
from sedna_py.protocol.worker_report import RELAYED, WorkerReport, report_path
from workers.cloud.metrics import CloudMetrics

LOG = logging.getLogger(__name__)

_MAX_ANSWER_BYTES: Final = 4096
_TRIED_AGAIN: Final = frozenset({408, 425, 429})  # the 4xx that may go away by themselves


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """`flush_s` bounds the last attempt at the end; between failures the pause grows from the first to the longest."""

    workers: int = 1024
    timeout_s: float = 3.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    flush_s: float = 2.0


DEFAULT_LIMITS: Final = RelayLimits()


class ReportRelay:
    """Use on one event loop: `start`, `accept` as reports come in, `stop`. Without a `server` reports are dropped.

    Raises SettingsError for a server that is no http address.
    """

    def __init__(
        self,
        server: str | None,
        metrics: CloudMetrics,
        limits: RelayLimits = DEFAULT_LIMITS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if server and not server.startswith(("http://", "https://")):
            raise SettingsError(f"LC_SERVER is {server!r}; write http://host:port")
        self._server = (server or "").rstrip("/")
        self._metrics = metrics
        self._limits = limits
        self._transport = transport
        self._waiting: dict[tuple[str, str], bytes] = {}  # in the order in which the workers came
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._problem = ""  # what was said last, so that it is said once
        metrics.watch_reports(lambda: len(self._waiting))

    def accept(self, report: WorkerReport, body: bytes) -> None:
        """Take a report; it is passed on soon, unless a newer one of the same worker comes first."""
        self._metrics.report("received")
        if not self._server:
            self._metrics.report("dropped")
            if not self._problem:
                LOG.info("edge workers report their counts; set LC_SERVER to the controller's address to pass them on")
                self._problem = "no server"
            return
        self._waiting[report.namespace, report.worker] = body  # a worker keeps its place in the line
        if len(self._waiting) > self._limits.workers:
            del self._waiting[next(iter(self._waiting))]
            self._metrics.report("dropped")
        self._arrived.set()

    def start(self) -> None:
        """Begin to pass reports on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Try once more to pass on what waits, for a bounded time."""
        self._stopping.set()
        self._arrived.set()
        if self._task is None:
            return
        _, late = await asyncio.wait({self._task}, timeout=self._limits.flush_s)
        if late:
            self._task.cancel()
            await asyncio.wait(late)
        if self._waiting:
            LOG.warning("the last reports of %d edge workers were not passed on", len(self._waiting))

    async def _run(self) -> None:
        if not self._server:
            return
        limits, pause_s = self._limits, self._limits.first_pause_s
        async with httpx.AsyncClient(transport=self._transport, trust_env=False, timeout=limits.timeout_s) as client:
            while not self._stopping.is_set():
                await self._arrived.wait()
                if await self._pass_all_on(client):
                    pause_s = limits.first_pause_s
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s * random.uniform(0.5, 1)):  # replicas shall not come together
                        await self._stopping.wait()
                pause_s = min(2 * pause_s, limits.longest_pause_s)
            await self._pass_all_on(client)

    async def _pass_all_on(self, client: httpx.AsyncClient) -> bool:
        """Return whether nothing is left; at the first that is not taken all wait."""
        while self._waiting:
            key, body = next(iter(self._waiting.items()))
            if not await self._pass_on(client, key[1], body):
                return False
            if self._waiting.get(key) is body:
                del self._waiting[key]
        self._arrived.clear()
        return True

    async def _pass_on(self, client: httpx.AsyncClient, worker: str, body: bytes) -> bool:
        """Return whether this report is done with: taken, or refused for good."""
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                status, text = await self._post(client, worker, body)
        except Exception as error:  # noqa: BLE001 - nothing about a report may end the worker
            self._say(type(error).__name__, str(error))
            return False
        if status == 200:
            self._metrics.report("forwarded")
            self._say("")
            return True
        self._say(f"status {status}", text[:200])
        lasting = 400 <= status < 500 and status not in _TRIED_AGAIN
        if lasting:
            self._metrics.report("dropped")
        return lasting

    async def _post(self, client: httpx.AsyncClient, worker: str, body: bytes) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", RELAYED: "1"}
        url = self._server + report_path(worker)
        answer = bytearray()
        async with client.stream("POST", url, content=body, headers=headers) as response:
            async for piece in response.aiter_bytes():
                answer += piece
                if len(answer) > _MAX_ANSWER_BYTES:
                    break
            return response.status_code, answer.decode("utf-8", "replace")

    def _say(self, problem: str, detail: str = "") -> None:
        if problem and problem != self._problem:
            LOG.warning("reports do not reach the controller at %s: %s %s", self._server, problem, detail)
        elif self._problem and not problem:
            LOG.info("reports reach the controller at %s again", self._server)
        self._problem = problem
