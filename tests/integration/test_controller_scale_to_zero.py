"""Scale to zero on a real control plane: its autoscaler rests and goes on, its garbage collector works, replicas take over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from controller.zero.endpoint_slice import SELECTOR, SERVICE_LABEL
from controller.zero.marks import ASLEEP_SINCE, WOKEN_AT
from sedna_py.api.child_names import Role, deployment_name, hpa_name
from sedna_py.metrics import names
from sedna_py.protocol.asleep import says_asleep
from sedna_py.protocol.worker_report import report_path
from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane
from tests.integration.controller_process import wait_until
from tests.integration.played_kubelet import PlayedKubelet
from tests.integration.played_metrics import install_metrics_api, write_cpu
from tests.integration.played_worker import PlayedWorker
from tests.integration.pod_pictures import Picture, ready
from tests.integration.replica import Replica, replica, seconds_until
from tests.integration.service_on_cluster import Cluster, install_crds
from tests.integration.test_controller_leader import DEPLOY, LEASE, NAMESPACE, accounts
from tests.integration.watched_service import CLOUD_NODE, EDGE_NODE, WatchedService, service

Object = dict[str, Any]
WORKER: Final = "127.0.0.77"
ADDRESSES: Final = {"first": "192.0.2.101", "second": "192.0.2.102"}  # of no machine; the ports are on this one
PORTS: Final = {"first": 23400, "second": 23500}
WINDOW_S: Final = 6
SLEEPS_S: Final = 60.0  # the window, the autoscaler's first look, and a busy machine
SOON_S: Final = 10.0
REQUESTS: Final = {"resources": {"requests": {"cpu": "1"}}}

# Of several waits, each of which may take its time on a busy machine.
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Night:
    """Two replicas of the controller, and a service whose cloud worker may sleep; `first` leads in the beginning."""

    plane: ControlPlane
    cluster: Cluster
    kubelet: PlayedKubelet
    first: Replica
    second: Replica
    watched: WatchedService
    worker: PlayedWorker

    def get(self, group: str, plural: str, name: str) -> Object:
        return self.cluster.get(f"/apis/{group}/namespaces/{self.watched.namespace}/{plural}/{name}")

    def deployment(self) -> Object:
        return self.get("apps/v1", "deployments", deployment_name(self.watched.name, Role.CLOUD))

    def hpa(self, kind: str) -> tuple[str, str]:
        found = self.get("autoscaling/v2", "horizontalpodautoscalers", hpa_name(self.watched.name, Role.CLOUD))
        said = next((one for one in found["status"].get("conditions", ()) if one["type"] == kind), {})
        return said.get("status", ""), said.get("reason", "")

    def replicas(self) -> int:
        return int(self.deployment()["spec"]["replicas"])

    def marks(self) -> set[str]:
        return set(self.deployment()["metadata"].get("annotations", {})) & {ASLEEP_SINCE, WOKEN_AT}

    def slices(self, selector: str = SELECTOR) -> list[Object]:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.watched.namespace}/endpointslices"
        return list(self.cluster.get(f"{path}?labelSelector={selector}")["items"])

    def leads_to(self) -> tuple[str, int] | None:
        """Return the address and the port to which our slice leads, None where there is none."""
        found = self.slices()
        if not found:
            return None
        [one] = found
        return one["endpoints"][0]["addresses"][0], one["ports"][0]["port"]

    def stands_in(self, one: Replica) -> bool:
        return (self.leads_to() or ("",))[0] == ADDRESSES[one.name]

    def ask(self, method: str = "POST", path: str = "/sedna/predict") -> httpx.Response:
        """Ask whoever stands in, as a client of the Service is led to it."""
        to = self.leads_to()
        assert to is not None
        return httpx.request(
            method, f"http://127.0.0.1:{to[1]}{path}", content=b"x" * 50_000, trust_env=False, timeout=5
        )

    def falls_asleep(self) -> float:
        """Let no request be inside until the last pod has gone, and return how long that took."""
        self.worker.inside = 0
        took_s = seconds_until(lambda: self.replicas() == 0, "the last pod to go", SLEEPS_S)
        self.worker.inside = 1  # once it is woken it stays awake, however long a test waits for other things
        return took_s

    def pod(self) -> Object:
        """Return the cloud worker's pod, with little to do."""
        [pod] = self.watched.wait_for_pods(self.watched.cloud, 1)
        write_cpu(self.cluster, pod, "100m")
        return pod

    def let_start(self, picture: Callable[[Object], Picture | None]) -> None:
        self.kubelet.play(self.watched.cloud, picture)


def at_worker(pod: Object) -> Picture:
    return replace(ready(pod), fields={"podIP": WORKER, "podIPs": [{"ip": WORKER}]})


def not_yet(_: Object) -> None:
    return None


@pytest.fixture(scope="module")
def plane(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(kubernetes_binaries, tmp_path_factory.mktemp("zero")) as running:
        install_crds(running)
        running.kubectl("apply", "-k", str(DEPLOY))
        running.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(accounts("first", "second")))
        cluster = Cluster.of(running)
        with cluster.http:
            install_metrics_api(running, cluster)
        yield running


@pytest.fixture(scope="module")
def kubelet(plane: ControlPlane) -> Iterator[PlayedKubelet]:
    with PlayedKubelet(plane) as played:
        played.register(EDGE_NODE, CLOUD_NODE)
        yield played


@pytest.fixture
def night(plane: ControlPlane, kubelet: PlayedKubelet, tmp_path: Path) -> Iterator[Night]:
    cluster, namespace = Cluster.of(plane), plane.create_namespace()
    with ExitStack() as stack:
        stack.callback(cluster.http.close)
        stack.callback(cluster.http.delete, LEASE)
        stack.callback(plane.delete_namespace, namespace)
        first, second = (
            stack.enter_context(
                replica(
                    name,
                    tmp_path,
                    plane.kubeconfig_for(name, NAMESPACE),
                    {
                        "POD_NAMESPACE": NAMESPACE,
                        "POD_IP": ADDRESSES[name],
                        "ACTIVATOR_PORT": str(PORTS[name]),
                        "ACTIVATOR_PORTS": "20",
                        "REPORT_INTERVAL_S": "0",
                    },
                )
            )
            for name in ADDRESSES
        )
        first.start()
        seconds_until(first.leads, "a first leader")
        watched = WatchedService(plane, cluster, kubelet, namespace, "helmet")
        watched.add_models()
        found = Night(plane, cluster, kubelet, first, second, watched, stack.enter_context(PlayedWorker(WORKER)))
        found.worker.inside = 1  # until `falls_asleep`
        found.let_start(at_worker)
        hpa = {"minReplicas": 0, "maxReplicas": 3}
        document = service("helmet", cloud={"hpa": hpa, "container_fields": REQUESTS})
        document["metadata"]["annotations"] = {"autoscaling.knative.dev/window": f"{WINDOW_S}s"}
        watched.create(document)
        watched.wait_for_phase("Running")
        found.pod()
        yield found
        for one in (first, second):
            assert "Traceback" not in one.log()
            assert " ERROR " not in one.log()


def test_idle_it_has_no_pod_a_request_brings_one_back_and_the_autoscaler_goes_on(night: Night) -> None:
    watched = night.watched
    assert night.leads_to() is None
    assert night.falls_asleep() >= WINDOW_S
    assert night.marks() == {ASLEEP_SINCE}
    watched.wait_for("CloudReady", "Asleep", "the first hard frame wakes it")
    seconds_until(lambda: night.hpa("ScalingActive") == ("False", "ScalingDisabled"), "the autoscaler to rest", 30)
    assert watched.status()["phase"] == "Running"
    assert watched.condition("CloudScaling")["status"] == "True"
    assert watched.kubectl("get", "ji", "helmet", "--no-headers").split()[2] == "0/0"
    watched.wait_for_pods(watched.cloud, 0)
    generations = {name: generation for _, name, generation in watched.children()}
    # Kubernetes' own slices of the Service are as they were, beside ours.
    by_manager = {
        one["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]: one["endpoints"]
        for one in night.slices(f"{SERVICE_LABEL}=helmet-cloud")
    }
    assert set(by_manager) == {"endpointslice-controller.k8s.io", "sedna-controller"}

    night.let_start(not_yet)
    assert night.ask("GET", "/sedna").status_code == 503
    assert night.replicas() == 0
    answer = night.ask()
    assert says_asleep(answer.status_code, answer.content)
    seconds_until(lambda: night.replicas() == 1, "a pod to be asked for", SOON_S)
    assert night.marks() == {WOKEN_AT}
    watched.wait_for("CloudReady", "Waking", "woken at")
    assert watched.status()["phase"] == "Running"
    assert night.ask().status_code == 503
    assert night.stands_in(night.first)

    night.let_start(at_worker)
    seconds_until(lambda: night.leads_to() is None, "the slice to go when a pod is ready", SOON_S)
    seconds_until(lambda: night.marks() == set(), "the marks to go", SOON_S)
    night.pod()
    watched.wait_for("CloudReady", "Ready")
    seconds_until(lambda: night.hpa("ScalingActive")[0] == "True", "the autoscaler to go on", 60)
    watched.wait_for("CloudScaling", "Scaling")
    assert watched.status()["phase"] == "Running"
    # Nobody fights: what is applied is as it was, and new generations were made by waking and by taking the mark away alone.
    own = next(one for one in night.deployment()["metadata"]["managedFields"] if one["operation"] == "Apply")
    assert (own["manager"], "f:replicas" in own["fieldsV1"]["f:spec"]) == ("sedna-controller", False)
    name = deployment_name("helmet", Role.CLOUD)
    for _, child, generation in watched.children():
        assert generation == generations[child] + 2 * (child == name), child
    assert repaired(night.first) == 0
    assert sleeps(night.first) == {"slept": 1, "woken": 1}
    reasons = [event["reason"] for event in watched.events() if event["type"] == "Normal"]
    assert [reason for reason in reasons if reason in {"Asleep", "Waking"}] == ["Asleep", "Waking"]
    assert [event["message"] for event in watched.events() if event["type"] == "Warning"] == []


def test_requests_keep_it_and_without_a_word_from_it_it_stays(night: Night) -> None:
    night.worker.inside = 0
    begun = night.worker.reads
    seconds_until(lambda: night.worker.reads > begun, "the counters to be read", SOON_S)
    asked_last = 0.0
    for turn in range(WINDOW_S):  # each look is two seconds after the one before
        asked_last = time.monotonic()
        night.worker.done = turn + 1
        begun = night.worker.reads
        seconds_until(lambda begun=begun: night.worker.reads > begun, "the next look", SOON_S)
    assert night.replicas() == 1
    night.falls_asleep()
    assert time.monotonic() - asked_last >= WINDOW_S


def test_a_report_of_hard_frames_wakes_it_through_the_controller_or_who_stands_in(night: Night) -> None:
    edge = night.kubelet.pods(night.watched.edge)[0]["metadata"]["name"]
    night.worker.inside = 0

    def report(port: int, frames: int, hard: int) -> None:
        counts = {"inferenceNumber": frames, "hardExampleNumber": hard}
        about = {"name": edge, "namespace": night.watched.namespace, "ownerName": "helmet", "status": "running"}
        body = {**about, "ownerKind": "jointinferenceservice", "kind": "inference", "ownerInfo": counts}
        answer = httpx.post(
            f"http://127.0.0.1:{port}{report_path(edge)}", content=json.dumps(body), trust_env=False, timeout=5
        )
        assert answer.status_code == 200, answer.text

    def reports_until_it_sleeps(frames: int, hard: int) -> bool:
        report(night.first.port, frames, hard)
        return night.replicas() == 0

    for hard, through in ((4, "activator"), (5, "controller")):
        frames = 100 * hard
        # An edge that has reported is waited for: it may have had more of them since.
        seconds_until(lambda f=frames, h=hard - 1: reports_until_it_sleeps(f, h), "the last pod to go", SLEEPS_S)
        to = night.leads_to()
        assert to is not None
        port = to[1] if through == "activator" else night.first.port
        report(port, frames + 1, hard - 1)  # a frame, and not a hard one
        assert night.replicas() == 0
        report(port, frames + 2, hard)
        seconds_until(lambda: night.replicas() == 1, f"a report through the {through} to wake it", SOON_S)
        night.pod()
        seconds_until(lambda: night.leads_to() is None, "the slice to go", SOON_S)
        seconds_until(lambda: night.hpa("ScalingActive")[0] == "True", "the autoscaler to go on", 60)
    assert sleeps(night.first) == {"slept": 2, "woken": 2}


def test_whoever_takes_over_stands_in_and_a_controller_that_was_away_goes_on_where_it_was(night: Night) -> None:
    night.falls_asleep()
    assert night.stands_in(night.first)
    night.second.start()
    seconds_until(lambda: night.second.metric(names.CONTROLLER_LEADER) == 0, "a standby", 30)
    night.first.crash()
    seconds_until(lambda: night.stands_in(night.second), "the other one to stand in", 30)
    assert night.replicas() == 0
    answer = night.ask()  # which wakes it: a second one may find nobody who stands in any more
    assert says_asleep(answer.status_code, answer.content)
    seconds_until(lambda: night.replicas() == 1, "the other one to wake it", SOON_S)
    night.pod()
    seconds_until(lambda: night.leads_to() is None, "the slice to go", SOON_S)

    # The next night nobody is there, and the slice leads nowhere; nothing wakes, nothing is lost.
    seconds_until(lambda: night.hpa("ScalingActive")[0] == "True", "the autoscaler to go on", 60)
    night.falls_asleep()
    night.second.crash()
    assert night.leads_to() is not None
    night.first.start()
    seconds_until(lambda: night.stands_in(night.first), "it to stand in again", 40)
    assert night.replicas() == 0
    night.let_start(not_yet)
    night.ask()
    seconds_until(lambda: night.replicas() == 1, "it to be woken", SOON_S)

    # It dies in the middle of the cold start, and the pod is ready before another one looks.
    night.first.crash()
    night.let_start(at_worker)
    night.pod()
    wait_until(lambda: night.deployment()["status"].get("readyReplicas") == 1, "the pod to be ready")
    assert night.leads_to() is not None
    night.second.start()
    seconds_until(lambda: night.leads_to() is None, "the slice of the dead to go", 40)
    seconds_until(lambda: night.marks() == set(), "the marks to go", SOON_S)


def test_a_service_that_may_not_sleep_any_more_is_woken_and_one_that_is_deleted_leaves_nothing(night: Night) -> None:
    night.falls_asleep()
    night.watched.patch({"cloudWorker": {"hpa": {"minReplicas": 1}}})
    seconds_until(lambda: night.replicas() == 1, "it to be woken", SOON_S)
    night.pod()
    seconds_until(lambda: night.leads_to() is None, "the slice to go", SOON_S)
    night.watched.patch({"cloudWorker": {"hpa": {"minReplicas": 0}}})
    seconds_until(lambda: night.hpa("ScalingActive")[0] == "True", "the autoscaler to go on", 60)
    night.falls_asleep()
    assert night.leads_to() is not None
    reply = night.cluster.http.delete(night.watched.path)
    assert reply.is_success, reply.text
    seconds_until(lambda: night.leads_to() is None, "the garbage collector", 60)


def test_a_zero_by_hand_is_stood_in_for_and_a_pod_by_hand_ends_it(night: Night) -> None:
    name = deployment_name("helmet", Role.CLOUD)
    night.watched.kubectl("scale", f"deployment/{name}", "--replicas=0")
    seconds_until(lambda: night.marks() == {ASLEEP_SINCE}, "the mark", SOON_S)
    seconds_until(lambda: night.stands_in(night.first), "somebody to stand in", SOON_S)
    night.watched.kubectl("scale", f"deployment/{name}", "--replicas=2")
    seconds_until(lambda: night.leads_to() is None, "the slice to go", 30)
    assert night.replicas() == 2
    seconds_until(lambda: night.marks() == set(), "the mark to go", SOON_S)


def repaired(one: Replica) -> float:
    page = httpx.get(f"http://127.0.0.1:{one.port}/metrics", trust_env=False, timeout=5).text
    lines = [line for line in page.splitlines() if line.startswith(names.CONTROLLER_CHILDREN)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'change="repaired"' in line)


def sleeps(one: Replica) -> dict[str, int]:
    page = httpx.get(f"http://127.0.0.1:{one.port}/metrics", trust_env=False, timeout=5).text
    found = {}
    for change in ("slept", "woken"):
        start = f'{names.CONTROLLER_CLOUD_SLEEP_CHANGES}{{change="{change}"}} '
        found[change] = int(sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(start)))
    return found
