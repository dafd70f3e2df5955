"""The controller at scale: many services on a real control plane, whose quota keeps every pod from being made."""

from __future__ import annotations

import asyncio
import copy
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from controller.children import ChildKind
from controller.cluster import Cluster
from controller.desired_state import Placement, Surroundings, desired_state
from sedna_py.api.findings import parse_document
from tests.cluster.binaries import provide
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError
from tests.cluster.progress import Progress
from tests.integration.controller_process import running_controller, wait_until

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "upstream" / "helmet_detection_hpa.yaml"
OURS = "/apis/sedna.io/v1alpha1"
CALM_S = 10.0
SETTLE_S = 300.0
IDLE_S = 60.0
CONCURRENCY = 8
MIB = 1 << 20


@dataclass(frozen=True)
class ScaleFigures:
    """What so many services cost; seconds until all their children are there, with the controller and with a bare client."""

    services: int
    seconds: float
    bare_seconds: float
    cpu_s_per_service: float
    writes_per_service: dict[str, float]
    rss_mib: float
    idle_cpu_percent: float


def measure_controller(counts: tuple[int, ...]) -> list[ScaleFigures]:
    """Return the figures for each number of services, each on a control plane of its own."""
    figures = []
    for count in counts:
        with _cluster() as (plane, _):
            bare_seconds = asyncio.run(_bare(plane, count))
        with _cluster() as (plane, folder):
            figures.append(asyncio.run(_measure(plane, folder, count, bare_seconds)))
    return figures


@contextmanager
def _cluster() -> Iterator[tuple[ControlPlane, Path]]:
    binaries = provide(os.environ, Progress(sys.stderr))
    with TemporaryDirectory() as folder, ControlPlane(binaries, Path(folder) / "cluster", audit=True) as plane:
        plane.kubectl("apply", "-f", str(ROOT / "crds"))
        wait_until(lambda: _is_served(plane), "the CRDs are served")
        yield plane, Path(folder)


def _is_served(plane: ControlPlane) -> bool:
    try:
        plane.kubectl("get", "jointinferenceservices,models")
    except KubectlError:
        return False
    return True


async def _measure(plane: ControlPlane, folder: Path, count: int, bare_seconds: float) -> ScaleFigures:
    async with _client(plane) as cluster:
        settings = {"LEADER_ELECTION": "false", "LOG_LEVEL": "WARNING"}
        with running_controller(folder, plane.kubeconfig, settings) as controller:
            process = controller.process.popen.pid
            await _until(lambda: _listening(controller.port))
            before, written = _cpu(process), len(plane.api_writes())
            seconds = await _create(cluster, "scale", count)
            await _calm(plane)
            cpu = _cpu(process) - before
            writes = [write for write in plane.api_writes()[written:] if "sedna-controller" in write.user_agent]
            idle_from, begun = _cpu(process), time.monotonic()
            await asyncio.sleep(IDLE_S)
            idle = (_cpu(process) - idle_from) / (time.monotonic() - begun)
            rss = _rss_mib(process)
    kinds = Counter(write.resource for write in writes)
    children = sum(number for resource, number in kinds.items() if resource in {kind.plural for kind in ChildKind})
    per_service = {
        "children": children / count,
        "status": kinds["jointinferenceservices/status"] / count,
        "events": kinds["events"] / count,
    }
    return ScaleFigures(count, seconds, bare_seconds, cpu / count, per_service, rss, idle * 100)


async def _create(cluster: Cluster, namespace: str, count: int) -> float:
    """Make the services and return the seconds until all their children are there."""
    service = await _prepare(cluster, namespace)
    path = f"{OURS}/namespaces/{namespace}/jointinferenceservices"
    begun = time.monotonic()
    await _each(count, lambda number: cluster._request("POST", path, _named(service, namespace, number)))
    wanted = {ChildKind.DEPLOYMENT: 2 * count, ChildKind.SERVICE: 2 * count, ChildKind.HPA: 2 * count}
    async with asyncio.timeout(SETTLE_S):
        for kind, number in wanted.items():
            while await _count(cluster, namespace, kind) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    return time.monotonic() - begun


async def _bare(plane: ControlPlane, count: int) -> float:
    async with _client(plane) as cluster:
        return await _apply_all(cluster, count)


async def _apply_all(cluster: Cluster, count: int) -> float:
    """Return the seconds in which a client that does nothing else applies the children of so many services."""
    service = await _prepare(cluster, "bare")
    documents = _sample()
    models = {d["metadata"]["name"]: parse_document(d)[0] for d in documents if d["kind"] == "Model"}
    placement = Placement("image", "http://sedna-controller.sedna:9100")
    uid = "00000000-0000-4000-8000-000000000000"

    async def apply(number: int) -> None:
        document = _named(service, "bare", number)
        document["metadata"]["uid"] = uid
        resource, findings = parse_document(document)
        assert resource is not None, findings
        for child in desired_state(resource, Surroundings(models), placement).children:
            manifest = copy.deepcopy(dict(child.manifest))
            del manifest["metadata"]["ownerReferences"]  # there is no such owner; they would be collected at once
            await cluster.apply_child("bare", child.kind, manifest, None)

    begun = time.monotonic()
    await _each(count, apply)
    return time.monotonic() - begun


async def _prepare(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """Make a namespace without pods, with the Models of the sample, and return its service."""
    core = "/api/v1/namespaces"
    await cluster._request("POST", core, {"metadata": {"name": namespace}})
    quota = {"metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}}
    await cluster._request("POST", f"{core}/{namespace}/resourcequotas", quota)
    documents = _sample()
    for model in (document for document in documents if document["kind"] == "Model"):
        model["metadata"]["namespace"] = namespace
        await cluster._request("POST", f"{OURS}/namespaces/{namespace}/models", model)
    return next(document for document in documents if document["kind"] == "JointInferenceService")


def _sample() -> list[dict[str, Any]]:
    text = SAMPLE.read_text(encoding="utf-8").replace("$EDGE_NODE", "edge1").replace("$CLOUD_NODE", "cloud1")
    return [document for document in yaml.safe_load_all(text) if document]


def _named(service: Mapping[str, Any], namespace: str, number: int) -> dict[str, Any]:
    return {**copy.deepcopy(dict(service)), "metadata": {"name": f"service-{number}", "namespace": namespace}}


async def _count(cluster: Cluster, namespace: str, kind: ChildKind) -> int:
    root = f"/apis/{kind.api_version}" if "/" in kind.api_version else f"/api/{kind.api_version}"
    answer = await cluster._request("GET", f"{root}/namespaces/{namespace}/{kind.plural}", limit="1")
    return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount") or 0)


async def _each(count: int, work: Any) -> None:
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(number: int) -> None:
        async with gate:
            await work(number)

    await asyncio.gather(*(one(number) for number in range(count)))


async def _calm(plane: ControlPlane) -> None:
    """Wait until the controller has written nothing for a while."""
    seen, since = -1, time.monotonic()
    async with asyncio.timeout(SETTLE_S):
        while time.monotonic() - since < CALM_S:
            written = sum("sedna-controller" in write.user_agent for write in plane.api_writes())
            if written != seen:
                seen, since = written, time.monotonic()
            await asyncio.sleep(1)


async def _listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def _cpu(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


@asynccontextmanager
async def _client(plane: ControlPlane) -> AsyncIterator[Cluster]:
    configuration = Configuration()
    await load_kube_config(config_file=str(plane.kubeconfig), client_configuration=configuration)
    cluster = Cluster(ApiClient(configuration), timeout_s=60)
    try:
        yield cluster
    finally:
        await cluster.close()
