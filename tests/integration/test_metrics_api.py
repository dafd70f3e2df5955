"""custom.metrics.k8s.io behind the real API server: who finds it, who may ask, and what real autoscalers do by it."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.metrics_api.catalogue import EDGE_METRICS, GROUP, SERVICES, resource_names
from controller.metrics_api.registration import SERVICE
from sedna_py.metrics import names
from sedna_py.protocol.reported_signals import write_signals
from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane, free_port
from tests.cluster.errors import KubectlError
from tests.cluster.pki import Authority, KeyPair, Subject
from tests.integration.controller_process import serves_our_kinds, wait_until
from tests.integration.played_kubelet import PlayedKubelet
from tests.integration.played_workers import PlayedWorker, PlayedWorkers, send
from tests.integration.replica import Replica, replica, seconds_until
from tests.integration.service_on_cluster import Cluster
from tests.integration.services import bad_lines
from tests.integration.watched_service import CLOUD_NODE, EDGE_NODE, PlayedSite, WatchedService, service

DEPLOY = Path(__file__).parents[2] / "deploy"
ROOT = f"/apis/{GROUP}/v1beta2"
SLICE = f"/apis/discovery.k8s.io/v1/namespaces/sedna/endpointslices/{SERVICE}"
APIS = "/apis/apiregistration.k8s.io/v1/apiservices"
V1, V2 = f"{APIS}/v1beta1.{GROUP}", f"{APIS}/v1beta2.{GROUP}"
CONCURRENCY = {
    "type": "Pods",
    "pods": {"metric": {"name": names.SIGNAL_CONCURRENCY}, "target": {"type": "AverageValue", "averageValue": "1"}},
}
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}
SCALED = {"hpa": {"maxReplicas": 8, "metrics": [CONCURRENCY], "behavior": AT_ONCE}}

# Of several waits, each of which may take its time on a busy machine.
pytestmark = pytest.mark.timeout(300)


def own_address() -> str | None:
    """Return an address of this machine at which an endpoint may be; None where there is loopback only."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


@dataclass(frozen=True)
class Api:
    """The API as callers see it: through the API server, and at its own port."""

    plane: ControlPlane
    cluster: Cluster
    address: str

    def get(self, path: str) -> dict[str, Any]:
        return json.loads(self.plane.kubectl("get", "--raw", path))

    def status(self, path: str) -> int:
        return self.cluster.http.get(path).status_code

    def serves(self) -> bool:
        return self.status(ROOT) == 200

    def values(self, namespace: str, metric: str = names.SIGNAL_CONCURRENCY) -> dict[str, str]:
        """Return the values by pod; {} while there are none."""
        reply = self.cluster.http.get(f"{ROOT}/namespaces/{namespace}/pods/*/{metric}")
        items = reply.json()["items"] if reply.is_success else []
        return {one["describedObject"]["name"]: one["value"] for one in items}

    def direct(self, path: str, *, headers: dict[str, str] | None = None, certificate: Any = None) -> httpx.Response:
        """Ask at the port itself, past the API server."""
        port = self.cluster.get(SLICE)["ports"][0]["port"]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        with httpx.Client(verify=context, trust_env=False, timeout=10) as client:
            return client.get(f"https://{self.address}:{port}{path}", headers=headers)


@pytest.fixture(scope="module")
def plane(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with the installation applied; nothing serves the API yet."""
    if own_address() is None:
        pytest.skip("this machine has no address but loopback's, where Kubernetes allows no endpoint")
    with ControlPlane(kubernetes_binaries, tmp_path_factory.mktemp("metrics")) as running:
        running.kubectl("apply", "-k", str(DEPLOY))
        wait_until(lambda: serves_our_kinds(running), "the CRDs to be served")
        yield running


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> Iterator[Api]:
    cluster = Cluster.of(plane)
    yield Api(plane, cluster, own_address() or "")
    cluster.http.close()


@pytest.fixture(scope="module")
def controllers(plane: ControlPlane, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    """Two replicas with the rights of the installation; the first leads in the beginning."""
    folder = tmp_path_factory.mktemp("controllers")
    settings = {"POD_NAMESPACE": "sedna", "METRICS_API": "true", "HTTP_HOST": "0.0.0.0", "POD_IP": api.address}
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(
                replica(
                    name,
                    folder,
                    plane.kubeconfig_for("sedna-controller", "sedna"),
                    {**settings, "METRICS_API_PORT": str(free_port())},
                )
            )
            for name in ("first", "second")
        ]
        replicas[0].start()
        seconds_until(replicas[0].leads, "a first leader")
        seconds_until(api.serves, "the API to be served")
        replicas[1].start()
        seconds_until(lambda: replicas[1].metric("sedna_controller_leader") == 0, "a standby")
        yield replicas
        for one in replicas:
            assert bad_lines(one.log()) == []


@pytest.fixture(scope="module")
def workers() -> Iterator[PlayedWorkers]:
    with PlayedWorkers() as playing:
        yield playing


@pytest.fixture(scope="module")
def site(plane: ControlPlane, api: Api, controllers: list[Replica]) -> Iterator[PlayedSite]:
    with PlayedKubelet(plane) as kubelet:
        kubelet.register(EDGE_NODE, CLOUD_NODE)
        yield PlayedSite(plane, api.cluster, kubelet, None)  # type: ignore[arg-type]


@pytest.fixture
def helmet(site: PlayedSite, workers: PlayedWorkers) -> Iterator[WatchedService]:
    """A service whose cloud worker has one pod, scaled by concurrency with a target of 1; it is gone afterwards."""
    workers.put_load(0)
    found = site.service()
    site.kubelet.play(found.cloud, workers.ready)
    found.create(service("helmet", cloud=SCALED))
    found.wait_for_pods(found.cloud, 1)
    yield found
    found.kubectl("delete", "ji", "helmet")
    found.wait_for_pods(found.cloud, 0, 120)  # a new plane's collector looks for new kinds every 30 s
    workers.keep([])


def scaler(helmet: WatchedService) -> dict[str, Any]:
    return json.loads(helmet.kubectl("get", "hpa", "hpa-helmet-deployment-cloud", "-o", "json"))


def condition(helmet: WatchedService, kind: str) -> dict[str, Any]:
    found = scaler(helmet).get("status", {}).get("conditions") or []
    return next((one for one in found if one["type"] == kind), {})


def test_everybody_finds_it_and_reads_values(api, controllers, helmet, workers):
    found = {one["name"] for one in api.get(ROOT)["resources"]}
    assert found == set(resource_names())
    available = api.cluster.get(V2)["status"]["conditions"][0]
    assert (available["type"], available["status"]) == ("Available", "True")
    assert GROUP in {one["name"] for one in api.get("/apis")["groups"]}

    workers.put_load(0.5)
    wait_until(lambda: len(api.values(helmet.namespace)) == 1, "a value of the pod")
    [pod] = helmet.kubelet.pods(helmet.cloud)
    name = pod["metadata"]["name"]
    for path in (
        f"{ROOT}/namespaces/{helmet.namespace}/pods/*/{names.SIGNAL_RPS}?labelSelector=jointinferenceservice.sedna.io/name=helmet",
        f"{ROOT}/namespaces/{helmet.namespace}/pods/{name}/{names.SIGNAL_RPS}",
        f"{ROOT.replace('v1beta2', 'v1beta1')}/namespaces/{helmet.namespace}/pods/*/{names.SIGNAL_RPS}",
    ):
        wait_until(lambda path=path: api.status(path) == 200, f"a value at {path}")
        asked_at = time.time()
        [item] = api.get(path)["items"]
        assert item["describedObject"]["name"] == name
        taken_at = datetime.fromisoformat(item["timestamp"]).timestamp()
        assert asked_at - taken_at <= 6  # a value serves for 5 s, and its time is cut to seconds
    assert api.status(f"{ROOT}/namespaces/{helmet.namespace}/pods/*/{names.SIGNAL_RPS}?labelSelector=a=b") == 404
    for metric in EDGE_METRICS:
        assert api.status(f"{ROOT}/namespaces/{helmet.namespace}/pods/*/{metric}") == 404
    with pytest.raises(KubectlError, match="could not find the metric sedna_nothing for pods"):
        api.get(f"{ROOT}/namespaces/{helmet.namespace}/pods/*/sedna_nothing")


def test_the_autoscaler_makes_as_many_pods_as_the_load_wants_and_holds_them_without_values(
    api, controllers, helmet, workers
):
    wait_until(lambda: condition(helmet, "ScalingActive").get("status") == "True", "an autoscaler that works", 60)
    workers.put_load(4.95)
    begun = time.monotonic()
    helmet.wait_for_pods(helmet.cloud, 5, 120)
    print(f"five_pods {time.monotonic() - begun:.1f} s")
    time.sleep(12)  # two looks of the autoscaler
    assert len(helmet.kubelet.pods(helmet.cloud)) == 5
    wait_until(lambda: len(api.values(helmet.namespace)) == 5, "values of all pods")

    workers.kill()
    begun = served_at = time.monotonic()

    def are_absent() -> bool:
        nonlocal served_at
        asked_at = time.monotonic()
        if api.values(helmet.namespace) == {}:
            return True
        served_at = asked_at
        return False

    wait_until(are_absent, "values to be absent", 15)
    assert served_at - begun <= 6, "asked later than that, a value of before is too old"
    print(f"absent_after {time.monotonic() - begun:.1f} s")
    wait_until(lambda: condition(helmet, "ScalingActive").get("reason") == "FailedGetPodsMetric", "the condition", 30)
    assert names.SIGNAL_CONCURRENCY in condition(helmet, "ScalingActive")["message"]
    time.sleep(6)
    assert len(helmet.kubelet.pods(helmet.cloud)) == 5

    workers.revive()
    wait_until(lambda: condition(helmet, "ScalingActive").get("status") == "True", "the autoscaler to go on", 30)
    assert len(helmet.kubelet.pods(helmet.cloud)) == 5


def body(**fields: Any) -> Callable[[PlayedWorker], Callable[[BaseHTTPRequestHandler], None]]:
    """Return a worker that tells these fields in place of its own."""

    def behave(worker: PlayedWorker) -> Callable[[BaseHTTPRequestHandler], None]:
        told = write_signals(worker.count()) | fields
        return lambda handler: send(handler, 200, json.dumps(told).encode())

    return behave


def megabytes(worker: PlayedWorker) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, 200, b"x" * 10_000_000)


def slow(worker: PlayedWorker) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: time.sleep(20)


@pytest.mark.parametrize(
    "lie",
    [
        body(presentS=float("nan")),
        body(presentS=1e308),
        body(presentS=-1.0),
        megabytes,
        slow,
    ],
    ids=["nan", "1e308", "negative", "10 MB", "slow"],
)
def test_a_worker_that_lies_loses_its_own_value_only(api, controllers, helmet, workers, lie):
    workers.put_load(1.9)
    pods = helmet.wait_for_pods(helmet.cloud, 2, 120)
    wait_until(lambda: len(api.values(helmet.namespace)) == 2, "two values")
    liar = workers.of(pods[0])
    liar.behave = lie(liar)
    other = pods[1]["metadata"]["name"]
    wait_until(lambda: set(api.values(helmet.namespace)) == {other}, "the liar's value to be absent", 10)
    for _ in range(6):
        time.sleep(1)
        assert set(api.values(helmet.namespace)) == {other}
    liar.behave = None
    wait_until(lambda: len(api.values(helmet.namespace)) == 2, "both values again", 15)


def test_the_early_warning_is_a_metric_of_the_service(api, controllers, helmet, workers):
    path = f"{ROOT}/namespaces/{helmet.namespace}/{SERVICES}/helmet/{names.SIGNAL_EXPECTED_CLOUD_LOAD}"
    assert api.status(path) == 404
    workers.put_load(0.5)  # each of its requests takes 0.1 s of its one stream
    helmet.wait_for_pods(helmet.edge, 1)
    counted = replace(PlayedWorker("").count(), latency=(), hard=0.0)
    begun = time.monotonic()
    [leader] = [one for one in controllers if one.leads()]

    def told() -> list[dict[str, Any]]:
        """Let the edge's pod report, and return what is served."""
        name = helmet.kubelet.pods(helmet.edge)[-1]["metadata"]["name"]  # another one once something scales by it
        since = time.monotonic() - begun
        signals = write_signals(replace(counted, at=counted.at + since, hard=20.0 * since))
        report = {
            "name": name,
            "namespace": helmet.namespace,
            "ownerName": "helmet",
            "ownerKind": "jointinferenceservice",
            "kind": "inference",
            "status": "running",
            "ownerInfo": {"inferenceNumber": 1, "hardExampleNumber": 0, "uploadCloudRatio": 0, "signals": signals},
        }
        # Not httpx.post: it reads all authorities of the machine each time.
        url = f"http://127.0.0.1:{leader.port}/sedna/workers/{name}/info"
        assert api.cluster.http.post(url, json=report).is_success
        reply = api.cluster.http.get(path)
        return reply.json()["items"] if reply.is_success else []

    # 20 hard frames a second of 0.1 s each are two pods' worth.
    wait_until(lambda: [one["value"] for one in told()] in (["2"], ["1999m"], ["2001m"]), "the early warning")
    # The autoscaler follows it, though the cloud's own metric asks for one pod only.
    warning = {
        "describedObject": {"apiVersion": "sedna.io/v1alpha1", "kind": "JointInferenceService", "name": "helmet"},
        "metric": {"name": names.SIGNAL_EXPECTED_CLOUD_LOAD},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }
    both = [CONCURRENCY, {"type": "Object", "object": warning}]
    helmet.patch({"cloudWorker": {"hpa": {"maxReplicas": 8, "metrics": both, "behavior": AT_ONCE}}})
    wait_until(lambda: bool(told()) and len(helmet.kubelet.pods(helmet.cloud)) == 2, "a second pod", 45)


def test_who_is_not_known_or_has_no_right_gets_nothing(api, plane, controllers):
    plane.kubectl("create", "serviceaccount", "nobody", "-n", "default")
    path = f"{ROOT}/namespaces/default/pods/*/{names.SIGNAL_CONCURRENCY}"
    poor = plane.kubeconfig_for("nobody", "default")
    with pytest.raises(KubectlError, match="Forbidden"):
        plane.kubectl("get", "--raw", path, kubeconfig=poor)
    token = plane.kubectl("create", "token", "nobody", "-n", "default").strip()
    plane.kubectl("create", "serviceaccount", "viewer", "-n", "default")
    plane.kubectl(
        "create", "rolebinding", "viewer", "--clusterrole=view", "--serviceaccount=default:viewer", "-n", "default"
    )
    viewer = plane.kubectl("create", "token", "viewer", "-n", "default").strip()
    spoofed = {"X-Remote-User": "system:admin", "X-Remote-Group": "system:masters"}
    authority, client = plane.layout.front_proxy
    for headers, status in (
        ({}, 401),
        (spoofed, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Authorization": f"Bearer {token}"}, 403),
        ({"Authorization": f"Bearer {token}", **spoofed}, 403),
        ({"Authorization": f"Bearer {viewer}"}, 404),  # he may, and there is no value
    ):
        reply = api.direct(path, headers=headers)
        assert (reply.status_code, headers) == (status, headers)
        assert reply.json()["kind"] == "Status"
    assert api.direct(path, headers=spoofed, certificate=client).status_code == 404
    assert api.direct(ROOT, headers={"Authorization": f"Bearer {token}"}).status_code == 200  # discovery is everybody's
    with pytest.raises(httpx.TransportError):
        api.direct(path, headers=spoofed, certificate=_forged(authority.certificate.parent.parent / "forged"))


def _forged(folder: Path) -> KeyPair:
    return Authority.create(folder, "front-proxy-ca").issue("client", Subject("front-proxy-client"))


def test_the_api_moves_with_the_leader_and_hardly_anybody_notices(api, controllers, helmet, workers):
    workers.put_load(0.5)
    wait_until(lambda: len(api.values(helmet.namespace)) == 1, "a value")
    leader = next(one for one in controllers if one.leads())
    standby = next(one for one in controllers if one is not leader)
    before = api.cluster.get(SLICE)["ports"][0]["port"]
    leader.crash()
    begun = time.monotonic()
    seconds_until(standby.leads, "the other to lead", 20)
    led = time.monotonic() - begun
    seconds_until(api.serves, "the API to be served by the other", 10)
    seconds_until(lambda: len(api.values(helmet.namespace)) == 1, "a value, by the other", 15)
    print(f"other_leads {led:.1f} s, other_serves_values {time.monotonic() - begun:.1f} s")
    assert api.cluster.get(SLICE)["ports"][0]["port"] != before
    leader.start()
    seconds_until(lambda: leader.metric("sedna_controller_leader") == 0, "a standby")

    standby.ask_to_go()
    begun = time.monotonic()
    seconds_until(leader.leads, "the first to lead again", 10)
    seconds_until(lambda: len(api.values(helmet.namespace)) == 1, "a value, by the first", 15)
    print(f"handed_over_with_values {time.monotonic() - begun:.1f} s")
    assert api.cluster.get(SLICE)["ports"][0]["port"] == before
    standby.stop()
    standby.start()


def test_where_somebody_else_serves_the_group_ours_is_withdrawn_until_that_one_is_gone(api, controllers):
    foreign = api.cluster.get(V1)
    adapter = {"name": "prometheus-adapter", "namespace": "monitoring", "port": 443}
    api.cluster.patch(V1, "merge-patch+json", {"spec": {"service": adapter}})
    seconds_until(lambda: api.status(V2) == 404, "ours to be withdrawn", 30)
    assert api.cluster.get(V1)["spec"]["service"] == adapter
    assert foreign["metadata"]["uid"] == api.cluster.get(V1)["metadata"]["uid"]
    leader = next(one for one in controllers if one.leads())
    state = 'sedna_controller_metrics_api{state="foreign"}'
    seconds_until(lambda: leader.metric(state) == 1, "it to be told")  # which it is after ours is withdrawn
    said = [line for line in leader.log().splitlines() if "monitoring/prometheus-adapter" in line]
    assert len(said) == 1
    api.cluster.http.delete(V1)
    seconds_until(lambda: api.status(V2) == 200 and api.serves(), "ours to be back", 40)


def test_the_registration_goes_with_the_installation(api, plane, controllers):
    for one in controllers:
        one.stop()
    plane.kubectl("delete", "clusterrole", "sedna-controller-metrics-api")
    seconds_until(lambda: api.status(V1) == api.status(V2) == 404, "the APIServices to be collected", 60)
