"""Replicas of the cloud worker as processes of this machine: started, read, written down for the edge, and stopped.

The first one is the service's own (`LocalService`), which stays until the end. The others come and go by `scale`.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx

from sedna_py.autoscaling.autoscaler import READ_S, Autoscaler, Goals, Readings
from sedna_py.autoscaling.exposition import MAX_PAGE_CHARACTERS, parse_snapshot
from sedna_py.autoscaling.hpa import Decision
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.errors import MalformedBody
from sedna_py.local.ports import LOOPBACK, free_port
from sedna_py.local.supervisor import Say, WorkerFailed, WorkerProcess
from sedna_py.local.worker_plan import WorkerPlan

SYNC_S: Final = 15.0  # Kubernetes' own
REPLY_S: Final = 2.0
FRESH_S: Final = 5.0  # counters that are older are none
MISSES: Final = 3  # as of a readiness probe
LAME_DUCK_S: Final = "3"  # the edge looks into the file every second
_PORT: Final = "BIG_MODEL_BIND_PORT"


@dataclass(eq=False, slots=True)
class LocalPod:
    """One process of the cloud worker; times of the monotonic clock."""

    name: str
    port: int
    created_at: float
    ready_at: float = math.inf
    misses: int = 0  # times in a row that it did not answer
    process: WorkerProcess | None = None  # None: the service's own
    running: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{LOOPBACK}:{self.port}"


class CloudReplicas:
    """The processes of the cloud worker; `file` always names those that are ready and to stay."""

    def __init__(self, plan: WorkerPlan, file: Path, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._file = file
        self._say = say
        self._clock = clock
        self._numbers = itertools.count(1)
        self._pods = [LocalPod(plan.environment["WORKER_NAME"], int(plan.environment[_PORT]), clock())]
        self._leaving: set[asyncio.Task[None]] = set()
        self._latest: dict[str, Snapshot] = {}
        self._write()

    @property
    def pods(self) -> Sequence[LocalPod]:
        """All that there are to be."""
        return self._pods

    def sample(self) -> dict[str, Snapshot]:
        """Return the counters as they were read last, of the pods that answered lately."""
        now = self._clock()
        return {name: snapshot for name, snapshot in self._latest.items() if now - snapshot.at <= FRESH_S}

    def scale(self, count: int) -> None:
        """Have so many; the youngest go first, and end what they have."""
        while len(self._pods) < count:
            self._start()
        gone, self._pods = self._pods[count:], self._pods[:count]
        self._latest = {name: one for name, one in self._latest.items() if name in {pod.name for pod in self._pods}}
        self._write()
        for pod in gone:
            if pod.process is not None and pod.running is not None:
                pod.process.stop()
                self._leaving.add(pod.running)
                pod.running.add_done_callback(self._leaving.discard)

    async def read(self, client: httpx.AsyncClient) -> None:
        """Read all pods once. One that does not answer is believed to be ready until it did not for the third time."""
        pods = list(self._pods)
        for pod, snapshot in zip(pods, await asyncio.gather(*(self._read(pod, client) for pod in pods)), strict=True):
            if snapshot is not None and pod in self._pods:
                self._latest[pod.name] = snapshot
        self._write()

    async def close(self) -> None:
        """End all but the first, and wait for them."""
        self.scale(1)
        await asyncio.gather(*self._leaving, return_exceptions=True)
        self._file.unlink(missing_ok=True)

    def _start(self) -> None:
        port, name = free_port(), f"{self._plan.environment['WORKER_NAME']}-{next(self._numbers)}"
        environment = {**self._plan.environment, _PORT: str(port), "WORKER_NAME": name, "LAME_DUCK_S": LAME_DUCK_S}
        process = WorkerProcess(replace(self._plan, environment=environment), self._say)
        pod = LocalPod(name, port, self._clock(), process=process)
        pod.running = asyncio.create_task(self._run(process))
        self._pods.append(pod)

    async def _run(self, process: WorkerProcess) -> None:
        try:
            await process.run()
        except WorkerFailed as error:
            self._say(self._plan.role, str(error))

    async def _read(self, pod: LocalPod, client: httpx.AsyncClient) -> Snapshot | None:
        try:
            answer = await client.get(f"http://{pod.address}/readyz", timeout=REPLY_S)
            page = await client.get(f"http://{pod.address}/metrics", timeout=REPLY_S)
        except httpx.HTTPError:
            pod.misses += 1
            if pod.misses >= MISSES:
                pod.ready_at = math.inf
            return None
        pod.misses = 0
        if answer.is_error:
            pod.ready_at = math.inf
            return None
        pod.ready_at = min(pod.ready_at, self._clock())
        try:
            return parse_snapshot(page.text[: MAX_PAGE_CHARACTERS + 1], self._clock())
        except MalformedBody:  # a user's own server has no such counters
            return None

    def _write(self) -> None:
        """Write the addresses in one step: who reads them gets the old ones or the new ones."""
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text("".join(f"{pod.address}\n" for pod in self._pods if pod.ready_at < math.inf), "utf-8")
        unfinished.replace(self._file)


class LocalScaling:
    """Scales the replicas by the rule of Kubernetes' autoscaler until it is cancelled."""

    def __init__(self, replicas: CloudReplicas, goals: Goals, say: Say, sync_s: float = SYNC_S) -> None:
        self._replicas = replicas
        self._say = say
        self._sync_s = sync_s
        self._readings = Readings(replicas)
        self._autoscaler = Autoscaler(replicas, self._readings, goals)

    async def run(self) -> None:
        """Read, look and decide for ever; ends the replicas when it is cancelled."""
        due = time.monotonic() + self._sync_s
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                while True:
                    await self._replicas.read(client)
                    self._readings.take()
                    self._autoscaler.look(time.monotonic())
                    if time.monotonic() >= due:
                        due += self._sync_s
                        self._decide()
                    await asyncio.sleep(min(READ_S, max(due - time.monotonic(), 0.05)))
        finally:
            await self._replicas.close()

    def _decide(self) -> None:
        before = len(self._replicas.pods)
        decision: Decision = self._autoscaler.decide(time.monotonic())
        if decision.replicas != before:
            self._say("cloud", f"{before} -> {decision.replicas} replicas: {decision.reason.value}")
