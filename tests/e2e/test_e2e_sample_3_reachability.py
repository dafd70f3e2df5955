"""The edge's way to the cloud where cluster addresses work at the edge and where they do not: acceptance point 7 of the issue."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e import helmet_sample as sample
from tests.e2e.running_sample import RunningSample

pytestmark = pytest.mark.timeout(600)

RATE = 10.0
SAYS_SO_S = 150.0  # no report of an edge pod has come for a minute and a half, and then some


@pytest.fixture
def serving(sample_on_cluster: RunningSample) -> RunningSample:
    """The sample, with both sides up and pictures coming."""
    sample_on_cluster.serve()
    sample_on_cluster.set_rate(RATE)
    return sample_on_cluster


@pytest.fixture
def no_service_route(serving: RunningSample) -> Iterator[None]:
    """An edge as KubeEdge alone makes it: no way to cluster IPs, cluster DNS or pods; its pods have never known another."""
    serving.cluster.remove_service_route()
    plane = serving.cluster.plane
    plane.kubectl("delete", "pod", "-l", sample.EDGE_PODS, "-n", sample.NAMESPACE, "--wait=false")
    yield
    serving.cluster.add_service_route()
    patch_exposure(serving, "null")


def cloud_answers_after(running: RunningSample, moment: float) -> int:
    return running.decisions().between(moment).cloud_answers()


def patch_exposure(running: RunningSample, value: str) -> None:
    patch = f'{{"spec": {{"cloudWorker": {{"expose": {value}}}}}}}'
    running.cluster.plane.kubectl("patch", "ji", sample.NAME, "-n", sample.NAMESPACE, "--type=merge", "-p", patch)


def edge_environment(running: RunningSample) -> dict[str, str]:
    containers = running.get("deployment", sample.EDGE_DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in containers[0]["env"]}


def test_with_cluster_addresses_at_the_edge_the_cloud_pods_are_asked_themselves(serving):
    begun = time.time()
    serving.wait(lambda: cloud_answers_after(serving, begun) > 50, "answers of the cloud", 60)
    assert edge_environment(serving)["BIG_MODEL_IP"] == f"{sample.NAME}-cloud.{sample.NAMESPACE}"
    serving.wait(lambda: serving.condition("CloudReachable").get("status") == "True", "the status to say so", 90)


def test_without_them_the_status_has_the_line_to_add_and_with_it_the_cloud_answers(no_service_route, serving):
    serving.wait(lambda: serving.condition("CloudReachable").get("status") == "Unknown", "the new pods", 60)
    begun = time.time()
    serving.wait(lambda: len(serving.decisions().between(begun).records) > 20, "answers of the edge", 60)
    assert cloud_answers_after(serving, begun) == 0
    serving.wait(
        lambda: serving.condition("CloudReachable").get("status") == "False", "the status to say so", SAYS_SO_S
    )
    said = serving.condition("CloudReachable")["message"]
    assert "edge1" in said
    assert "spec.cloudWorker.expose: {type: NodePort}" in said
    assert serving.condition("Running")["status"] == "True"  # the edge serves

    patch_exposure(serving, '{"type": "NodePort"}')
    patched = time.time()
    serving.wait(lambda: cloud_answers_after(serving, patched) > 50, "answers of the cloud by way of the NodePort", 90)
    environment = edge_environment(serving)
    assert environment["BIG_MODEL_IP"] == serving.cluster.cloud_address
    assert 30000 <= int(environment["BIG_MODEL_PORT"]) <= 32767
    serving.wait(lambda: serving.condition("CloudReachable").get("status") == "True", "the status to say so", 90)
