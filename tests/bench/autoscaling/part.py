"""`python -m tests.bench --only autoscaling`: an hpa on cpu against one on demand, and the early warning; real pods.

One cluster with nodes for all of it, its autoscalers with the periods that Kubernetes has by default. The services live side
by side; while one is under load the others rest, so that none takes the processors from it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench.autoscaling.edge_counters import EdgeCounters, edge_counters
from tests.bench.autoscaling.figures import Look, Rise, Run, Total, run_of
from tests.bench.autoscaling.report import report_rises, report_runs
from tests.bench.autoscaling.services import (
    CAMERA_PORTS,
    CLOUD_RATE,
    CPU,
    DEMAND,
    EARLY,
    EARLY_SHARE,
    EDGE_CPU,
    IDLE_RATE,
    LOAD_RATE,
    QUEUE,
    services,
)
from tests.bench.pairs import face_pair
from tests.cluster.binaries import locate_with_nodes
from tests.cluster.e2e_cluster import E2eCluster
from tests.cluster.errors import TierUnavailableError
from tests.cluster.packages import require_machine
from tests.cluster.progress import Progress
from tests.e2e.fixtures import install_controller
from tests.e2e.pods import pods
from tests.e2e.running_sample import camera_answers, turn_camera
from tests.e2e.scaled_services import CODE, RunningService, Scaled
from tests.images import provide
from tests.integration.controller_process import wait_until

# Kubernetes' own; the cluster's for tests are quicker.
DEFAULT_PERIODS = (
    "--horizontal-pod-autoscaler-sync-period=15s",
    "--horizontal-pod-autoscaler-initial-readiness-delay=30s",
    "--horizontal-pod-autoscaler-cpu-initialization-period=5m",
)
LOOK_S = 1.0
DECISION_LOOK_S = 0.2
READY_S = 180.0
CALM_S = 400.0
HEAVY = 2.5  # cloud pods' worth of hard frames, at the end of a rise
LATE_S = 90.0  # after the rise

PARTS = ("drops", "rise", "step")


@dataclass(frozen=True)
class Options:
    """Seconds of the load on the edge, and of the slow rise of the hard frames; `parts` are some of PARTS.

    `edge_cpu` is what an edge pod under that load requests, `early_share` the early warning of the cloud worker that has one.
    """

    parts: Sequence[str] = PARTS
    rounds: int = 3
    load_s: float = 120.0
    rise_s: float = 120.0
    edge_cpu: str = EDGE_CPU
    early_share: float = EARLY_SHARE


@dataclass
class Figures:
    """What was measured, round by round."""

    cpu: list[Run] = field(default_factory=list)
    demand: list[Run] = field(default_factory=list)
    rise: list[Rise] = field(default_factory=list)
    step: list[Rise] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """The cluster with everything on it."""

    cluster: E2eCluster
    namespace: str
    counters: EdgeCounters

    def service(self, name: str) -> RunningService:
        """Return one of the services."""
        return RunningService(self.cluster, self.namespace, name)

    def turn(self, camera: str, rate: float) -> None:
        """Set a camera's frames per second."""
        turn_camera(self.cluster, CAMERA_PORTS[camera], rate)


def bench_autoscaling(options: Options) -> dict[str, object]:
    """Measure, print and return the figures."""
    print("\nautoscaling: real pods on two nodes of this machine, kube-controller-manager with its default periods")
    try:
        require_machine()
        binaries = locate_with_nodes(os.environ)
        archives = provide(os.environ, Progress(sys.stderr))
    except TierUnavailableError as error:
        print(f"  not measured: {error}")
        return {}
    figures = Figures()
    with (
        tempfile.TemporaryDirectory() as folder,
        E2eCluster(binaries, Path(folder) / "cluster", manager_options=DEFAULT_PERIODS) as cluster,
    ):
        for archive in sorted(set(archives.values())):
            cluster.load_image(archive)
        install_controller(cluster.plane)
        with _applied(cluster, services(options.edge_cpu, options.early_share)) as bench:
            for number in range(options.rounds):
                print(f"  round {number + 1}", file=sys.stderr, flush=True)
                _round(bench, options, figures)
    if figures.cpu:
        report_runs(figures.cpu, figures.demand, options.load_s, options.edge_cpu)
    if figures.rise or figures.step:
        report_rises(figures.rise, figures.step, options.rise_s, options.early_share)
    return asdict(figures)


def _round(bench: Bench, options: Options, figures: Figures) -> None:
    """Load one after the other; those whose turn is over come to rest meanwhile."""
    for name, runs, part, rise_s, rises in (
        (CPU, figures.cpu, "rise", options.rise_s, figures.rise),
        (DEMAND, figures.demand, "step", 0.0, figures.step),
    ):
        if "drops" in options.parts:
            runs.append(run_load(bench, name, options.load_s))
            print(f"    {name}: {runs[-1]}", file=sys.stderr, flush=True)
        if part in options.parts:
            rises.append(rise(bench, rise_s))
            print(f"    {part}: {rises[-1]}", file=sys.stderr, flush=True)


def run_load(bench: Bench, name: str, load_s: float) -> Run:
    """Turn a service's camera up for so long and return what came of it."""
    service, total = bench.service(name), Total()
    service.wait(lambda: at_rest(service, "edge"), "the edge to be at rest", CALM_S)

    def read() -> tuple[float, float]:
        addresses = {pod.address: pod.name for pod in service.pods("edge") if pod.address}
        found = bench.counters.read(list(addresses))
        return total.take({addresses[address]: both for address, both in found.items()})

    offered, dropped = read()
    looks: list[Look] = []
    begun = time.monotonic()
    bench.turn(name, LOAD_RATE)
    try:
        for at in _moments(begun, load_s, LOOK_S):
            now = read()
            wanted, ready = service.wanted("edge"), service.ready("edge")
            looks.append(Look(at, wanted, ready, now[0] - offered, now[1] - dropped, usage(service)))
    finally:
        bench.turn(name, IDLE_RATE)
    print(f"    {name}, (offered, dropped) since each pod began: {total.by_pod}", file=sys.stderr, flush=True)
    return run_of(looks)


def rise(bench: Bench, rise_s: float) -> Rise:
    """Let the hard frames become many, in so many seconds or at once, and return when the first pod was asked for."""
    both = {name: bench.service(name) for name in (EARLY, QUEUE)}
    for service in both.values():
        service.wait(lambda service=service: at_rest(service, "cloud"), "the cloud to be at rest", CALM_S)
    decided: dict[str, float] = {}
    begun, turned = time.monotonic(), -1.0
    try:
        for at in _moments(begun, rise_s + LATE_S, DECISION_LOOK_S):
            if at - turned >= LOOK_S and turned <= rise_s:
                grown = min(1.0, at / rise_s) if rise_s else 1.0
                bench.turn("hard", IDLE_RATE + grown * (HEAVY * CLOUD_RATE - IDLE_RATE))
                turned = at
            for name, service in both.items():
                if name not in decided and service.wanted("cloud") > 1:
                    decided[name] = time.monotonic() - begun
            if len(decided) == len(both):
                break
    finally:
        bench.turn("hard", IDLE_RATE)
    return Rise(decided.get(EARLY, float("inf")), decided.get(QUEUE, float("inf")))


def at_rest(service: RunningService, side: str) -> bool:
    """Return whether a worker has one pod, which is ready, and its autoscaler knows all it wants to know."""
    return service.wanted(side) == service.ready(side) == len(service.pods(side)) == 1 and service.has_values(side)


def usage(service: RunningService) -> int | None:
    """Return percent of the cpu requests that an edge worker's pods use, where its autoscaler asks for that."""
    metrics = service.hpa("edge").get("status", {}).get("currentMetrics") or []
    used = [metric["resource"]["current"].get("averageUtilization") for metric in metrics if "resource" in metric]
    return used[0] if used else None


def _moments(begun: float, seconds: float, every_s: float) -> Iterator[float]:
    """Yield the seconds since the beginning, about this often and at the end; moments that were missed are left out."""
    due = at = 0.0
    while at < seconds:
        time.sleep(max(0.0, begun + due - time.monotonic()))  # there is no condition to wait for
        at = time.monotonic() - begun
        yield at
        due = min(seconds, max(due + every_s, at))


@contextmanager
def _applied(cluster: E2eCluster, compared: Sequence[Scaled]) -> Iterator[Bench]:
    """Apply the services, with cameras at the edge, and wait until all autoscalers have values."""
    namespace = cluster.plane.create_namespace("bench-")
    kubectl = cluster.plane.kubectl
    kubectl("create", "configmap", "slow", "-n", namespace, f"--from-literal=slow.py={CODE}")
    with ExitStack() as stack:
        bench = Bench(cluster, namespace, stack.enter_context(edge_counters(cluster)))
        for port in CAMERA_PORTS.values():
            stack.enter_context(_camera(cluster, port))
        documents = [document for service in compared for document in service.documents(namespace)]
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
        stack.callback(wait_until, _gone(cluster, namespace), "the services' pods to go", READY_S)
        stack.callback(kubectl, "delete", "ji", "--all", "-n", namespace)
        for service in compared:
            running, side = bench.service(service.name), "edge" if service.edge_hpa else "cloud"
            running.serve()
            running.wait(lambda running=running, side=side: at_rest(running, side), "its autoscaler's values", READY_S)
        yield bench


def _gone(cluster: E2eCluster, namespace: str) -> Callable[[], bool]:
    return lambda: not pods(cluster.plane, namespace, "")


@contextmanager
def _camera(cluster: E2eCluster, port: int) -> Iterator[None]:
    words = [sys.executable, "-m", "tests.e2e.camera", "--clip", str(face_pair().clip), "--port", str(port)]
    with cluster.run_in_edge_netns([*words, "--rate", f"{IDLE_RATE:g}"]) as process:
        try:
            wait_until(lambda: camera_answers(cluster, port, IDLE_RATE), "a camera at the edge")
            yield
        finally:
            process.kill()
