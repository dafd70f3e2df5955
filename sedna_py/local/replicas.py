"""Replicas of a worker as processes of this machine: started, read, and stopped; those of the cloud written down for the edge.

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

from sedna_py.autoscaling.exposition import MAX_PAGE_CHARACTERS, parse_snapshot
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.errors import MalformedBody
from sedna_py.local.ports import LOOPBACK, free_port
from sedna_py.local.supervisor import Say, WorkerFailed, WorkerProcess
from sedna_py.local.worker_plan import WorkerPlan

REPLY_S: Final = 2.0
FRESH_S: Final = 5.0  # counters that are older are none
MISSES: Final = 3  # as of a readiness probe
LAME_DUCK_S: Final = "3"  # the edge looks into the file every second
CLOUD_PORT, EDGE_PORT = "BIG_MODEL_BIND_PORT", "EDGE_HTTP_PORT"


@dataclass(eq=False, slots=True)
class LocalPod:
    """One process of a worker; times of the monotonic clock."""

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


class Replicas:
    """The processes of one worker, each with a port of its own in the variable `port`."""

    def __init__(self, plan: WorkerPlan, port: str, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._port = port
        self._say = say
        self._clock = clock
        self._numbers = itertools.count(1)
        self._pods = [LocalPod(plan.environment["WORKER_NAME"], int(plan.environment[port]), clock())]
        self._leaving: set[asyncio.Task[None]] = set()
        self._latest: dict[str, Snapshot] = {}

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
        self._changed()
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
        self._changed()

    async def close(self) -> None:
        """End all but the first, and wait for them."""
        self.scale(1)
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _changed(self) -> None:
        """Do what follows from another set of pods, or of those that are ready."""

    def _start(self) -> None:
        port, name = free_port(), f"{self._plan.environment['WORKER_NAME']}-{next(self._numbers)}"
        environment = {**self._plan.environment, self._port: str(port), "WORKER_NAME": name}
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


class CloudReplicas(Replicas):
    """The processes of the cloud worker; `file` always names those that are ready and to stay."""

    def __init__(self, plan: WorkerPlan, file: Path, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        # The first one ends when nobody asks any more; the others while the edge may still have them in its list.
        others = replace(plan, environment={**plan.environment, "LAME_DUCK_S": LAME_DUCK_S})
        super().__init__(others, CLOUD_PORT, say, clock)
        self._file = file
        self._changed()

    async def close(self) -> None:
        """End all but the first, and wait for them."""
        await super().close()
        self._file.unlink(missing_ok=True)

    def _changed(self) -> None:
        """Write the addresses in one step: who reads them gets the old ones or the new ones."""
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text("".join(f"{pod.address}\n" for pod in self._pods if pod.ready_at < math.inf), "utf-8")
        unfinished.replace(self._file)


class EdgeReplicas(Replicas):
    """The processes of an edge worker that share its sources (`edge_sharing.sharing`). One that goes ends what it has."""

    def __init__(self, plan: WorkerPlan, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(plan, EDGE_PORT, say, clock)
