"""What it costs to read 500 workers: the controller's part for it, against played workers on addresses of loopback."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop
import yaml
from prometheus_client import CollectorRegistry

from controller.metrics import ControllerMetrics
from controller.metrics_api.part import MetricsApi
from controller.metrics_api.worker_pods import WorkerKey
from controller.settings import ControllerSettings
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import Role, pod_labels
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from sedna_py.protocol.reported_signals import write_signals
from tests.cluster.control_plane import free_port

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "upstream" / "helmet_detection.yaml"
PODS = 500
PODS_PER_SERVICE = 10
WARM_S = 70.0  # a whole window: after that, no more is kept
MEASURE_S = 60.0
MIB = 1 << 20
TARGET = {
    "type": "Pods",
    "pods": {"metric": {"name": names.SIGNAL_CONCURRENCY}, "target": {"type": "AverageValue", "averageValue": "10"}},
}


@dataclass(frozen=True)
class ReadingFigures:
    """What reading so many pods costs the controller's process, and how old the oldest value was."""

    pods: int
    cpu_percent: float
    idle_cpu_percent: float
    growth_mib: float
    reads_per_second: float
    failed: float
    oldest_s: float
    without_value: int


def measure_reading(pods: int = PODS, warm_s: float = WARM_S, seconds: float = MEASURE_S) -> ReadingFigures:
    """Return the figures of one run; the workers are another process."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.metrics_api"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    workers = subprocess.Popen([*command, "workers", str(port)], env=environment, stdin=subprocess.PIPE)
    try:
        reader = subprocess.run(
            [*command, "reader", str(port), str(pods), str(warm_s), str(seconds)],
            env=environment,
            check=True,
            capture_output=True,
            timeout=warm_s + seconds + 60,
        )
    finally:
        workers.kill()
        workers.wait()
    return ReadingFigures(**json.loads(reader.stdout))


# the workers


class _Worker(asyncio.Protocol):
    """Answers each request with the next of some pages, whose counters rise."""

    def __init__(self, pages: Iterator[bytes]) -> None:
        self._pages = pages
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(next(self._pages))


async def _play_workers(port: int) -> None:
    answers = [_answer(2 * number) for number in range(1000)]  # of a whole run: time and counters never go back
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Worker(iter(answers)), "0.0.0.0", port, backlog=1024)
    await loop.run_in_executor(None, sys.stdin.read)  # until the parent ends


def _answer(number: int) -> bytes:
    at, done = float(number), float(number) * 12.345678
    counted = Snapshot(at, 1.7e9, done, done, 0.0, done, done, done, 2.0, (done,) * (len(names.STAGE_BUCKETS_S) + 1))
    body = json.dumps(write_signals(counted), separators=(",", ":")).encode()
    return f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


# the reader


class _NoApiServer:
    """Has no Service, so that nothing is registered and served."""

    async def get_object(self, api_version: str, plural: str, namespace: str | None, name: str) -> None:
        return None

    async def apply_object(self, plural: str, namespace: str | None, manifest: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    async def delete_object(self, plural: str, namespace: str | None, found: Mapping[str, Any]) -> bool:
        raise NotImplementedError

    async def review(self, group: str, plural: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError


async def _read(port: int, pods: int, warm_s: float, seconds: float) -> ReadingFigures:
    registry = CollectorRegistry()
    store = Store()
    api = MetricsApi(_NoApiServer(), store, ControllerSettings(), ControllerMetrics(registry), port=port)
    services = [_add_service(store, number) for number in range(pods // PODS_PER_SERVICE)]
    running = asyncio.create_task(api.run())
    await asyncio.sleep(3)
    idle = await _cpu_percent(min(seconds, 10))
    before = _rss()
    for number, key in enumerate(services):
        for index in range(PODS_PER_SERVICE):
            _add_pod(store, key, number * PODS_PER_SERVICE + index)
    await asyncio.sleep(warm_s)
    done = _reads(registry, "ok")
    cpu = await _cpu_percent(seconds)
    read = (_reads(registry, "ok") - done) / seconds
    now = time.monotonic()
    values = [
        value
        for key in services
        for value in api.values.pod_values(WorkerKey(key, Role.CLOUD), names.SIGNAL_CONCURRENCY, now).values()
    ]
    grown = _rss() - before
    running.cancel()
    return ReadingFigures(
        pods=pods,
        cpu_percent=cpu,
        idle_cpu_percent=idle,
        growth_mib=grown,
        reads_per_second=read,
        failed=_all_reads(registry) - _reads(registry, "ok"),
        oldest_s=max((now - value.at for value in values), default=-1.0),
        without_value=pods - len(values),
    )


def _add_service(store: Store, number: int) -> ServiceKey:
    document = [one for one in yaml.safe_load_all(SAMPLE.read_text(encoding="utf-8")) if one][-1]
    document["metadata"] = {"namespace": "bench", "name": f"service-{number}", "uid": f"uid-{number}", "generation": 1}
    document["spec"]["cloudWorker"]["hpa"] = {"maxReplicas": 100, "metrics": [TARGET]}
    return store.put_service(document)


def _add_pod(store: Store, key: ServiceKey, number: int) -> None:
    metadata = {"namespace": key.namespace, "name": f"pod-{number}", "uid": f"pod-uid-{number}"}
    uid = store.services[key]["metadata"]["uid"]
    ready = [{"type": "Ready", "status": "True"}]
    address = f"127.1.{number // 250}.{number % 250 + 1}"
    store.put_pod(
        {
            "metadata": {**metadata, "labels": pod_labels(key.name, uid, Role.CLOUD)},
            "status": {"phase": "Running", "podIP": address, "conditions": ready},
        }
    )


async def _cpu_percent(seconds: float) -> float:
    begun, used = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - used) / (time.monotonic() - begun) * 100


def _rss() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _reads(registry: CollectorRegistry, outcome: str) -> float:
    return registry.get_sample_value(names.CONTROLLER_SCRAPES, {"outcome": outcome}) or 0.0


def _all_reads(registry: CollectorRegistry) -> float:
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name == names.CONTROLLER_SCRAPES)


if __name__ == "__main__":
    role, port_text, *numbers = sys.argv[1:]
    if role == "workers":
        uvloop.run(_play_workers(int(port_text)))
    else:
        print(json.dumps(asdict(uvloop.run(_read(int(port_text), int(numbers[0]), *map(float, numbers[1:]))))))
