"""Scaling and its troubles: what the autoscaler lacks is named, and more or fewer pods never make a service fail."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from tests.integration.played_metrics import forget_cpu, write_cpu
from tests.integration.pod_pictures import lost_readiness, ready, unready
from tests.integration.service_on_cluster import Object
from tests.integration.watched_service import WatchedService, condition_of, service

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
REQUESTS = {"resources": {"requests": {"cpu": "1"}}}
SCALED = {"hpa": {"maxReplicas": 2, "metrics": [CPU]}, "container_fields": REQUESTS}


def assert_never_failed(history: Iterable[Object]) -> None:
    """Upstream's service was marked Failed for ever by a scale-up, a short loss of readiness, or just after creation."""
    seen = [(status["conditions"][-1]["type"], status["phase"], status["failed"]) for status in history]
    assert seen
    assert {(current, failed) for current, _, failed in seen} == {("Running", 0)}
    assert {phase for _, phase, _ in seen} <= {"Starting", "Running"}


def edge_statuses(history: Iterable[Object]) -> set[str]:
    return {condition_of(status, "EdgeReady")["status"] for status in history}


def test_the_autoscaler_scales_up_reaches_its_limit_and_loses_its_metric(played_site):
    helmet = played_site.running(edge=SCALED)
    [first] = helmet.kubelet.pods(helmet.edge)
    write_cpu(helmet.cluster, first, "500m")
    helmet.wait_for("EdgeScaling", "Scaling", "scales between 1 and 2 pods")
    before, events_before = helmet.version(), len(helmet.reasons())

    helmet.kubelet.play(
        helmet.edge, lambda pod: ready(pod) if pod["metadata"]["uid"] == uid_of(first) else unready(pod)
    )
    write_cpu(helmet.cluster, first, "900m")
    _, second = helmet.wait_for_pods(helmet.edge, 2)
    helmet.wait_for("EdgeReady", "Ready", "1 of 2 pods ready")
    assert helmet.status()["edge"] == {"ready": "1/2", "scale": "1-2"}
    helmet.kubelet.play(helmet.edge, ready)
    write_cpu(helmet.cluster, second, "900m")
    helmet.wait_for("EdgeReady", "Ready", "2 of 2 pods ready")
    helmet.wait_for("EdgeScaling", "AtLimit", "wants more than the 2 pods of maxReplicas")
    assert helmet.status()["phase"] == "Running"
    assert_never_failed(helmet.history(before))
    assert edge_statuses(helmet.history(before)) == {"True"}
    helmet.wait_for_event("AtLimit")
    assert helmet.reasons()[events_before:] == ["AtLimit"]

    for pod in (first, second):
        forget_cpu(helmet.cluster, pod)
    words = ("no value of cpu since ", "replicas hold at 2", "FailedGetResourceMetric", "`kubectl top pods` must show")
    helmet.wait_for("EdgeScaling", "MetricUnavailable", *words, seconds=60)  # one missed look would not be told
    assert (helmet.status()["phase"], helmet.status()["conditions"][-1]["type"]) == ("Degraded", "Running")
    for pod in (first, second):
        # So much that one sample alone, which an autoscaler may read between the two, wants more pods as well.
        write_cpu(helmet.cluster, pod, "2000m")
    helmet.wait_for("EdgeScaling", "AtLimit")
    helmet.wait_for_phase("Running")
    helmet.wait_for_event("AtLimit", count=2)
    assert helmet.reasons()[events_before:] == ["AtLimit", "MetricUnavailable", "AtLimit"]


def uid_of(pod: Object) -> str:
    uid: str = pod["metadata"]["uid"]
    return uid


def test_a_container_without_a_request_is_named_until_it_has_one(played_site):
    helmet = played_site.service()
    document = service("helmet", edge=SCALED)
    sidecar = {"name": "rtsp-proxy", "image": "registry.test/proxy:v1"}
    containers = document["spec"]["edgeWorker"]["template"]["spec"]["containers"]
    document["spec"]["edgeWorker"]["template"]["spec"]["containers"] = [*containers, sidecar]
    helmet.create(document)
    words = (
        "container rtsp-proxy has no cpu request, so its utilization cannot be computed; write resources.requests.cpu"
    )
    helmet.wait_for("EdgeScaling", "NoResourceRequest", words, "such as 500m")
    helmet.wait_for_phase("Degraded")
    assert helmet.status()["conditions"][-1]["type"] == "Running"

    edited = {"containers": [*containers, {**sidecar, **REQUESTS}]}
    template = document["spec"]["edgeWorker"]["template"]
    helmet.patch({"edgeWorker": {"template": {**template, "spec": {**template["spec"], **edited}}}})
    helmet.wait(lambda status: condition_of(status, "EdgeScaling")["status"] != "False", "the request to be there")
    helmet.wait_for_phase("Running")
    helmet.wait_for_pods(helmet.edge, 1)
    [pod] = helmet.kubelet.pods(helmet.edge)
    write_cpu(helmet.cluster, pod, "500m")
    helmet.wait_for("EdgeScaling", "Scaling")


def test_a_new_service_is_never_called_failed_on_its_way(played_site):
    helmet = played_site.service()
    helmet.create(service("helmet", edge=SCALED, cloud=SCALED))
    created = helmet.document()["metadata"]["resourceVersion"]
    helmet.wait_for_phase("Running")
    history = helmet.history(created)
    assert_never_failed(status for status in history if status)
    assert len(history) <= 4


def test_a_scale_by_hand_from_one_to_two_and_back(played_site):
    helmet = played_site.running()
    before = helmet.version()
    # In this order, as the pod that is there shall never be unready.
    helmet.kubelet.play(helmet.edge, ready, pod=helmet.kubelet.pods(helmet.edge)[0]["metadata"]["name"])
    helmet.kubelet.play(helmet.edge, unready)
    scale(helmet, 2)
    helmet.wait_for("EdgeReady", "Ready", "1 of 2 pods ready")
    helmet.kubelet.play(helmet.edge, ready)
    helmet.wait_for("EdgeReady", "Ready", "2 of 2 pods ready")
    scale(helmet, 1)
    helmet.wait_for("EdgeReady", "Ready", "1 of 1 pod ready")
    assert_never_failed(helmet.history(before))
    assert edge_statuses(helmet.history(before)) == {"True"}
    assert helmet.reasons() == ["Created", "Ready", "Ready"]


def scale(helmet: WatchedService, replicas: int) -> None:
    helmet.kubectl("scale", "deployment/helmet-deployment-edge", f"--replicas={replicas}")


def test_a_service_that_is_scaled_to_nothing_says_so(played_site):
    helmet = played_site.running(edge=SCALED)
    scale(helmet, 0)
    helmet.wait_for("EdgeReady", "ScaledToZero", "the Deployment is scaled to 0 pods")
    helmet.wait_for("EdgeScaling", "ScalingDisabled", "kubectl scale it to 1")
    status = helmet.status()
    assert (status["edge"]["ready"], status["phase"], status["conditions"][-1]["type"]) == (
        "0/0",
        "Degraded",
        "Running",
    )
    scale(helmet, 1)
    helmet.wait_for_phase("Running")


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_a_short_loss_of_readiness_is_no_failure(played_site, seconds):
    helmet = played_site.running()
    before = helmet.version()
    helmet.kubelet.play(helmet.edge, lost_readiness)
    helmet.wait_until_played(helmet.edge)
    if seconds:
        helmet.wait_for("EdgeReady", "NotReady", "container little-model runs and is not ready")
    helmet.kubelet.play(helmet.edge, ready)
    helmet.wait_until_played(helmet.edge)
    helmet.patch({"edgeWorker": {"hardExampleMining": {"name": "Random"}}})  # so that there is something to wait for
    helmet.wait(lambda status: status["observedGeneration"] == 2, "the last edit to be seen")
    helmet.wait_for_phase("Running")
    assert_never_failed(helmet.history(before))


def test_a_pod_deleted_by_hand_is_no_failure(played_site):
    helmet = played_site.running()
    before = helmet.version()
    [pod] = helmet.kubelet.pods(helmet.edge)
    helmet.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    helmet.wait(lambda _: [uid_of(one) for one in helmet.kubelet.pods(helmet.edge)] != [uid_of(pod)], "another pod")
    helmet.wait_for_phase("Running")
    helmet.label("seen", "yes")
    assert_never_failed(status for status in helmet.history(before) if status)


TARGET = {"type": "AverageValue", "averageValue": "5"}
MISSING_APIS = {
    "Pods": ({"pods": {"metric": {"name": "rps"}, "target": TARGET}}, "custom.metrics.k8s.io"),
    "External": ({"external": {"metric": {"name": "lag"}, "target": TARGET}}, "external.metrics.k8s.io"),
}


@pytest.mark.parametrize("kind", MISSING_APIS)
def test_a_metric_whose_api_nobody_serves_says_what_to_install(played_site, kind):
    metric, api = MISSING_APIS[kind]
    helmet = played_site.service()
    helmet.create(service("helmet", edge={"hpa": {"maxReplicas": 2, "metrics": [{"type": kind, **metric}]}}))
    words = f"no server answers {api}; install one that has the metric"
    helmet.wait_for("EdgeScaling", "MetricUnavailable", f"FailedGet{kind}Metric", words)
    helmet.wait_for_phase("Degraded")
    assert helmet.status()["conditions"][-1]["type"] == "Running"


def test_a_metric_of_our_own_that_nobody_serves_says_what_to_do_and_that_pods_stay(played_site):
    helmet = played_site.service()
    short = {"maxReplicas": 4, "scaleMetric": "concurrency", "scaleTarget": 1}
    helmet.create(service("helmet", cloud={"hpa": {**short, "earlyWarning": 0.7}}))
    helmet.wait_for(
        "CloudScaling",
        "MetricUnavailable",
        "no value of sedna_concurrency since ",
        "; replicas hold at 1; the autoscaler says FailedGetPodsMetric: ",
        "no server answers custom.metrics.k8s.io, where sedna-py's controller has sedna_concurrency; apply deploy/",
    )
    helmet.wait_for_phase("Degraded")
    [autoscaler] = json.loads(helmet.kubectl("get", "hpa", "-o", "json"))["items"]
    [active] = [one for one in autoscaler["status"]["conditions"] if one["type"] == "ScalingActive"]
    said = condition_of(helmet.status(), "CloudScaling")["message"]
    assert f"since {active['lastTransitionTime']};" in said
