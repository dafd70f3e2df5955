"""What workers counted: from their reports into the status, added up right whatever ends or begins meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from sedna_py.client.local_controller import InferenceCounts, LocalControllerReporter, WorkerIdentity
from sedna_py.metrics import names
from tests.cluster.control_plane import ControlPlane
from tests.integration.controller_process import ControllerProcess, running_controller, wait_until
from tests.integration.played_kubelet import PlayedKubelet
from tests.integration.service_on_cluster import Cluster, Object, install_crds
from tests.integration.watched_service import CLOUD_NODE, EDGE_NODE, WatchedService, metric_sum, service
from workers.cloud.metrics import CloudMetrics
from workers.cloud.report_relay import ReportRelay
from workers.cloud.report_routes import report_routes

INTERVAL_S = 1.0


class Counting:
    """A namespace with a controller that can be restarted."""

    def __init__(self, control_plane: ControlPlane, kubelet: PlayedKubelet, folder: Path) -> None:
        self.namespace = control_plane.create_namespace()
        self.cluster = Cluster.of(control_plane)
        self._control_plane = control_plane
        self._kubelet = kubelet
        self._folder = folder
        self._running = ExitStack()
        self.start()
        self.service("models-only").add_models()

    def start(self) -> None:
        settings = {
            "LEADER_ELECTION": "false",
            "WATCH_NAMESPACES": self.namespace,
            "REPORT_INTERVAL_S": str(INTERVAL_S),
        }
        running = running_controller(self._folder, self._control_plane.kubeconfig, settings)
        self.controller: ControllerProcess = self._running.enter_context(running)
        wait_until(lambda: "serving" in self.controller.log(), "the first list")

    def stop(self) -> None:
        self._running.close()

    def service(self, name: str) -> WatchedService:
        return WatchedService(self._control_plane, self.cluster, self._kubelet, self.namespace, name)

    def created(self, name: str, edges: int = 1) -> tuple[WatchedService, list[str]]:
        """Return a new service that runs, and the names of its edge pods."""
        found = self.service(name)
        found.create(service(name))
        found.wait_for_pods(found.edge, 1)
        if edges > 1:
            found.kubectl("scale", f"deployment/{name}-deployment-edge", f"--replicas={edges}")
        pods = [pod["metadata"]["name"] for pod in found.wait_for_pods(found.edge, edges)]
        found.wait_for_phase("Running")
        # The controller counts the pods that it has seen: it knows all of them now, and a report of each counts.
        found.wait(lambda status: status["edge"]["ready"] == f"{edges}/{edges}", "the pods in the status")
        return found, pods

    def reports(self, outcome: str) -> float:
        return metric_sum(self.controller, f'{names.CONTROLLER_REPORTS}{{outcome="{outcome}"')

    def post(self, worker: str, body: Object) -> httpx.Response:
        url = f"http://127.0.0.1:{self.controller.port}/sedna/workers/{worker}/info"
        return httpx.post(url, json=body, trust_env=False, timeout=5)

    def report(self, worker: str, inferences: int, hard: int) -> None:
        answer = self.post(worker, upstream_report(worker, self.namespace, inferences, hard))
        assert (answer.status_code, answer.json()) == (200, {"Status": 200, "Message": "OK"})


def upstream_report(worker: str, namespace: str, inferences: int, hard: int) -> Object:
    """Return what upstream's library posts; it takes `sedna` for the name of every service."""
    return {
        "name": worker,
        "namespace": namespace,
        "ownerName": "sedna",
        "ownerKind": "jointinferenceservice",
        "kind": "inference",
        "results": [],
        "ownerInfo": {
            "startTime": "2025-11-21 10:00:00",
            "updateTime": "2025-11-21 10:00:30",
            "inferenceNumber": inferences,
            "hardExampleNumber": hard,
            "uploadCloudRatio": hard / inferences if inferences else 0.0,
        },
    }


@pytest.fixture(scope="module")
def counting(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    install_crds(control_plane)
    with PlayedKubelet(control_plane) as kubelet:
        kubelet.register(EDGE_NODE, CLOUD_NODE)
        found = Counting(control_plane, kubelet, tmp_path_factory.mktemp("reports"))
        try:
            yield found
            assert "Traceback" not in found.controller.log()
        finally:
            found.stop()
            found.cluster.http.close()
            control_plane.delete_namespace(found.namespace)
            for node in (EDGE_NODE, CLOUD_NODE):  # what is left of the pods goes with them
                kubelet.remove(node)


def totals(inferences: int, hard: int, ratio: str) -> list[Object]:
    values = {"inferenceNumber": str(inferences), "hardExampleNumber": str(hard), "uploadCloudRatio": ratio}
    return [{"key": key, "value": value} for key, value in values.items()]


def wait_for_totals(helmet: WatchedService, *expected: Any) -> None:
    helmet.wait(lambda status: status.get("metrics") == totals(*expected), f"the totals {expected}", 10)


def counts(helmet: WatchedService) -> dict[str, tuple[int, int]]:
    workers = helmet.status().get("workers", [])
    return {worker["name"]: (worker["inferenceNumber"], worker["hardExampleNumber"]) for worker in workers}


def test_two_edges_are_added_up_and_shown(counting):
    helmet, (first, second) = counting.created("two-edges", edges=2)
    counting.report(first, 120, 30)
    counting.report(second, 30, 10)
    wait_for_totals(helmet, 150, 40, "0.2667")
    assert counts(helmet) == {first: (120, 30), second: (30, 10)}
    counting.report(first, 130, 30)  # totals since the worker began, not since the report before
    wait_for_totals(helmet, 160, 40, "0.25")
    row = helmet.kubectl("get", "ji", "two-edges").splitlines()[1].split()
    assert row[3:6] == ["IBT", "160", "0.25"]


def test_a_pod_that_goes_takes_nothing_of_what_it_counted_with_it(counting):
    helmet, (pod,) = counting.created("goes")
    counting.report(pod, 100, 20)
    wait_for_totals(helmet, 100, 20, "0.2")
    helmet.kubectl("delete", "pod", pod)
    helmet.wait(lambda status: "workers" not in status, "the pod to go from the status")
    assert helmet.status()["metrics"] == totals(100, 20, "0.2")
    helmet.wait(lambda _: [name_of(one) for one in helmet.kubelet.pods(helmet.edge)] != [pod], "another pod")
    [other] = helmet.wait_for_pods(helmet.edge, 1)
    wait_until(lambda: is_counted(counting, helmet, name_of(other), 10, 5), "the new pod to be known")
    wait_for_totals(helmet, 110, 25, "0.2273")
    assert counts(helmet) == {name_of(other): (10, 5)}


def name_of(pod: Object) -> str:
    name: str = pod["metadata"]["name"]
    return name


def is_counted(counting: Counting, helmet: WatchedService, worker: str, inferences: int, hard: int) -> bool:
    before = counting.reports("accepted")
    counting.report(worker, inferences, hard)
    return counting.reports("accepted") > before


def test_a_container_that_begins_anew_goes_on_where_it_ended(counting):
    helmet, (pod,) = counting.created("anew")
    counting.report(pod, 100, 20)
    counting.report(pod, 7, 0)
    counting.report(pod, 10, 2)
    wait_for_totals(helmet, 110, 22, "0.2")
    assert counts(helmet) == {pod: (10, 2)}


def test_a_controller_that_begins_anew_goes_on_where_it_ended_and_says_nothing_twice(counting):
    helmet, (first, second) = counting.created("restart", edges=2)
    counting.report(first, 100, 20)
    counting.report(second, 50, 0)
    wait_for_totals(helmet, 150, 20, "0.1333")
    before, reasons = helmet.version(), helmet.reasons()
    counting.stop()
    helmet.kubectl("delete", "pod", second)
    helmet.wait_for_pods(helmet.edge, 2)
    helmet.wait_until_played(helmet.edge)
    counting.start()

    helmet.wait(
        lambda status: [worker["name"] for worker in status["workers"]] == [first], "the pod that went to be seen"
    )
    counting.report(first, 110, 25)
    wait_for_totals(helmet, 160, 25, "0.1562")
    assert counts(helmet) == {first: (110, 25)}
    assert helmet.reasons() == reasons
    assert len(helmet.history(before)) <= 3


@pytest.mark.parametrize(
    "change",
    [
        {"name": "edgeworker-x7k2m"},
        {"namespace": "elsewhere"},
        {"ownerKind": "incrementallearningjob"},
        {"name": "stranger-deployment-edge-7d4b9-aaaaa", "ownerName": "stranger"},
    ],
)
def test_a_report_that_belongs_to_nobody_is_answered_well_and_not_counted(counting, change):
    helmet, (pod,) = shared(counting)
    before = counting.reports("unrouted")
    body = {**upstream_report(pod, counting.namespace, 1000, 1000), **change}
    answer = counting.post(str(body["name"]), body)
    assert (answer.status_code, answer.json()) == (200, {"Status": 200, "Message": "OK"})
    assert counting.reports("unrouted") == before + 1
    assert counts(helmet) == {}


def shared(counting: Counting) -> tuple[WatchedService, list[str]]:
    """Return a service that nobody has counted for, the same for several tests."""
    helmet = counting.service("stranger")
    if counting.cluster.http.get(helmet.path).is_success:
        return helmet, [name_of(pod) for pod in helmet.kubelet.pods(helmet.edge)]
    return counting.created("stranger")


def test_more_hard_ones_than_all_are_not_counted(counting):
    helmet, (pod,) = shared(counting)
    before = counting.reports("unrouted")
    counting.report(pod, 5, 6)
    assert counting.reports("unrouted") == before + 1
    assert counts(helmet) == {}


def test_many_reports_are_few_writes(counting):
    helmet, (pod,) = counting.created("busy")
    before, begun, count = helmet.version(), time.monotonic(), 0
    while time.monotonic() - begun < 4:
        count += 1
        counting.report(pod, count, 0)
        helmet.annotate_pod(pod, "count", str(count))  # each brings another pass
    wait_for_totals(helmet, count, 0, "0")
    took_s = time.monotonic() - begun
    assert count > 10
    assert 2 <= len(helmet.history(before)) <= took_s / INTERVAL_S + 1


def test_the_edges_reporter_reaches_the_status_through_the_cloud_worker(counting):
    helmet, (pod,) = counting.created("whole-way")
    asyncio.run(report_once(f"http://127.0.0.1:{counting.controller.port}", counting.namespace, pod))
    wait_for_totals(helmet, 64, 16, "0.25")
    assert counts(helmet) == {pod: (64, 16)}


async def report_once(controller: str, namespace: str, pod: str) -> None:
    """Let an edge worker's reporter report to the cloud worker's routes, whose relay knows the controller."""
    metrics = CloudMetrics()
    relay = ReportRelay(controller, metrics)
    cloud = FastAPI()
    cloud.include_router(report_routes(relay, metrics))
    relay.start()
    reporter = LocalControllerReporter(
        "http://whole-way-cloud.test:5000",
        WorkerIdentity(worker=pod, namespace=namespace, service="whole-way"),
        lambda: InferenceCounts(inferences=64, hard_examples=16),
        transport=httpx.ASGITransport(cloud),
    )
    running = asyncio.create_task(reporter.run())
    await asyncio.sleep(0)  # let it begin
    await reporter.stop()
    await running
    await relay.stop()
