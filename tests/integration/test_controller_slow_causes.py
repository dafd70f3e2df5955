"""Causes that nothing announces: silence has to be taken for one, in time, and without asking all the time.

All services of this module are started together, for each takes its 5 to 60 s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from controller.status.live import moment
from tests.integration.played_kubelet import Play
from tests.integration.played_metrics import write_cpu
from tests.integration.pod_pictures import creating, lost_readiness, pulling, ready, unready
from tests.integration.service_on_cluster import Object
from tests.integration.watched_service import EDGE_NODE, PlayedSite, WatchedService, condition_of, service

HOST_PATH = (
    'MountVolume.SetUp failed for volume "dataz" : hostPath type check failed: /data/ is not a directory',
    "Unable to attach or mount volumes: unmounted volumes=[dataz], unattached volumes=[], failed to process volumes=[]:"
    " context deadline exceeded",
)
SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox"
    f' "{"1f" * 32}": plugin type="edgemesh" failed (add): no route'
)
PROBE = "Readiness probe failed: HTTP probe failed with statuscode: 503"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
SCALED = {"hpa": {"maxReplicas": 2, "metrics": [CPU]}, "container_fields": {"resources": {"requests": {"cpu": "1"}}}}
DEAD_NODE = "edge-dead"


@dataclass(frozen=True)
class Slow:
    """What is played, and what the service has to say about it at last."""

    reason: str
    words: tuple[str, ...]
    play: Play = ready
    edge: Object = field(default_factory=dict)
    events: tuple[tuple[str, str], ...] = ()
    kind: str = "EdgeReady"
    current: str = "Failed"
    earliest_s: float = 0
    latest_s: float = 30


CASES = {
    "a directory that the node lacks": Slow(
        "VolumeMissing",
        (f" on node {EDGE_NODE}: MountVolume.SetUp failed", "/data/ is not a directory", "; make it on the node"),
        creating,
        events=tuple(("FailedMount", message) for message in HOST_PATH),
        earliest_s=4,
        latest_s=15,
    ),
    "a directory that an edge node lacks, whose events never come": Slow(
        "VolumeMissing",
        ("the node does not say why; look on the node whether these exist: directory /data",),
        creating,
        earliest_s=19,
    ),
    "a network that cannot be made": Slow(
        "SandboxFailed",
        ('plugin type="edgemesh" failed (add): no route',),
        creating,
        events=(("FailedCreatePodSandBox", SANDBOX),),
        earliest_s=4,
        latest_s=15,
    ),
    "a scheduler that is not there": Slow(
        "Unschedulable",
        ("has no node: scheduler edge-scheduler has not looked at it",),
        edge={"spec": {"nodeName": None, "schedulerName": "edge-scheduler"}},
        earliest_s=19,
    ),
    "a pod that is never ready": Slow(
        "NotReady",
        ("container little-model runs and is not ready: Readiness probe failed",),
        unready,
        events=(("Unhealthy", PROBE),),
        current="Running",
        earliest_s=19,
    ),
    "an autoscaler without samples": Slow(
        "MetricUnavailable",
        ("the autoscaler says FailedGetResourceMetric", "`kubectl top pods` must show the worker's pods"),
        edge=SCALED,
        kind="EdgeScaling",
        current="Running",
        earliest_s=20,
        latest_s=40,  # the autoscaler takes its own time before it says so first
    ),
}


@dataclass(frozen=True)
class Begun:
    """A service, when its fault began, about when its pod was made, and when its node had told all of it."""

    service: WatchedService
    at: datetime
    told_at: datetime


@pytest.fixture(scope="module")
def begun(played_site: PlayedSite) -> dict[str, Begun]:
    started = {title: start(played_site, case) for title, case in CASES.items()}
    return {title: first_pod(helmet, CASES[title]) for title, helmet in started.items()}


@pytest.fixture(scope="module", autouse=True)
def dead_node(played_site: PlayedSite, begun: dict[str, Begun]) -> WatchedService:
    """A service whose edge's node goes silent; the controller manager notices that after 50 s."""
    played_site.kubelet.register(DEAD_NODE)
    helmet = played_site.running(edge={"spec": {"nodeName": DEAD_NODE}})
    played_site.kubelet.fall_silent(DEAD_NODE)
    return helmet


@pytest.fixture(scope="module", autouse=True)
def lost(played_site: PlayedSite, begun: dict[str, Begun]) -> WatchedService:
    """A service whose edge has been ready and is not any more."""
    helmet = played_site.running()
    [pod] = helmet.kubelet.pods(helmet.edge)
    helmet.kubelet.tell(pod, "Unhealthy", PROBE)
    helmet.kubelet.play(helmet.edge, lost_readiness)
    return helmet


@pytest.fixture(scope="module", autouse=True)
def large_image(played_site: PlayedSite, begun: dict[str, Begun]) -> WatchedService:
    """A service whose edge takes its time with the image."""
    return start(played_site, Slow("", (), pulling))


def start(site: PlayedSite, case: Slow) -> WatchedService:
    helmet = site.service()
    helmet.kubelet.play(helmet.edge, case.play)
    helmet.create(service("helmet", edge=case.edge))
    return helmet


def first_pod(helmet: WatchedService, case: Slow) -> Begun:
    [pod] = helmet.wait_for_pods(helmet.edge, 1)
    for reason, message in case.events:
        helmet.kubelet.tell(pod, reason, message)
    made = moment(pod, "metadata", "creationTimestamp")
    assert made is not None
    return Begun(helmet, made, datetime.now(UTC) if case.events else made)


@pytest.mark.parametrize("title", CASES)
def test_silence_is_taken_for_a_cause_in_time(title, begun):
    case, helmet = CASES[title], begun[title].service
    helmet.wait_for(case.kind, case.reason, *case.words, seconds=60)
    told = moment(helmet.wait_for_event(case.reason), "firstTimestamp")
    assert told is not None
    took_s, since_told_s = ((told - since).total_seconds() for since in (begun[title].at, begun[title].told_at))
    print(f"{title}: {took_s:.0f} s")
    assert took_s >= case.earliest_s
    # A pod that waits longer than 5 s before its node tells is asked about in vain, and again 10 s later.
    assert since_told_s <= case.latest_s
    assert helmet.status()["conditions"][-1]["type"] == case.current
    assert helmet.reasons().count(case.reason) == 1


CURES: dict[str, Callable[[WatchedService, Object], None]] = {
    "a scheduler that is not there": lambda helmet, pod: helmet.kubelet.bind(pod, EDGE_NODE),
    "an autoscaler without samples": lambda helmet, pod: write_cpu(helmet.cluster, pod, "500m"),
}


@pytest.mark.parametrize("title", CASES)
def test_it_clears_by_itself(title, begun):
    helmet = begun[title].service
    [pod] = helmet.kubelet.pods(helmet.edge)
    CURES.get(title, lambda helmet, _: helmet.kubelet.play(helmet.edge, ready))(helmet, pod)
    helmet.wait(lambda status: condition_of(status, CASES[title].kind)["status"] == "True", "the condition to be True")
    helmet.wait_for_phase("Running")


def test_readiness_that_stays_away_becomes_a_failure_after_20_s(lost):
    helmet = lost
    helmet.wait_for_phase("Failed", seconds=30)
    [pod] = helmet.kubelet.pods(helmet.edge)
    said = condition_of(helmet.status(), "EdgeReady")
    assert said["reason"] == "NotReady"
    assert "container little-model runs and is not ready: Readiness probe failed: HTTP probe failed" in said["message"]
    events = {event["reason"]: moment(event, "firstTimestamp") for event in helmet.events()}
    failed = moment(helmet.status()["conditions"][-1], "lastTransitionTime")
    since = moment(condition_of(pod["status"], "Ready"), "lastTransitionTime")
    assert failed is not None
    assert since is not None
    assert events["NotReady"] is not None
    assert (events["NotReady"] - since).total_seconds() < 20
    assert 20 <= (failed - since).total_seconds() <= 30
    helmet.kubelet.play(helmet.edge, ready)
    helmet.wait_for_phase("Running")
    helmet.wait_for_event("Ready", count=3)
    assert helmet.reasons()[-2:] == ["NotReady", "Ready"]


def test_a_pod_that_pulls_a_large_image_is_not_called_failed(large_image):
    helmet = large_image
    [pod] = helmet.wait_for_pods(helmet.edge, 1)
    note = f"0 of 1 pod ready; pod {pod['metadata']['name']} on node {EDGE_NODE}: the image is being pulled"
    helmet.wait_for("EdgeReady", "Starting", note)
    assert helmet.status()["phase"] == "Starting"
    assert helmet.reasons() == ["Created", "Ready"]  # of the cloud worker
    helmet.kubelet.play(helmet.edge, ready)
    helmet.wait_for_phase("Running")


def test_a_node_that_went_silent_leaves_the_edge_unknown_until_it_is_back(played_site, dead_node):
    helmet = dead_node
    helmet.wait_for("EdgeReady", "EdgeOffline", "edge offline since", f"node {DEAD_NODE}; its pods go on", seconds=90)
    assert condition_of(helmet.status(), "EdgeReady")["status"] == "Unknown"
    assert (helmet.status()["phase"], helmet.status()["conditions"][-1]["type"]) == ("Degraded", "Running")
    event = helmet.wait_for_event("EdgeOffline")
    down = next(one for one in played_site.node(DEAD_NODE)["status"]["conditions"] if one["type"] == "Ready")
    told, since = moment(event, "firstTimestamp"), moment(down, "lastTransitionTime")
    assert told is not None
    assert since is not None
    assert (told - since).total_seconds() <= 15
    played_site.kubelet.set_ready(DEAD_NODE, "True", "KubeletReady", "kubelet is posting ready status")
    helmet.wait_for_phase("Running")
