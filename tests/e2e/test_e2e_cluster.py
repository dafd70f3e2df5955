"""The cluster itself: two real nodes, and an edge that is another world."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.e2e_cluster import EDGE_LABELS, EDGE_TAINT, E2eCluster, is_ready
from tests.cluster.errors import KubectlError
from tests.cluster.node_images import PROBE, provide_image
from tests.cluster.site import API_SERVICE_ADDRESS, CLOUD_NODE, EDGE_NODE, NODES, POD_NETWORKS

SERVER_PORT = 8080
POD_START_S = 60
METRICS_S = 60
NOT_READY_S = 60
READY_AGAIN_S = 40
AT_ONCE_S = 6  # an answer "no" of the edge's network, kubectl and a name's second look-up included
NODE_PORT = 30080


@pytest.fixture(scope="module")
def pods(e2e_cluster: E2eCluster) -> Iterator[dict[str, dict[str, Any]]]:
    """A pod that answers HTTP on each node, and a Service of NodePort type for the one in the cloud."""
    e2e_cluster.load_image(provide_image(PROBE, os.environ))
    namespace = e2e_cluster.plane.create_namespace("probe-")
    documents = [*(probe_pod(node) for node in NODES), probe_service()]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    e2e_cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=text)
    wait = ("wait", "-n", namespace, "--for=condition=Ready", "pod", "--all", f"--timeout={POD_START_S}s")
    e2e_cluster.kubectl(*wait, timeout_s=POD_START_S + 10)
    yield {node: read(e2e_cluster, "pod", node, namespace) for node in NODES}
    e2e_cluster.plane.delete_namespace(namespace)


def probe_pod(node: str) -> dict[str, Any]:
    container = {
        "name": "probe",
        "image": PROBE.tag,
        "args": ["serve", str(SERVER_PORT)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": SERVER_PORT}, "periodSeconds": 1},
    }
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "terminationGracePeriodSeconds": 1,
    }
    metadata = {"name": node, "labels": {"on": node}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def probe_service() -> dict[str, Any]:
    port = {"port": 80, "targetPort": SERVER_PORT, "nodePort": NODE_PORT}
    spec = {"type": "NodePort", "selector": {"on": CLOUD_NODE}, "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "probe"}, "spec": spec}


def read(cluster: E2eCluster, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
    return found


def from_pod(cluster: E2eCluster, pod: dict[str, Any], *command: str) -> str:
    """Return what the probe says in this pod, or why it fails."""
    at = ("-n", pod["metadata"]["namespace"], pod["metadata"]["name"])
    try:
        return cluster.kubectl("exec", *at, "--", "/program", *command).strip()
    except KubectlError as error:
        return f"failed: {error.stderr}"


def wait_for(what: str, condition: Callable[[], bool], seconds: float) -> float:
    """Wait until the condition holds and return how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"waited {seconds} s for {what}"
        time.sleep(0.2)
    return time.monotonic() - started


def test_both_nodes_are_ready_and_the_edge_looks_like_one(e2e_cluster):
    nodes = {name: read(e2e_cluster, "node", name) for name in NODES}
    assert all(is_ready(node) for node in nodes.values())
    edge, cloud = nodes[EDGE_NODE], nodes[CLOUD_NODE]
    assert EDGE_LABELS.items() <= edge["metadata"]["labels"].items()
    assert EDGE_TAINT in edge["spec"]["taints"]
    assert not any("node-role" in label for label in cloud["metadata"]["labels"])
    assert "taints" not in cloud["spec"]


def test_a_pod_on_each_node_has_an_address_there_and_answers(e2e_cluster, pods):
    for node, pod in pods.items():
        assert pod["spec"]["nodeName"] == node
        assert ipaddress.ip_address(pod["status"]["podIP"]) in ipaddress.ip_network(POD_NETWORKS[node])
        assert from_pod(e2e_cluster, pod, "get", f"http://127.0.0.1:{SERVER_PORT}") == node


def test_logs_and_metrics_of_a_pod_at_the_edge_are_seen_in_the_cloud(e2e_cluster, pods):
    namespace = pods[EDGE_NODE]["metadata"]["namespace"]
    assert e2e_cluster.kubectl("logs", "-n", namespace, EDGE_NODE) == f"serving on {SERVER_PORT}\n"

    def top_knows_both() -> bool:
        try:
            lines = e2e_cluster.kubectl("top", "pods", "-n", namespace, "--no-headers").splitlines()
        except KubectlError:
            return False
        return {line.split()[0] for line in lines} == set(NODES)

    wait_for("the metrics of both pods", top_knows_both, METRICS_S)
    top_nodes = e2e_cluster.kubectl("top", "nodes", "--no-headers")
    assert {line.split()[0] for line in top_nodes.splitlines()} == set(NODES)


def test_a_pod_in_the_cloud_reaches_services_by_name_and_the_api_server(e2e_cluster, pods):
    cloud = pods[CLOUD_NODE]
    namespace = cloud["metadata"]["namespace"]
    assert from_pod(e2e_cluster, cloud, "get", "http://probe") == CLOUD_NODE
    assert from_pod(e2e_cluster, cloud, "lookup", f"probe.{namespace}").startswith("10.96.")
    assert from_pod(e2e_cluster, cloud, "lookup", "kubernetes.default") == API_SERVICE_ADDRESS
    assert "no such host" in from_pod(e2e_cluster, cloud, "lookup", "example.org")


@pytest.fixture
def without_route(e2e_cluster):
    e2e_cluster.remove_service_route()
    yield
    e2e_cluster.add_service_route()


def ways_to_the_cloud(cluster: E2eCluster, pods: dict[str, dict[str, Any]]) -> dict[str, str]:
    service = read(cluster, "service", "probe", pods[CLOUD_NODE]["metadata"]["namespace"])
    return {
        "cluster IP": f"http://{service['spec']['clusterIP']}",
        "name": "http://probe",
        "pod IP": f"http://{pods[CLOUD_NODE]['status']['podIP']}:{SERVER_PORT}",
        "node port": f"http://{cluster.cloud_address}:{NODE_PORT}",
    }


def test_with_the_route_every_way_leads_from_the_edge_to_the_cloud(e2e_cluster, pods):
    ways = ways_to_the_cloud(e2e_cluster, pods)
    answers = {way: from_pod(e2e_cluster, pods[EDGE_NODE], "get", url) for way, url in ways.items()}
    assert answers == dict.fromkeys(ways, CLOUD_NODE)


@pytest.mark.usefixtures("without_route")
def test_without_the_route_only_the_node_port_does_and_the_others_fail_soon(e2e_cluster, pods):
    ways = ways_to_the_cloud(e2e_cluster, pods)
    for way, url in ways.items():
        started = time.monotonic()
        answer = from_pod(e2e_cluster, pods[EDGE_NODE], "get", url)
        taken = time.monotonic() - started
        assert (answer == CLOUD_NODE) == (way == "node port"), f"{way}: {answer}"
        assert taken < AT_ONCE_S, f"{way}: {answer}"
    assert is_ready(read(e2e_cluster, "node", EDGE_NODE))


def test_the_cloud_does_not_reach_a_pod_at_the_edge(e2e_cluster, pods):
    url = f"http://{pods[EDGE_NODE]['status']['podIP']}:{SERVER_PORT}"
    assert from_pod(e2e_cluster, pods[CLOUD_NODE], "get", url).startswith("failed")


@pytest.fixture
def cut(e2e_cluster):
    e2e_cluster.cut_link()
    yield
    e2e_cluster.restore_link()
    wait_for("edge1 to be Ready", lambda: is_ready(read(e2e_cluster, "node", EDGE_NODE)), READY_AGAIN_S)


def test_a_cut_edge_is_not_ready_goes_on_by_itself_and_comes_back_with_the_same_containers(e2e_cluster, pods, request):
    edge = pods[EDGE_NODE]
    request.getfixturevalue("cut")
    wait_for("edge1 to be NotReady", lambda: not is_ready(read(e2e_cluster, "node", EDGE_NODE)), NOT_READY_S)

    url = f"http://{edge['status']['podIP']}:{SERVER_PORT}"
    fetch = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=5).read().decode())"
    with e2e_cluster.run_in_edge_netns(
        [sys.executable, "-c", fetch], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as local:
        assert local.communicate(timeout=20)[0].strip() == EDGE_NODE

    e2e_cluster.restore_link()
    wait_for("edge1 to be Ready", lambda: is_ready(read(e2e_cluster, "node", EDGE_NODE)), READY_AGAIN_S)
    after = read(e2e_cluster, "pod", EDGE_NODE, edge["metadata"]["namespace"])
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    assert (
        after["status"]["containerStatuses"][0]["containerID"] == edge["status"]["containerStatuses"][0]["containerID"]
    )
