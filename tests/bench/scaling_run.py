"""Real cloud workers under a load that is too much for one, scaled as `sedna run` scales them: a recording for the simulation.

    python -m tests.bench.scaling_run tests/data/recorded_scaling.json

The model sleeps, so that the recording depends little on what else this machine does.
tests/sedna_py/simulation/test_recorded_run.py holds `sedna simulate` against it.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from sedna_py import __version__
from sedna_py.api.child_names import Role
from sedna_py.api.hpa import Hpa
from sedna_py.autoscaling.autoscaler import Goals
from sedna_py.autoscaling.windows import WindowSettings
from sedna_py.local.compare_service import core_count, cpu_name
from sedna_py.local.ports import free_port
from sedna_py.local.replicas import CloudReplicas, LocalScaling
from sedna_py.local.supervisor import WorkerProcess
from sedna_py.local.worker_plan import INHERITED, WorkerPlan
from sedna_py.metrics import names
from sedna_py.simulation.trace import Trace, trace_of_rates

RATES: Final = "seconds,requests_per_second\n0,1\n20,6\n110,1\n180,0\n"
SEED: Final = 20
MODEL_S: Final = 0.5
WAITING: Final = 12
SYNC_S: Final = 5.0
WINDOWS: Final = WindowSettings(stable_s=30, panic_percent=20)
TARGET: Final = 0.8
BLOCK: Final = {
    "maxReplicas": 6,
    "metrics": [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": names.SIGNAL_DEMAND},
                "target": {"type": "AverageValue", "averageValue": "800m"},
            },
        }
    ],
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 20}},
}
MODEL: Final = f"""
import time

class Sleeper:
    def load(self, model_url=""):
        pass

    def predict(self, data, **kwargs):
        time.sleep({MODEL_S})
        return [len(data)]
"""
BODY: Final = {"data": ["x"]}


def goals() -> Goals:
    """Return what the autoscaler is told, here and in the simulation."""
    return Goals(Hpa.model_validate(BLOCK), {names.SIGNAL_DEMAND: TARGET}, WINDOWS)


def load() -> Trace:
    """Return the requests, the same each time."""
    return trace_of_rates(RATES.splitlines(), random.Random(SEED))


@dataclass
class Recording:
    """What happened; times in seconds since the first moment of the load."""

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    refused_at_s: list[float] = field(default_factory=list)
    replicas: list[tuple[float, int]] = field(default_factory=list)
    starts_s: dict[str, float] = field(default_factory=dict)  # from a pod's start until it was ready
    streams: float = 1.0
    service_s: list[float] = field(default_factory=list)


async def record(folder: Path) -> Recording:
    """Run workers, autoscaler and load to the end."""
    (folder / "model.py").write_text(MODEL)
    environment = {name: value for name, value in os.environ.items() if name in INHERITED}
    environment |= {
        "MODEL_URL": "any",
        "ESTIMATOR": f"{folder}/model.py:Sleeper",
        "BIG_MODEL_BIND_IP": "127.0.0.1",
        "BIG_MODEL_BIND_PORT": str(free_port()),
        "WORKER_NAME": "cloud",
        "MAX_CONCURRENCY": "1",
        "MAX_WAITING": str(WAITING),
        "LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(Path.cwd()),
    }
    plan = WorkerPlan(Role.CLOUD, (sys.executable, "-m", "workers.cloud"), environment, folder)
    first = WorkerProcess(plan, _say)
    running = asyncio.create_task(first.run())
    replicas = CloudReplicas(plan, folder / "pods", _say)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30, limits=httpx.Limits(max_connections=200)) as client:
            while replicas.pods[0].ready_at == float("inf"):
                await replicas.read(client)
                await asyncio.sleep(0.1)
            return await _measure(replicas, client)
    finally:
        await replicas.close()
        first.stop()
        await running


async def _measure(replicas: CloudReplicas, client: httpx.AsyncClient) -> Recording:
    recording, trace = Recording(), load()
    scaling = asyncio.create_task(LocalScaling(replicas, goals(), _say, SYNC_S).run())
    begin = time.monotonic()
    watching = asyncio.create_task(_watch(replicas, recording, begin))
    requests = []
    for arrival in trace.arrivals:
        await asyncio.sleep(begin + arrival.at - time.monotonic())
        requests.append(asyncio.create_task(_request(replicas, recording, client, begin)))
    await asyncio.sleep(begin + trace.seconds - time.monotonic())
    watching.cancel()
    await asyncio.gather(*requests)
    for snapshot in replicas.sample().values():
        recording.streams = snapshot.streams
        recording.service_s.append(snapshot.busy_s / snapshot.done)
    scaling.cancel()
    await asyncio.gather(scaling, watching, return_exceptions=True)
    return recording


async def _watch(replicas: CloudReplicas, recording: Recording, begin: float) -> None:
    while True:
        now, count = time.monotonic() - begin, len(replicas.pods)
        if not recording.replicas or recording.replicas[-1][1] != count:
            recording.replicas.append((round(now, 2), count))
        for pod in replicas.pods[1:]:
            if pod.ready_at < float("inf"):
                recording.starts_s.setdefault(pod.name, pod.ready_at - pod.created_at)
        await asyncio.sleep(0.05)


async def _request(replicas: CloudReplicas, recording: Recording, client: httpx.AsyncClient, begin: float) -> None:
    ready = [pod for pod in replicas.pods if pod.ready_at < float("inf")]
    pod = random.choice(ready)
    began = time.monotonic()
    try:
        reply = await client.post(f"http://{pod.address}/sedna/predict", json=BODY)
    except httpx.HTTPError as error:
        recording.outcomes[type(error).__name__] += 1
        return
    recording.outcomes[str(reply.status_code)] += 1
    if reply.is_success:
        recording.latencies_s.append(time.monotonic() - began)
    else:
        recording.refused_at_s.append(began - begin)


def as_document(recording: Recording) -> dict[str, Any]:
    """Return the recording with where it comes from."""
    p50, p95, most = np.percentile(recording.latencies_s, (50, 95, 100))
    return {
        "provenance": {
            "command": "python -m tests.bench.scaling_run",
            "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": f"{cpu_name()}, {core_count()} cores, {platform.system()} {platform.release()}",
            "sedna-py": __version__,
            "what": "real cloud workers (python -m workers.cloud) whose model sleeps, scaled by sedna_py.local.replicas; "
            "requests at random moments, each to a random ready pod",
        },
        "model_s": MODEL_S,
        "service_s": round(statistics.mean(recording.service_s), 4),
        "streams": recording.streams,
        "start_s": round(statistics.mean(recording.starts_s.values()), 2),
        "starts_s": [round(seconds, 2) for seconds in recording.starts_s.values()],
        "requests": sum(recording.outcomes.values()),
        "outcomes": dict(recording.outcomes),
        "latency_ms": {"p50": round(p50 * 1000, 1), "p95": round(p95 * 1000, 1), "most": round(most * 1000, 1)},
        "refused_at_s": [round(at, 1) for at in recording.refused_at_s],
        "replicas": recording.replicas,
    }


def _say(who: str, line: str) -> None:
    print(f"{who}: {line}", file=sys.stderr, flush=True)


def main() -> None:
    """Record, and write the file that is named."""
    with tempfile.TemporaryDirectory() as folder:
        document = as_document(asyncio.run(record(Path(folder))))
    text = json.dumps(document)
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
