"""Plays one run with real workers, started and scaled by the code of `sedna run`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import httpx
import numpy as np

from sedna_py.api.child_names import Role
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.local.manifests import load_manifests
from sedna_py.local.ports import free_port
from sedna_py.local.replicas import CloudReplicas
from sedna_py.local.scaled_workers import finding_pods
from sedna_py.local.scaling import LocalScaling, Scaled
from sedna_py.local.scaling_goals import goals_of
from sedna_py.local.supervisor import Say, WorkerProcess
from sedna_py.local.worker_plan import LocalOptions, WorkerPlan, plan_workers
from sedna_py.simulation.trace import Arrival
from tests.bench.recorded_runs.runs import SYNC_S, Run

READY_S: Final = 60.0
BODY: Final = {"data": ["x"]}
JPEG: Final = {"Content-Type": "image/jpeg"}


class Request(NamedTuple):
    """One request to a cloud worker."""

    at: float
    pod: str
    status: int
    took_s: float


@dataclass
class Recording:
    """What happened; times in seconds, moments since the beginning of the load."""

    outcomes: Counter[str] = field(default_factory=Counter)  # of what was sent, by status
    requests: list[Request] = field(default_factory=list)  # to cloud workers
    replicas: list[tuple[float, int]] = field(default_factory=list)
    starts_s: dict[str, float] = field(default_factory=dict)  # from a pod's start until it was seen to be ready
    counters: dict[str, Snapshot] = field(default_factory=dict)  # of each cloud pod, as they were read last
    late_s: float = 0.0  # the most that something was sent after its moment
    log: str = ""  # the edge's decision log
    edge_metrics: str = ""  # the edge's page at the end of the load


@dataclass(frozen=True, slots=True)
class Workers:
    """What runs."""

    cloud: CloudReplicas
    edge: str  # the address of the edge worker's own server; empty without an edge
    client: httpx.AsyncClient


async def record(run: Run, folder: Path, say: Say) -> Recording:
    """Run workers, autoscaler and load to the end; everything has ended when this returns."""
    (folder / "models.py").write_text(run.models())
    service_file = folder / "service.yaml"
    service_file.write_text(run.service())
    manifests = load_manifests([service_file])
    service = manifests.services[0]
    port, decisions = free_port(), folder / "decisions.jsonl"
    options = LocalOptions(
        directory=folder,
        port=free_port(),
        host_root=folder,
        inherited={**os.environ, "PYTHONPATH": str(Path.cwd())},
        overrides={Role.EDGE: {"DECISIONS_FILE": str(decisions), "EDGE_HTTP_PORT": str(port)}},
    )
    plans = plan_workers(service, manifests.models_for(service), options)
    plans[Role.EDGE] = finding_pods(plans[Role.EDGE], folder / "pods")
    recording, goals = Recording(), goals_of(service, Role.CLOUD)
    async with contextlib.AsyncExitStack() as parts:
        # Servers close what is idle for 5 s: a request must not meet that.
        limits = httpx.Limits(max_connections=200, keepalive_expiry=2)
        client = await parts.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30, limits=limits))
        await parts.enter_async_context(_running(plans[Role.CLOUD], say))
        cloud = CloudReplicas(plans[Role.CLOUD], folder / "pods", say)
        parts.push_async_callback(cloud.close)
        await _ready(client, f"http://{cloud.pods[0].address}/readyz")
        await cloud.read(client)
        if run.load().edge:
            await parts.enter_async_context(_running(plans[Role.EDGE], say))
            await _ready(client, f"http://127.0.0.1:{port}/readyz")
        workers = Workers(cloud, f"http://127.0.0.1:{port}" if run.load().edge else "", client)
        scaling = LocalScaling({Role.CLOUD: Scaled(cloud, goals)}, say, SYNC_S)
        async with _in_background(scaling.run()) if goals else contextlib.nullcontext():
            await _play(run, workers, recording)
    recording.log = decisions.read_text("utf-8") if decisions.exists() else ""
    return recording


async def _play(run: Run, workers: Workers, recording: Recording) -> None:
    trace, chance = run.load(), random.Random()
    begin = time.monotonic()
    send = _sending(workers, recording, chance, begin)
    async with _in_background(_watch(workers.cloud, recording, begin)):
        sent = []
        for arrival in trace.arrivals:
            await asyncio.sleep(begin + arrival.at - time.monotonic())
            recording.late_s = max(recording.late_s, time.monotonic() - begin - arrival.at)
            sent.append(asyncio.create_task(send(arrival)))
        await asyncio.sleep(begin + trace.seconds - time.monotonic())
        await asyncio.gather(*sent)
        await workers.cloud.read(workers.client)
        recording.counters |= workers.cloud.sample()
        if workers.edge:
            recording.edge_metrics = (await workers.client.get(f"{workers.edge}/metrics")).text


def _sending(
    workers: Workers, recording: Recording, chance: random.Random, begin: float
) -> Callable[[Arrival], Coroutine[None, None, None]]:
    pictures = {hard: _picture(hard) for hard in (False, True)}

    async def to_edge(arrival: Arrival) -> None:
        picture = pictures[arrival.hard]
        reply = await workers.client.post(f"{workers.edge}/frames", content=picture, headers=JPEG)
        recording.outcomes[str(reply.status_code)] += 1

    async def to_cloud(_: Arrival) -> None:
        pod = chance.choice([pod for pod in workers.cloud.pods if pod.ready_at < float("inf")])
        sent = time.monotonic()
        reply = await workers.client.post(f"http://{pod.address}/sedna/predict", json=BODY)
        recording.outcomes[str(reply.status_code)] += 1
        recording.requests.append(Request(sent - begin, pod.name, reply.status_code, time.monotonic() - sent))

    return to_edge if workers.edge else to_cloud


async def _watch(cloud: CloudReplicas, recording: Recording, begin: float) -> None:
    while True:
        now, count = time.monotonic() - begin, len(cloud.pods)
        if not recording.replicas or recording.replicas[-1][1] != count:
            recording.replicas.append((round(now, 2), count))
        for pod in cloud.pods[1:]:
            if pod.ready_at < float("inf"):
                recording.starts_s.setdefault(pod.name, pod.ready_at - pod.created_at)
        recording.counters |= cloud.sample()
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _running(plan: WorkerPlan, say: Say) -> AsyncIterator[None]:
    process = WorkerProcess(replace(plan, notes=()), say)
    running = asyncio.create_task(process.run())
    try:
        yield
    finally:
        process.stop()
        await running


@contextlib.asynccontextmanager
async def _in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _ready(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(url)).is_success:
                    return
            await asyncio.sleep(0.1)


def _picture(hard: bool) -> bytes:
    done, encoded = cv2.imencode(".jpg", np.full((48, 64, 3), 255 if hard else 0, np.uint8))
    assert done
    return encoded.tobytes()
