"""Report a worker's figures to Sedna's local controller (LC), the agent on its node.

`POST {LC_SERVER}/sedna/workers/{WORKER_NAME}/info`, once a period, if there was an inference. The controller's absence
is normal (many installations have none), so a failure is said once and never disturbs the worker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.errors import SettingsError
from sedna_py.protocol.reported_signals import write_signals

_log = logging.getLogger(__name__)

_MAX_ANSWER_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Who reports: WORKER_NAME, NAMESPACE and SERVICE_NAME."""

    worker: str
    namespace: str
    service: str


@dataclass(frozen=True, slots=True)
class InferenceCounts:
    """Totals since the worker began, as the caller counts them (upstream counts a hard frame twice)."""

    inferences: int = 0
    hard_examples: int = 0


def build_report(
    identity: WorkerIdentity,
    counts: InferenceCounts,
    period_start: float,
    now: float,
    signals: Snapshot | None = None,
) -> dict[str, Any]:
    """Return one report; times are seconds since the epoch and are written as local time."""
    more = {} if signals is None else {"signals": write_signals(signals)}
    return {
        "name": identity.worker,
        "namespace": identity.namespace,
        "ownerName": identity.service,
        "ownerKind": "jointinferenceservice",
        "kind": "inference",
        "results": [],
        "ownerInfo": {
            "startTime": _local_time(period_start),
            "updateTime": _local_time(now),
            "inferenceNumber": counts.inferences,
            "hardExampleNumber": counts.hard_examples,
            "uploadCloudRatio": counts.hard_examples / counts.inferences if counts.inferences else 0.0,
            **more,
        },
    }


@dataclass(frozen=True, slots=True)
class SignalSource:
    """What autoscalers need to know, for each report. `read` gives None while there is nothing to tell.

    With a `period_s` there is a report that often, be it that nothing was inferred: who scales by them must see the quiet, too.
    """

    read: Callable[[], Snapshot | None]
    period_s: float = 0.0


class LocalControllerReporter:
    """Send reports until stopped: run `run()` as a task, await `stop()` on the same loop."""

    def __init__(
        self,
        server: str,
        identity: WorkerIdentity,
        read_counts: Callable[[], InferenceCounts],
        *,
        period_s: float = 30.0,
        signals: SignalSource | None = None,
        timeout_s: float = 1.0,
        transport: httpx.AsyncBaseTransport | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if not server.startswith(("http://", "https://")):
            raise SettingsError(f"LC_SERVER is {server!r}; write http://host:port")
        self._url = f"{server.rstrip('/')}/sedna/workers/{quote(identity.worker, safe='')}/info"
        self._identity = identity
        self._read_counts = read_counts
        self._signals = signals
        self._always = signals is not None and signals.period_s > 0
        self._period_s = min(period_s, signals.period_s) if signals is not None and self._always else period_s
        self._timeout_s = timeout_s
        self._transport = transport
        self._wall_clock = wall_clock
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._reported: InferenceCounts | None = None
        self._period_start = wall_clock()
        self._problem = ""

    async def run(self) -> None:
        """Report every period until `stop`, then once more."""
        self._ended.clear()
        try:
            async with httpx.AsyncClient(transport=self._transport, trust_env=False, timeout=self._timeout_s) as client:
                ending = False
                while not ending:
                    await self._period()
                    # Looked at before the report: one that began earlier may lack the last figures.
                    ending = self._stopping.is_set()
                    await self._report(client)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End the current period now and return when the last report is out (or has failed)."""
        self._stopping.set()
        await self._ended.wait()

    async def _period(self) -> None:
        try:
            async with asyncio.timeout(self._period_s):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _report(self, client: httpx.AsyncClient) -> None:
        """Send the figures if they changed since the last report that arrived, or always where somebody scales by them.

        The first one goes also when nothing was counted yet: it shows that there is a way from here to the cloud.
        """
        now = self._wall_clock()
        try:
            counts = self._read_counts()
            if self._always or self._reported is None or counts.inferences > self._reported.inferences:
                signals = self._signals.read() if self._signals is not None else None
                report = build_report(self._identity, counts, self._period_start, now, signals)
                async with asyncio.timeout(self._timeout_s):
                    await self._post(client, report)
                self._reported = counts
                self._say("")
        except Exception as error:  # noqa: BLE001 - reports are a courtesy; nothing about them may end the worker
            self._say(f"{type(error).__name__}: {error}".rstrip(": "))
        else:
            self._period_start = now

    async def _post(self, client: httpx.AsyncClient, report: dict[str, Any]) -> None:
        async with client.stream("POST", self._url, json=report) as response:
            if response.status_code == 200:
                return
            answer = await anext(response.aiter_bytes(_MAX_ANSWER_BYTES), b"")
            text = answer.decode("utf-8", "replace")
            raise httpx.HTTPStatusError(
                f"status {response.status_code} {text[:200]}".rstrip(), request=response.request, response=response
            )

    def _say(self, problem: str) -> None:
        if problem and problem != self._problem:
            _log.warning("no report to the local controller at %s: %s", self._url, problem)
        elif self._problem and not problem:
            _log.info("reports reach the local controller at %s again", self._url)
        self._problem = problem


def _local_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
