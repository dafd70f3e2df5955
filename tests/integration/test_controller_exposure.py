"""Where edges find the cloud worker, and what is said of an edge that is away, out of memory or cannot get through."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.integration.pod_pictures import ContainerPicture, Picture, now_text, ready, running, terminated
from tests.integration.service_on_cluster import MERGE, Object
from tests.integration.services import eventually
from tests.integration.watched_service import EDGE_NODE, PlayedSite, WatchedService, condition_of, service

EDGE_LABEL = "node-role.kubernetes.io/edge"
AWAY = ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
BACK = ("True", "KubeletReady", "kubelet is posting ready status")
_numbers = itertools.count()


@pytest.fixture
def edge_node(played_site: PlayedSite) -> str:
    """A node that is labelled as KubeEdge labels those of the edge."""
    name = f"far-{next(_numbers)}"
    played_site.kubelet.register(name)
    patch(played_site, f"/api/v1/nodes/{name}", {"metadata": {"labels": {EDGE_LABEL: ""}}})
    return name


def patch(site: PlayedSite | WatchedService, path: str, body: Object) -> None:
    reply = site.cluster.patch(path, MERGE, body)
    assert reply.is_success, reply.text


def give_address(site: PlayedSite, node: str, address: str) -> None:
    patch(site, f"/api/v1/nodes/{node}/status", {"status": {"addresses": [{"type": "InternalIP", "address": address}]}})


def live(helmet: WatchedService, path: str) -> Object:
    return helmet.cluster.get(f"{path.format(ns=helmet.namespace)}")


def edge_deployment(helmet: WatchedService) -> Object:
    return live(helmet, "/apis/apps/v1/namespaces/{ns}/deployments/helmet-deployment-edge")


def front(helmet: WatchedService) -> Object:
    return live(helmet, "/api/v1/namespaces/{ns}/services/helmet-cloud")


def target(helmet: WatchedService) -> str:
    """Return where the edge's Deployment sends frames and reports."""
    container = edge_deployment(helmet)["spec"]["template"]["spec"]["containers"][0]
    values = {one["name"]: one.get("value") for one in container["env"]}
    found = f"{values['BIG_MODEL_IP']}:{values['BIG_MODEL_PORT']}"
    assert values["LC_SERVER"] == f"http://{found}"
    assert ("BIG_MODEL_PODS" in values) is found.startswith("helmet-cloud.")
    return found


def becomes(read: Callable[[], Any], wanted: Any, what: str, seconds: float = 10) -> None:
    eventually(lambda: "" if read() == wanted else str(read()), what, seconds)


def service_names(helmet: WatchedService) -> list[str]:
    return [name for kind, name, _ in helmet.children() if kind == "Service"]


def test_an_edge_follows_the_way_in_which_the_cloud_worker_is_exposed(played_site: PlayedSite) -> None:
    played_site.kubelet.register("aaa-1", "aaa-2")
    for node, address in (("aaa-1", "192.0.2.11"), ("aaa-2", "192.0.2.12")):
        give_address(played_site, node, address)
    helmet = played_site.running()
    before = helmet.version()
    plain = f"helmet-cloud.{helmet.namespace}:5000"
    assert target(helmet) == plain
    assert service_names(helmet) == ["helmet-cloud", "helmet-cloud-pods"]

    helmet.patch({"cloudWorker": {"expose": {"type": "NodePort"}}})
    becomes(lambda: front(helmet)["spec"]["type"], "NodePort", "the Service's type")
    port = front(helmet)["spec"]["ports"][0]["nodePort"]
    becomes(lambda: target(helmet), f"192.0.2.11:{port}", "the address of the first node")
    becomes(lambda: service_names(helmet), ["helmet-cloud"], "the Services")
    played_site.kubelet.remove("aaa-1")
    becomes(lambda: target(helmet), f"192.0.2.12:{port}", "the address of the next node")
    played_site.kubelet.register("aaa-1")
    give_address(played_site, "aaa-1", "192.0.2.11")

    helmet.patch({"cloudWorker": {"expose": {"address": "192.0.2.99", "nodePort": 30001}}})
    becomes(lambda: target(helmet), "192.0.2.99:30001", "the address and the port that were written")

    helmet.patch({"cloudWorker": {"expose": {"type": "LoadBalancer", "address": None, "nodePort": None}}})
    helmet.wait_for("EdgeReady", "CloudAddressPending", "1 of 1 pod ready", "has given Service helmet-cloud an address")
    assert target(helmet) == "192.0.2.99:30001"
    ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.50"}]}}}
    patch(helmet, f"/api/v1/namespaces/{helmet.namespace}/services/helmet-cloud/status", ingress)
    becomes(lambda: target(helmet), "192.0.2.50:5000", "the address of the load balancer")

    helmet.patch({"cloudWorker": {"expose": {"type": "Address", "address": "cloud.example:443"}}})
    becomes(lambda: target(helmet), "cloud.example:443", "an address of one's own")
    becomes(lambda: front(helmet)["spec"]["type"], "ClusterIP", "the Service's type")

    helmet.patch({"cloudWorker": {"expose": None}})
    becomes(lambda: target(helmet), plain, "what was at first")
    becomes(lambda: service_names(helmet), ["helmet-cloud", "helmet-cloud-pods"], "the Services")
    helmet.wait_for_phase("Running")
    assert "Failed" not in {status["conditions"][-1]["type"] for status in helmet.history(before)}
    for node in ("aaa-1", "aaa-2"):
        played_site.kubelet.remove(node)


def test_a_new_service_with_a_node_port_is_not_told_to_be_waiting(played_site: PlayedSite) -> None:
    helmet = played_site.service()
    document = service("helmet", cloud={"expose": {"type": "NodePort", "address": "192.0.2.9"}})
    helmet.create(document)
    helmet.wait_for_phase("Running")
    assert target(helmet) == f"192.0.2.9:{front(helmet)['spec']['ports'][0]['nodePort']}"
    assert "CloudAddressPending" not in helmet.reasons()


def test_an_edge_worker_with_a_port_of_the_node_is_recreated_and_rolls_again_without(played_site: PlayedSite) -> None:
    helmet = played_site.running()

    def strategy() -> Object:
        found: Object = edge_deployment(helmet)["spec"]["strategy"]
        return found

    rolling = strategy()
    assert rolling["type"] == "RollingUpdate"
    helmet.edit_container("edge", ports=[{"containerPort": 80, "hostPort": 8080}])
    becomes(strategy, {"type": "Recreate"}, "the strategy")
    helmet.wait_for_pods(helmet.edge, 1)
    helmet.wait_for_phase("Running")
    generation = edge_deployment(helmet)["metadata"]["generation"]
    helmet.edit_container("edge", ports=None)
    becomes(strategy, rolling, "the strategy of before")
    becomes(lambda: edge_deployment(helmet)["metadata"]["generation"], generation + 1, "one change of the Deployment")


def test_an_edge_that_is_away_is_offline_and_not_failed(played_site: PlayedSite, edge_node: str) -> None:
    helmet = played_site.running(edge={"spec": {"nodeName": edge_node}})
    before = helmet.version()
    played_site.kubelet.set_ready(edge_node, *AWAY)
    helmet.wait_for("EdgeReady", "EdgeOffline", "edge offline since", f"node {edge_node}; its pods go on there")
    status = helmet.status()
    assert condition_of(status, "EdgeReady")["status"] == "Unknown"
    assert (status["phase"], status["edge"]["ready"], status["failed"]) == ("Degraded", "0/1", 0)
    assert status["conditions"][-1]["type"] == "Running"
    helmet.wait_for_event("EdgeOffline")
    played_site.kubelet.set_ready(edge_node, *BACK)
    helmet.wait_for_phase("Running")
    seen = helmet.history(before)
    assert {one["conditions"][-1]["type"] for one in seen} == {"Running"}
    assert condition_of(seen[-1], "EdgeReady")["reason"] == "Ready"


def test_a_pod_that_was_out_of_memory_serves_again_and_still_says_so(played_site: PlayedSite) -> None:
    helmet = played_site.running(cloud={"container_fields": {"resources": {"limits": {"memory": "64Mi"}}}})

    def again(pod: Object) -> Picture:
        killed = terminated(137, reason="OOMKilled", ago_s=60)
        return Picture(running(ago_s=50, restarts=1, last=killed), phase="Running")

    helmet.kubelet.play(helmet.cloud, again)
    helmet.wait_for(
        "CloudReady", "OOMKilled", "1 of 1 pod ready", "OOMKilled, its limit is 64Mi", "write a larger resources"
    )
    assert condition_of(helmet.status(), "CloudReady")["status"] == "True"
    assert helmet.status()["phase"] == "Degraded"
    helmet.kubelet.play(helmet.cloud, ready)
    helmet.wait_for_phase("Running")


def age(helmet: WatchedService, seconds: float) -> None:
    """Let the pods have been ready for so long."""
    for pod in (*helmet.kubelet.pods(helmet.edge), *helmet.kubelet.pods(helmet.cloud)):
        conditions = [{**one, "lastTransitionTime": now_text(ago_s=seconds)} for one in pod["status"]["conditions"]]
        path = f"/api/v1/namespaces/{helmet.namespace}/pods/{pod['metadata']['name']}/status"
        patch(helmet, path, {"status": {"conditions": conditions}})


def report(site: PlayedSite, namespace: str, pod: str) -> None:
    """Report for a pod as the cloud worker passes it on."""
    counts = {"inferenceNumber": 1, "hardExampleNumber": 0, "uploadCloudRatio": 0.0}
    times = {"startTime": "2026-01-01 00:00:00", "updateTime": "2026-01-01 00:00:30"}
    body = {
        "name": pod,
        "namespace": namespace,
        "ownerName": "sedna",
        "ownerKind": "jointinferenceservice",
        "kind": "inference",
        "results": [],
        "ownerInfo": {**counts, **times},
    }
    url = f"http://127.0.0.1:{site.controller.port}/sedna/workers/{pod}/info"
    assert httpx.post(url, json=body, trust_env=False, timeout=5).is_success


def test_an_edge_that_cannot_get_through_is_told_which_line_to_add(played_site: PlayedSite, edge_node: str) -> None:
    helmet = played_site.running(edge={"spec": {"nodeName": edge_node}})
    assert condition_of(helmet.status(), "CloudReachable")["status"] == "Unknown"
    age(helmet, 95)
    line = "write spec.cloudWorker.expose: {type: NodePort}"
    helmet.wait_for("CloudReachable", "CloudUnreachable", f"on node {edge_node} through helmet-cloud.", line)
    assert condition_of(helmet.status(), "CloudReachable")["status"] == "False"
    assert (helmet.status()["phase"], helmet.status()["conditions"][-1]["type"]) == ("Degraded", "Running")
    [pod] = helmet.kubelet.pods(helmet.edge)
    report(played_site, helmet.namespace, pod["metadata"]["name"])
    helmet.wait_for("CloudReachable", "CloudReached", seconds=20)
    helmet.wait_for_phase("Running")


def test_no_such_condition_for_a_node_that_is_not_of_the_edge(played_site: PlayedSite) -> None:
    helmet = played_site.running()
    assert EDGE_LABEL not in (played_site.node(EDGE_NODE)["metadata"].get("labels") or {})
    assert condition_of(helmet.status(), "CloudReachable") == {}


def test_a_probe_that_asks_for_a_path_that_is_not_there_says_how_to_write_another(played_site: PlayedSite) -> None:
    helmet = played_site.running()
    pods = helmet.kubelet.pods(helmet.cloud)
    probe = pods[0]["spec"]["containers"][0]["readinessProbe"]
    assert probe["httpGet"]["path"] == "/sedna"
    unready = ContainerPicture({"running": {"startedAt": now_text(ago_s=60)}})
    helmet.kubelet.play(helmet.cloud, lambda pod: Picture(unready, phase="Running"))
    helmet.wait_until_played(helmet.cloud)
    helmet.kubelet.tell(pods[0], "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")
    helmet.wait_for("CloudReady", "NotReady", "statuscode: 404", "write a readinessProbe into the template", seconds=60)
    helmet.kubelet.play(helmet.cloud, ready)
    helmet.wait_for_phase("Running")
