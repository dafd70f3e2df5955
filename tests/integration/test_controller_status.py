"""Every cause that keeps a worker from Ready: named with pod, container and node within 30 s, and gone when it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import pytest

from tests.integration.played_kubelet import Play
from tests.integration.pod_pictures import (
    config_error,
    crash_loop,
    crash_loop_running,
    crashed,
    creating,
    evicted,
    init_failed,
    pull_backing_off,
    pull_failed,
    ready,
    rejected,
)
from tests.integration.service_on_cluster import Object
from tests.integration.watched_service import (
    CLOUD_NODE,
    EDGE_NODE,
    PlayedSite,
    WatchedService,
    condition_of,
    model,
    service,
)


@dataclass(frozen=True)
class Fault:
    """What the edge's node writes, and what the service has to say of it; `later` changes at most the words of that."""

    play: Play
    reason: str
    words: tuple[str, ...]
    later: tuple[Play, ...] = ()
    spec: Object = field(default_factory=dict)
    container: Object = field(default_factory=dict)


IMAGE = 'image "registry.test/little-model:v1" cannot be pulled'
FETCH = {"initContainers": [{"name": "fetch", "image": "registry.test/fetch:v1"}]}
FAULTS = {
    "an image that does not exist": Fault(
        pull_failed,
        "ImagePullFailed",
        ("container little-model", IMAGE, "registry.test/little-model:v1: not found"),
        later=(pull_backing_off, pull_failed, pull_backing_off),
    ),
    "a crash loop": Fault(
        crashed(3, message="loading\nFileNotFoundError: /home/data/y.pb\n"),
        "CrashLoop",
        ("container little-model ended with exit code 3", "FileNotFoundError: /home/data/y.pb"),
        later=(crash_loop(3, message="FileNotFoundError: /home/data/y.pb"), crash_loop_running(3)),
    ),
    "a crash by a signal": Fault(crash_loop(139, restarts=12), "CrashLoop", ("exit code 139 (SIGSEGV)",)),
    "too much memory": Fault(
        crash_loop(137, reason="OOMKilled"),
        "OOMKilled",
        (
            "container little-model was killed for using too much memory (OOMKilled, its limit is 2Gi)",
            "write a larger resources.limits.memory",
        ),
        container={"resources": {"limits": {"memory": "2Gi"}}},
    ),
    "a program that ends well": Fault(crash_loop(0, reason="Completed"), "CrashLoop", ("a worker must not end",)),
    "an init container that fails": Fault(
        init_failed("fetch", 1, message="GET https://user:hunter2@models.test/y.pb: 404"),
        "InitFailed",
        ("init container fetch ended with exit code 1", "models.test/y.pb: 404"),
        spec=FETCH,
    ),
    "a key that its secret lacks": Fault(
        config_error("couldn't find key ACCESS in Secret ns/mysecret"),
        "ContainerConfigError",
        ("container little-model cannot be made: couldn't find key ACCESS in Secret ns/mysecret",),
    ),
}


@pytest.fixture(scope="module")
def faulty(played_site: PlayedSite) -> dict[str, WatchedService]:
    """One service for each fault, started together: they wait for each other's pods and not one after the other."""
    services = {}
    for title, fault in FAULTS.items():
        services[title] = played_site.service()
        edge = {"spec": fault.spec, "container_fields": fault.container}
        services[title].create(service("helmet", edge=edge))
    return services


@pytest.mark.parametrize("title", FAULTS)
def test_a_fault_of_the_edge_is_named_and_clears_by_itself(title, faulty):
    fault, helmet = FAULTS[title], faulty[title]
    helmet.wait_for_phase("Running")
    helmet.wait_for_event("Ready", count=2)
    [pod] = helmet.kubelet.pods(helmet.edge)
    before, events_before = helmet.version(), helmet.reasons()

    helmet.kubelet.play(helmet.edge, fault.play)
    named = (f"0 of 1 pod ready: pod {pod['metadata']['name']} on node {EDGE_NODE}", *fault.words)
    print(f"{title}: {helmet.wait_for('EdgeReady', fault.reason, *named):.1f} s")
    assert_only_the_edge_failed(helmet.status())
    for play in fault.later:
        helmet.kubelet.play(helmet.edge, play)
        helmet.wait_until_played(helmet.edge)
    helmet.kubelet.play(helmet.edge, ready)
    helmet.wait_for_phase("Running")

    history = helmet.history(before)
    seen = [key for key, _ in groupby(history, summary)]
    assert seen == [(fault.reason, "Failed", "Failed"), ("Ready", "Running", "Running")]
    # A crash loop's words tell of its restarts, so they are written anew where they are read while it goes on.
    words = [condition_of(status, "EdgeReady")["message"] for status in history]
    assert len(words) == len(set(words))
    helmet.wait_for_event("Ready", count=3)
    assert helmet.reasons()[len(events_before) :] == [fault.reason, "Ready"]
    assert "hunter2" not in str(helmet.history(before)) + str(helmet.events())


def assert_only_the_edge_failed(status: Object) -> None:
    last = status["conditions"][-1]
    assert (last["type"], last["status"], last["reason"]) == ("Failed", "True", "workerFailed")
    assert last["message"] == f"edge worker: {condition_of(status, 'EdgeReady')['message']}"
    assert condition_of(status, "EdgeReady")["status"] == "False"
    assert condition_of(status, "CloudReady")["status"] == "True"
    assert (status["phase"], status["edge"], status["cloud"]) == ("Failed", {"ready": "0/1"}, {"ready": "1/1"})
    assert (status["active"], status["failed"]) == (1, 1)


def summary(status: Object) -> tuple[str, str, str]:
    """Return the edge's reason, the phase, and the service's current state as upstream's readers take it."""
    return condition_of(status, "EdgeReady")["reason"], status["phase"], status["conditions"][-1]["type"]


def test_a_new_image_that_cannot_be_pulled_leaves_the_old_pod_serving(played_site):
    helmet = played_site.running()
    before = helmet.version()
    helmet.kubelet.play(helmet.edge, lambda pod: pull_failed(pod) if "typo" in str(pod["spec"]) else ready(pod))

    helmet.edit_container("edge", image="registry.test/typo:v2")
    named = ("1 of 1 pod ready: pod helmet-deployment-edge-", 'image "registry.test/typo:v2" cannot be pulled')
    helmet.wait_for("EdgeReady", "PartlyReady", *named)
    assert summary(helmet.status()) == ("PartlyReady", "Degraded", "Running")
    assert condition_of(helmet.status(), "EdgeReady")["status"] == "True"
    helmet.edit_container("edge", image="registry.test/little-model:v2")
    helmet.wait_for_phase("Running")
    helmet.wait_for_pods(helmet.edge, 1)

    assert {status["conditions"][-1]["type"] for status in helmet.history(before)} == {"Running"}


def test_a_pod_that_no_node_takes(played_site):
    helmet = played_site.service()
    helmet.create(service("helmet", edge={"spec": {"nodeName": None}}))
    [pod] = helmet.wait_for_pods(helmet.edge, 1)
    said = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found."
    helmet.kubelet.leave_unscheduled(pod, said)
    named = f"no node takes pod {pod['metadata']['name']}: 0/2 nodes are available: 2 Insufficient cpu"
    helmet.wait_for("EdgeReady", "Unschedulable", named)
    helmet.wait_for("CloudReady", "Ready")
    assert_only_the_edge_failed(helmet.status())
    helmet.kubelet.bind(pod, EDGE_NODE)
    helmet.wait_for_phase("Running")


def test_a_node_that_does_not_exist(played_site):
    helmet = played_site.service()
    helmet.create(service("helmet", edge={"spec": {"nodeName": "edge-lost"}}))
    [pod] = helmet.wait_for_pods(helmet.edge, 1)
    named = f"pod {pod['metadata']['name']} is meant for node edge-lost, which does not exist"
    helmet.wait_for("EdgeReady", "NodeMissing", named)
    assert helmet.status()["phase"] == "Failed"
    played_site.kubelet.register("edge-lost")
    helmet.wait_for_phase("Running")
    played_site.kubelet.remove("edge-lost")
    helmet.wait_for("EdgeReady", "NodeMissing")


def test_a_node_that_is_not_ready_says_nothing_about_the_edge_and_fails_the_cloud(played_site):
    played_site.kubelet.register("edge-far", "cloud-far")
    workers = {role: {"spec": {"nodeName": f"{role}-far"}} for role in ("edge", "cloud")}
    helmet = played_site.running(**workers)
    before = helmet.version()
    down = ("False", "KubeletNotReady", "container runtime is down")

    played_site.kubelet.set_ready("edge-far", *down)
    helmet.wait_for("EdgeReady", "NodeNotReady", "node edge-far is not ready since", "(container runtime is down)")
    assert condition_of(helmet.status(), "EdgeReady")["status"] == "Unknown"
    assert summary(helmet.status()) == ("NodeNotReady", "Degraded", "Running")
    played_site.kubelet.set_ready("cloud-far", *down)
    helmet.wait_for("CloudReady", "NodeNotReady", "node cloud-far is not ready since")
    assert summary(helmet.status()) == ("NodeNotReady", "Failed", "Failed")
    for node in ("edge-far", "cloud-far"):
        played_site.kubelet.set_ready(node, "True", "KubeletReady", "kubelet is posting ready status")
    helmet.wait_for_phase("Running")
    assert [summary(status)[2] for status in helmet.history(before)][-1] == "Running"


def test_a_node_that_refuses_its_pods(played_site):
    """The ReplicaSet makes a new pod at once for each that is given up, so there are many."""
    helmet = played_site.service()
    refuse = rejected("NodePorts", "Predicate NodePorts failed")
    helmet.kubelet.play(helmet.edge, refuse)
    helmet.create(service("helmet"))
    named = (f" on node {EDGE_NODE} was rejected by the node (NodePorts): Pod was rejected", "remove hostPort")
    helmet.wait_for("EdgeReady", "PodRejected", *named)
    helmet.wait_for("CloudReady", "Ready")
    assert_only_the_edge_failed(helmet.status())
    before = helmet.version()
    helmet.wait_for_pods_at_least(helmet.edge, 15)
    assert len(helmet.history(before)) <= 12  # the count of pods that share the cause is said up to ten
    helmet.kubelet.play(helmet.edge, ready)
    helmet.wait_for_phase("Running")
    assert helmet.reasons().count("PodRejected") == 1


def test_an_evicted_pod_is_replaced_and_the_service_does_not_count_as_failed(played_site):
    helmet = played_site.running()
    [pod] = helmet.kubelet.pods(helmet.edge)
    before = helmet.version()
    helmet.kubelet.play(helmet.edge, creating)
    helmet.kubelet.play(helmet.edge, evicted("The node was low on resource: memory. "), pod=pod["metadata"]["name"])
    named = f"pod {pod['metadata']['name']} on node {EDGE_NODE} was evicted: The node was low on resource: memory."
    helmet.wait_for("EdgeReady", "Evicted", named)
    helmet.kubelet.play(helmet.edge, ready)
    helmet.wait_for_phase("Running")
    assert {status["conditions"][-1]["type"] for status in helmet.history(before)} == {"Running"}


QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: none}
spec: {hard: {pods: "0"}}
"""


def test_a_quota_that_leaves_no_room_for_pods(played_site):
    helmet = played_site.service()
    helmet.kubectl("apply", "-f", "-", stdin=QUOTA)
    helmet.kubectl("wait", "--for=jsonpath={.status.hard.pods}=0", "resourcequota/none")
    helmet.create(service("helmet"))
    named = ("no pod can be made for Deployment helmet-deployment-edge: exceeded quota: none, requested: pods=1",)
    helmet.wait_for("EdgeReady", "QuotaExceeded", *named)
    helmet.wait_for("CloudReady", "QuotaExceeded")
    assert (helmet.status()["active"], helmet.status()["failed"]) == (0, 2)
    helmet.kubectl("delete", "resourcequota", "none")
    # The ReplicaSets try again in ever longer intervals.
    helmet.wait_for_phase("Running")


def test_pods_of_a_service_account_that_does_not_exist_cannot_be_made(played_site):
    helmet = played_site.service()
    helmet.create(service("helmet", edge={"spec": {"serviceAccountName": "camera"}}))
    helmet.wait_for(
        "EdgeReady", "PodCreationFailed", "Deployment helmet-deployment-edge", 'serviceaccount "camera" not found'
    )
    helmet.kubectl("create", "serviceaccount", "camera")
    helmet.wait_for_phase("Running")


def test_a_missing_model_is_waited_for_and_one_that_goes_later_stops_nothing(played_site):
    namespace = played_site.control_plane.create_namespace()
    helmet = played_site.in_namespace(namespace)
    helmet.add_models("big")
    helmet.create(service("helmet"))
    words = f"Model {namespace}/little does not exist; create it, or write the name of one that does in"
    helmet.wait_for("EdgeReady", "ModelMissing", words, "spec.edgeWorker.model.name")
    helmet.wait_for("CloudReady", "Ready")
    assert_only_the_edge_failed(helmet.status())
    helmet.add_models("little")
    helmet.wait_for_phase("Running")

    helmet.kubectl("delete", "model", "little")
    helmet.wait_for("EdgeReady", "ModelMissing", "1 of 1 pod ready", words)
    assert summary(helmet.status()) == ("ModelMissing", "Degraded", "Running")
    assert len(helmet.kubelet.pods(helmet.edge)) == 1


SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: storage, annotations: {s3-endpoint: "minio.test:9000"}}
stringData: {ACCESS_KEY_ID: someone, SECRET_ACCESS_KEY: hunter2}
"""


def test_a_missing_secret_is_waited_for(played_site):
    namespace = played_site.control_plane.create_namespace()
    helmet = played_site.in_namespace(namespace)
    helmet.add_models("big")
    little = model("little", "s3://models/little.pb")
    little["spec"]["credentialName"] = "storage"
    helmet.kubectl("apply", "-f", "-", stdin=str(little))
    helmet.create(service("helmet"))
    helmet.wait_for("EdgeReady", "SecretMissing", f"{namespace}/storage")
    helmet.kubectl("apply", "-f", "-", stdin=SECRET)
    helmet.wait_for_phase("Running")


def test_what_people_see_of_a_service(played_site):
    hpa = {"minReplicas": 1, "maxReplicas": 4}
    requests = {"resources": {"requests": {"cpu": "1"}}}
    helmet = played_site.running(cloud={"hpa": hpa, "container_fields": requests})
    rows = [line.split() for line in helmet.kubectl("get", "ji").splitlines()]
    assert rows[0] == ["NAME", "EDGE", "CLOUD", "FILTER", "INFERENCES", "HARD", "PHASE", "AGE"]
    assert rows[1][:5] == ["helmet", "1/1", "1/1", "IBT", "Running"]
    wide = helmet.kubectl("get", "ji", "-o", "wide").splitlines()
    assert wide[0].split()[-4:] == ["EDGE-MODEL", "CLOUD-MODEL", "EDGE-HPA", "CLOUD-HPA"]
    assert wide[1].split()[-3:] == ["little", "big", "1-4"]

    helmet.patch({"cloudWorker": {"hpa": None}})
    helmet.wait(lambda status: status["cloud"] == {"ready": "1/1"}, "the range of the autoscaler to go with it")
    assert not condition_of(helmet.status(), "CloudScaling")


def test_describe_alone_tells_what_is_broken_and_what_to_do(played_site):
    helmet = played_site.running()
    [pod] = helmet.kubelet.pods(helmet.cloud)
    helmet.kubelet.play(helmet.cloud, crash_loop(1, message="OSError: cannot read /home/data/data/model.pb"))
    helmet.wait_for_phase("Failed")
    helmet.wait_for_event("CrashLoop")

    said = helmet.kubectl("describe", "ji", "helmet")
    cause = (
        f"0 of 1 pod ready: pod {pod['metadata']['name']} on node {CLOUD_NODE}: container big-model ended with exit code 1,"
        " restarted once: OSError: cannot read /home/data/data/model.pb"
    )
    for line in (
        "Message:               1 of 1 pod ready",
        f"Message:               {cause}",
        "Reason:                CrashLoop",
        f"Message:               cloud worker: {cause}",
        "Reason:                workerFailed",
        "Phase:                Failed",
        f"cloud worker: {cause}",
        "created Deployment helmet-deployment-cloud, Service helmet-cloud, Service helmet-cloud-pods,"
        " Deployment helmet-deployment-edge",
        "edge worker: 1 of 1 pod ready",
    ):
        assert line in said
    table = said[said.index("Events:") :]
    assert [row.split()[:2] for row in table.splitlines()[3:]] == [
        ["Normal", "Created"],
        ["Normal", "Ready"],
        ["Normal", "Ready"],
        ["Warning", "CrashLoop"],
    ]
