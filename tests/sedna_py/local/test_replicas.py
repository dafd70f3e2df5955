"""Replicas of the cloud worker as processes: a few lines of Python each, with counters that a test makes up."""

from __future__ import annotations

import asyncio
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from sedna_py.api.child_names import Role
from sedna_py.api.hpa import Hpa
from sedna_py.autoscaling.autoscaler import Goals
from sedna_py.local.ports import free_port
from sedna_py.local.replicas import CloudReplicas
from sedna_py.local.scaling import LocalScaling, Scaled
from sedna_py.local.supervisor import WorkerProcess
from sedna_py.local.worker_plan import WorkerPlan
from sedna_py.metrics import names

pytestmark = pytest.mark.processes
LIMIT_S = 30.0

# Serves what a worker serves; its counters are those of one that works all the time on as many requests as `load` says.
WORKER = """
    import os, pathlib, signal, sys, time
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from sedna_py.metrics import names
    from sedna_py.metrics.names import STAGE_BUCKETS_S
    began, load = time.time(), pathlib.Path("load")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def page():
        requests = float(load.read_text()) * (time.time() - began)
        values = {
            names.WORKER_BEGAN: began, names.WORKER_OFFERED: requests, names.WORKER_DONE: requests, names.WORKER_DROPPED: 0,
            names.WORKER_PRESENT_SECONDS: requests, names.WORKER_WAITING_SECONDS: 0, names.WORKER_BUSY_SECONDS: requests,
            names.WORKER_STREAMS: 1,
        }
        lines = [f"{name} {value}" for name, value in values.items()]
        lines += [f'{names.WORKER_LATENCY_SECONDS}_bucket{{le="{bound}"}} {requests}' for bound in (*STAGE_BUCKETS_S, "+Inf")]
        return "\\n".join(lines) + "\\n"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = page().encode() if self.path == "/metrics" else b"{}"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    HTTPServer(("127.0.0.1", int(os.environ["BIG_MODEL_BIND_PORT"])), Handler).serve_forever()
"""
GOALS = Goals(
    Hpa.model_validate(
        {
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": names.SIGNAL_CONCURRENCY},
                        "target": {"type": "AverageValue", "averageValue": "1"},
                    },
                }
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        }
    )
)


class Service:
    """The first process, as `LocalService` has it, and what is to be scaled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "worker.py").write_text(textwrap.dedent(WORKER))
        (folder / "load").write_text("0")
        self.said: list[str] = []
        environment = {
            "BIG_MODEL_BIND_PORT": str(free_port()),
            "WORKER_NAME": "cloud",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        self.plan = WorkerPlan(Role.CLOUD, (sys.executable, str(folder / "worker.py")), environment, folder)
        self.pods = folder / "pods"
        self.replicas = CloudReplicas(self.plan, self.pods, self.say)

    def say(self, who: str, line: str) -> None:
        self.said.append(f"{who}: {line}")

    def addresses(self) -> list[str]:
        return self.pods.read_text().split()

    async def run(self, body: Callable[[], Awaitable[None]]) -> None:
        first = WorkerProcess(self.plan, self.say)
        running = asyncio.create_task(first.run())
        try:
            await body()
        finally:
            first.stop()
            await running


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def test_those_that_are_ready_stand_in_the_file(tmp_path: Path) -> None:
    service = Service(tmp_path)
    assert service.addresses() == []

    async def body() -> None:
        replicas = service.replicas
        async with httpx.AsyncClient(trust_env=False) as client:
            replicas.scale(3)
            assert [pod.name for pod in replicas.pods] == ["cloud", "cloud-1", "cloud-2"]
            deadline = time.monotonic() + LIMIT_S
            while len(service.addresses()) < 3 and time.monotonic() < deadline:
                await replicas.read(client)
                await asyncio.sleep(0.05)
            assert service.addresses() == [pod.address for pod in replicas.pods]
            assert set(replicas.sample()) == {"cloud", "cloud-1", "cloud-2"}
            gone = replicas.pods[2]
            replicas.scale(2)
            assert gone.address not in service.addresses()
            assert gone.running is not None
            await asyncio.wait_for(gone.running, LIMIT_S)
            await replicas.close()
            assert [pod.name for pod in replicas.pods] == ["cloud"]
            assert not service.pods.exists()

    asyncio.run(service.run(body))


def test_they_follow_the_load_and_end_with_the_run(tmp_path: Path) -> None:
    service = Service(tmp_path)

    async def body() -> None:
        scaling = asyncio.create_task(
            LocalScaling({Role.CLOUD: Scaled(service.replicas, GOALS)}, service.say, sync_s=0.5).run()
        )
        await eventually(lambda: len(service.addresses()) == 1)
        assert len(service.replicas.pods) == 1
        (tmp_path / "load").write_text("2.5")
        await eventually(lambda: len(service.addresses()) == 3)
        tasks = [pod.running for pod in service.replicas.pods[1:]]
        scaling.cancel()
        await asyncio.gather(scaling, return_exceptions=True)
        assert all(task is not None and task.done() for task in tasks)

    asyncio.run(service.run(body))
    assert any("replicas: a metric is above its target" in line for line in service.said)


def test_a_pod_that_does_not_start_is_said_and_not_counted_on(tmp_path: Path) -> None:
    service = Service(tmp_path)

    async def body() -> None:
        (tmp_path / "worker.py").write_text("raise SystemExit('no model')")
        service.replicas.scale(2)
        async with httpx.AsyncClient(trust_env=False) as client:
            await eventually(lambda: any("does not stay up" in line for line in service.said))
            await service.replicas.read(client)
        assert len(service.addresses()) <= 1
        assert len(service.replicas.pods) == 2  # as in a cluster: it is wanted, and not ready
        await service.replicas.close()

    asyncio.run(body())
