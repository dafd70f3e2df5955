"""Events on a service: one for each change, none for a reconcile, and none at all for what everybody expects."""

from __future__ import annotations

import time

from tests.integration.controller_process import wait_until
from tests.integration.played_metrics import write_cpu
from tests.integration.pod_pictures import crash_loop, crash_loop_running, pull_backing_off, pull_failed, ready
from tests.integration.service_on_cluster import MERGE, Object
from tests.integration.watched_service import PlayedSite, WatchedService, condition_of, service

CHURN_S = 10
NEW = ["Created", "Ready", "Ready"]
REQUESTS = {"resources": {"requests": {"cpu": "1"}}}
SCALED = {"hpa": {"maxReplicas": 2}, "container_fields": REQUESTS}


def churn(site: PlayedSite, helmet: WatchedService, step: int) -> None:
    """Change much of what the controller watches, and nothing that a service has to say anything about."""
    helmet.label("step", str(step))
    for pods in (helmet.edge, helmet.cloud):
        [pod] = helmet.kubelet.pods(pods)
        helmet.annotate_pod(pod["metadata"]["name"], "step", str(step))
    node = {"metadata": {"labels": {"step": str(step)}}}
    assert site.cluster.patch(f"/api/v1/nodes/{pod['spec']['nodeName']}", MERGE, node).is_success
    model = {"metadata": {"annotations": {"step": str(step)}}}
    path = f"/apis/sedna.io/v1alpha1/namespaces/{helmet.namespace}/models/little"
    assert site.cluster.patch(path, MERGE, model).is_success


def test_ten_seconds_of_unrelated_changes_give_no_event_and_no_write_of_the_status(played_site):
    helmet = played_site.running()
    helmet.wait_for_event("Ready", count=2)
    status = helmet.status()
    deadline = time.monotonic() + CHURN_S
    step = 0
    while time.monotonic() < deadline:
        reconciles = played_site.reconciles()
        churn(played_site, helmet, step := step + 1)
        # Changes that come while a service waits for its pass are one pass.
        wait_until(lambda before=reconciles: played_site.reconciles() > before, f"a pass after change {step}")
    assert helmet.reasons() == NEW
    assert helmet.status() == status


def test_a_crash_loop_is_one_event_however_often_it_crashes(played_site):
    helmet = played_site.running()
    before = helmet.version()
    for restarts in range(3, 8):
        helmet.kubelet.play(helmet.edge, crash_loop(1, restarts=restarts, message="no camera"))
        helmet.wait_until_played(helmet.edge)
        helmet.kubelet.play(helmet.edge, crash_loop_running(1, restarts=restarts + 1))
        helmet.wait_until_played(helmet.edge)
    helmet.wait_for("EdgeReady", "CrashLoop", "restarted 5 times or more")
    helmet.wait_for_event("CrashLoop")
    assert helmet.reasons() == [*NEW, "CrashLoop"]
    # Once for the fault, once for each number of restarts that is worth saying, and with or without last words.
    assert len({condition_of(status, "EdgeReady")["message"] for status in helmet.history(before)}) <= 5


def test_an_image_that_cannot_be_pulled_is_one_event_and_one_write_however_often_it_is_tried(played_site):
    helmet = played_site.running()
    before = helmet.version()
    for play in (pull_failed, pull_backing_off) * 4:
        helmet.kubelet.play(helmet.edge, play)
        helmet.wait_until_played(helmet.edge)
    helmet.wait_for("EdgeReady", "ImagePullFailed")
    helmet.wait_for_event("ImagePullFailed")
    assert helmet.reasons() == [*NEW, "ImagePullFailed"]
    assert len(helmet.history(before)) == 1


def test_what_the_controller_does_is_told_once(played_site):
    helmet = played_site.running(cloud=SCALED)
    [pod] = helmet.kubelet.pods(helmet.cloud)
    write_cpu(helmet.cluster, pod, "500m")  # an autoscaler that lacks its metric is told of, too
    assert "HorizontalPodAutoscaler hpa-helmet-deployment-cloud" in helmet.wait_for_event("Created")["message"]

    helmet.edit_container("edge", image="registry.test/little-model:v2")
    assert helmet.wait_for_event("Updated")["message"] == "updated Deployment helmet-deployment-edge"
    helmet.wait_for_pods(helmet.edge, 1)
    helmet.kubectl("delete", "service", "helmet-cloud")
    assert helmet.wait_for_event("Repaired")["message"] == "put back as the service asks Service helmet-cloud"
    helmet.patch(
        {"cloudWorker": {"hpa": None}}
    )  # the edge's would change its pods as well, which share no sources then
    deleted = "deleted HorizontalPodAutoscaler hpa-helmet-deployment-cloud"
    assert helmet.wait_for_event("Deleted")["message"] == deleted
    assert helmet.reasons() == [*NEW, "Updated", "Repaired", "Deleted"]


def test_an_event_has_what_tools_look_for(played_site):
    helmet = played_site.running()
    helmet.kubelet.play(helmet.cloud, crash_loop(1))
    event = helmet.wait_for_event("CrashLoop")
    document = helmet.document()
    about = event["involvedObject"]
    assert (about["apiVersion"], about["kind"], about["name"]) == (
        "sedna.io/v1alpha1",
        "JointInferenceService",
        "helmet",
    )
    assert about["uid"] == document["metadata"]["uid"]
    assert event["type"] == "Warning"
    assert event["source"]["component"] == "jointinferenceservice-controller"  # as upstream's
    assert event["reportingInstance"] == "controller-under-test"
    assert event["count"] == 1
    assert event["firstTimestamp"]
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert event["message"] == f"cloud worker: {condition_of(document['status'], 'CloudReady')['message']}"
    helmet.kubelet.play(helmet.cloud, ready)
    assert helmet.wait_for_event("Ready", count=3)["type"] == "Normal"


def test_a_second_service_of_the_same_name_tells_its_own_story(played_site):
    helmet = played_site.running()
    first = helmet.document()["metadata"]["uid"]
    helmet.wait_for_event("Ready", count=2)
    helmet.kubectl("delete", "ji", "helmet", "--cascade=foreground", "--wait=true")
    helmet.create(service("helmet"))
    helmet.wait_for_phase("Running")
    helmet.wait_for_event("Ready", count=4)
    uids = [event["involvedObject"]["uid"] for event in helmet.events()]
    assert uids == [first] * 3 + [uid_of(helmet.document())] * 3
    assert helmet.reasons() == NEW * 2


def uid_of(document: Object) -> str:
    uid: str = document["metadata"]["uid"]
    return uid
