"""Autoscalers that read our own metrics API, on a cluster that has no Prometheus: acceptance points 1, 2 and 6 of the issue.

Five services live through it side by side; the tests ask about what was seen. SEDNA_E2E_WINDOW_SECONDS sets the stabilization
windows of one of them, and SEDNA_E2E_ZERO_CYCLES how often another falls asleep and is woken; the issue's figures are 120 and 20,
CI has less.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sedna_py.metrics import names
from tests.cluster.e2e_cluster import E2eCluster
from tests.cluster.site import EDGE_ADDRESS
from tests.e2e.camera import encoded
from tests.e2e.pods import pods, samples
from tests.e2e.running_sample import camera_answers, turn_camera
from tests.e2e.scaled_services import ALL_HARD, CODE, POD_RATE, RunningService, Scaled, Seen, asked, report
from tests.integration.controller_process import wait_until

WINDOW_S = int(os.environ.get("SEDNA_E2E_WINDOW_SECONDS", "30"))
LOOK_S = 5  # of the autoscalers (tests/cluster/commands.py): the last one before a load may be as long ago as that
CYCLES = int(os.environ.get("SEDNA_E2E_ZERO_CYCLES", "2"))
# What neither changes, and the longest that the two parts may take: four windows and a load, a cold start each night.
pytestmark = pytest.mark.timeout(510 + 5 * WINDOW_S + 120 * CYCLES)

API = "/apis/custom.metrics.k8s.io/v1beta2"
CAMERA_PORT = 8556
INSIDE, BURST = 5, 10
LOAD_S = 60.0
# Connections stay with the pod that they found, at first the only one: it must be able to do all of it on a busy machine too.
RATE, RATE_TARGET = 6.0, 2.0
DEMAND_RATE = 2.5 * POD_RATE
DEMAND_TARGET = 0.7
IDLE_RATE = 1.0
QUICK = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 10}}}
FAST_WINDOW = {"autoscaling.knative.dev/window": "15s"}

CONCURRENCY = Scaled("concurrency", {"maxReplicas": 8, "scaleMetric": "concurrency", "scaleTarget": 1})
RPS = Scaled("rps", {"maxReplicas": 6, "scaleMetric": "rps", "scaleTarget": RATE_TARGET})
STREAMS = Scaled(
    "streams",
    {
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": names.SIGNAL_REQUESTS_PER_STREAM},
                    "target": {"type": "AverageValue", "averageValue": "1"},
                },
            }
        ],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": WINDOW_S},
            "scaleDown": {"stabilizationWindowSeconds": WINDOW_S},
        },
    },
    annotations=FAST_WINDOW,
)
DEMAND = Scaled(
    "demand",
    {"maxReplicas": 3, "scaleMetric": "concurrency", "scaleTarget": 2},
    edge_hpa={"maxReplicas": 4, "scaleMetric": "demand", "scaleTarget": DEMAND_TARGET, **QUICK},
    video_url=f"http://{EDGE_ADDRESS}:{CAMERA_PORT}/video",
    annotations=FAST_WINDOW,
)
ZERO = Scaled(
    "zero",
    {"minReplicas": 0, "maxReplicas": 2, "scaleMetric": "concurrency", "scaleTarget": 2},
    annotations=FAST_WINDOW,
    edge_filter=ALL_HARD,
    edge_port=8095,
)
SERVICES = (CONCURRENCY, RPS, STREAMS, DEMAND, ZERO)
AWAKE = (CONCURRENCY, RPS, STREAMS, DEMAND)


@dataclass
class Story:
    """What was seen; times are seconds since the load began."""

    resources: set[str] = field(default_factory=set)
    concurrency: Seen = field(default_factory=Seen)
    concurrency_report: dict[str, Any] = field(default_factory=dict)
    burst_report: dict[str, Any] = field(default_factory=dict)
    rps: Seen = field(default_factory=Seen)
    rps_report: dict[str, Any] = field(default_factory=dict)
    streams_up: Seen = field(default_factory=Seen)
    streams_down: Seen = field(default_factory=Seen)
    demand_up: Seen = field(default_factory=Seen)
    demand_down: Seen = field(default_factory=Seen)
    drops_before: float = 0.0
    drops_at_most: list[float] = field(default_factory=list)
    drops_end: float = math.inf
    asleep: list[bool] = field(default_factory=list)  # a night each: the cloud had no pod before its frame came
    answered_at_once: list[float] = field(default_factory=list)  # seconds until the edge's own answer
    answered_late: list[float] = field(default_factory=list)  # seconds until the cloud's
    pods_at_once: list[int] = field(default_factory=list)  # ready cloud pods when the edge had answered
    phase_asleep: str = ""
    held_and_lost: float = math.inf
    hpa_table: str = ""
    late_warnings: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def namespace(e2e_cluster: E2eCluster, installed_controller: None) -> Iterator[str]:
    """A namespace with the model's code."""
    name = e2e_cluster.plane.create_namespace("scaled-")
    kubectl = e2e_cluster.plane.kubectl
    kubectl("create", "configmap", "slow", "-n", name, f"--from-literal=slow.py={CODE}")
    yield name
    kubectl("delete", "ji", "--all", "-n", name)
    # A pod that is going when its node ends leaves its network device behind.
    wait_until(lambda: not pods(e2e_cluster.plane, name, ""), "the services' pods to go", 120)
    e2e_cluster.plane.delete_namespace(name)


@pytest.fixture(scope="module")
def camera(e2e_cluster: E2eCluster, face_clip: Path) -> Iterator[Callable[[float], None]]:
    """A camera at the edge that is turned up and down."""
    words = [sys.executable, "-m", "tests.e2e.camera", "--clip", str(face_clip), "--port", str(CAMERA_PORT)]
    with e2e_cluster.run_in_edge_netns([*words, "--rate", f"{IDLE_RATE:g}"]) as process:
        wait_until(lambda: camera_answers(e2e_cluster, CAMERA_PORT, IDLE_RATE), "the camera at the edge")
        yield lambda rate: turn_camera(e2e_cluster, CAMERA_PORT, rate)
        process.kill()


@pytest.fixture(scope="module")
def story(e2e_cluster: E2eCluster, namespace: str, camera: Callable[[float], None], face_clip: Path) -> Story:
    """Live through it once, all services at the same time."""
    told = Story()
    picture = encoded(face_clip)[0]
    running = {service.name: RunningService(e2e_cluster, namespace, service.name) for service in SERVICES}
    documents = [document for service in SERVICES for document in service.documents(namespace)]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    e2e_cluster.plane.kubectl("apply", "-f", "-", stdin=text)
    applied = time.time()
    for service in running.values():
        service.serve()
    for name in (service.name for service in AWAKE):
        running[name].wait(lambda name=name: running[name].has_values("cloud"), "the autoscaler's metric", 90)
    served = time.time()  # on a slow machine the pods alone take a minute to start
    told.resources = {item["name"] for item in (e2e_cluster.plane.api.get(API) or {}).get("resources", [])}
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        parts = [
            pool.submit(scale_by_concurrency, running["concurrency"], told),
            pool.submit(scale_by_rps, running["rps"], told),
            pool.submit(scale_by_streams, running["streams"], told),
            pool.submit(scale_by_demand, running["demand"], camera, told),
            pool.submit(sleep_and_wake, running["zero"], picture, told),
        ]
        for part in parts:
            part.result()
    told.hpa_table = e2e_cluster.kubectl("get", "hpa", "-n", namespace)
    told.late_warnings = late_warnings(e2e_cluster, namespace, max(applied + 60, served + 30))
    return told


def scale_by_concurrency(service: RunningService, told: Story) -> None:
    begun = time.monotonic()
    with asked(service.cloud_address, LOAD_S, "--connections", str(INSIDE)) as load:
        watch(lambda: load.poll() is not None, lambda: told.concurrency.note(begun, service.wanted("cloud")))
        told.concurrency_report = report(load)
    with asked(service.cloud_address, 5, "--connections", str(BURST)) as burst:
        told.burst_report = report(burst)


def scale_by_rps(service: RunningService, told: Story) -> None:
    begun = time.monotonic()
    with asked(service.cloud_address, LOAD_S, "--rate", f"{RATE:g}", "--arrivals", "even") as load:
        watch(lambda: load.poll() is not None, lambda: told.rps.note(begun, service.wanted("cloud")))
        told.rps_report = report(load)


def scale_by_streams(service: RunningService, told: Story) -> None:
    begun = time.monotonic()
    with asked(service.cloud_address, WINDOW_S + LOAD_S, "--connections", "8") as load:
        watch(lambda: load.poll() is not None, lambda: told.streams_up.note(begun, service.wanted("cloud")))
        report(load)
    ended = time.monotonic()
    down = told.streams_down
    watch(lambda: down.changes[-1:] == [(down.changes[-1][0], 1)] if down.changes else False,
          lambda: down.note(ended, service.wanted("cloud")), 3 * WINDOW_S + 120)  # fmt: skip


def scale_by_demand(service: RunningService, camera: Callable[[float], None], told: Story) -> None:
    service.wait(lambda: service.has_values("edge"), "the edge's metric", 60)
    camera(DEMAND_RATE)
    begun = time.monotonic()

    def look() -> None:
        told.demand_up.note(begun, service.wanted("edge"))
        told.drops_at_most.append(sum(service.pod_value("edge", names.SIGNAL_DROP_FPS)))

    try:
        watch(lambda: service.ready("edge") == 4, look, 120)
        # A signal is a mean over its window: what was dropped before has to leave it.
        watch(lambda: told.drops_at_most[-1] == 0, look, 120)
        told.drops_end = told.drops_at_most[-1]
    finally:
        camera(IDLE_RATE)
    ended = time.monotonic()
    watch(lambda: service.wanted("edge") == 1, lambda: told.demand_down.note(ended, service.wanted("edge")), 150)
    told.demand_down.note(ended, service.wanted("edge"))


def sleep_and_wake(service: RunningService, picture: bytes, told: Story) -> None:
    address = service.cluster.edge_address

    def counted(name: str) -> float:
        return sum(samples(address, ZERO.edge_port, name).values())

    for _ in range(CYCLES):
        service.wait(lambda: service.wanted("cloud") == 0, "the cloud to fall asleep", 150)
        service.wait(lambda: not service.pods("cloud"), "the last pod to go", 60)
        told.asleep.append(service.ready("cloud") == 0)
        told.phase_asleep = service.phase()
        answered, late = counted(names.EDGE_FRAMES), counted(names.EDGE_OFFLINE_SENT)
        begun = time.monotonic()
        url = f"http://{address}:{ZERO.edge_port}/frames"
        sent = httpx.post(url, content=picture, headers={"Content-Type": "image/jpeg"}, trust_env=False)
        assert sent.status_code == 202, sent.text
        service.wait(lambda: counted(names.EDGE_FRAMES) > answered, "the edge's answer", 30)  # noqa: B023 - called at once
        told.answered_at_once.append(time.monotonic() - begun)
        told.pods_at_once.append(service.ready("cloud"))
        service.wait(lambda: counted(names.EDGE_OFFLINE_SENT) > late, "the cloud's answer", 120)  # noqa: B023
        told.answered_late.append(time.monotonic() - begun)
    told.held_and_lost = counted(names.EDGE_OFFLINE_LOST)


def watch(over: Callable[[], bool], look: Callable[[], None], seconds: float = 300) -> None:
    """Look until it is over; AssertionError when that does not come."""

    def once() -> bool:
        look()
        return over()

    wait_until(once, "the end of what is looked at", seconds)


def late_warnings(cluster: E2eCluster, namespace: str, since: float) -> list[str]:
    """Return what `kubectl describe hpa` warns of, of what was still so after this moment (seconds since the epoch)."""
    words = ("get", "events", "-n", namespace, "--field-selector=type=Warning", "-o", "json")
    return [
        f"{event['involvedObject']['name']}: {event['message']}"
        for event in json.loads(cluster.kubectl(*words))["items"]
        if event["involvedObject"]["kind"] == "HorizontalPodAutoscaler"
        and ZERO.name not in event["involvedObject"]["name"]
        and datetime.fromisoformat(event["lastTimestamp"]).timestamp() > since
    ]


def test_the_api_lists_the_metrics(story):
    assert {
        f"pods/{name}" for name in (names.SIGNAL_CONCURRENCY, names.SIGNAL_RPS, names.SIGNAL_DEMAND)
    } <= story.resources
    assert f"jointinferenceservices.sedna.io/{names.SIGNAL_EXPECTED_CLOUD_LOAD}" in story.resources


def test_kubectl_get_hpa_shows_values_and_describe_no_warnings_after_the_first_minute(story):
    assert len(story.hpa_table.splitlines()) == 1 + len(SERVICES) + 1  # the heading, and one service has two
    of_those_awake = [line for line in story.hpa_table.splitlines() if f"hpa-{ZERO.name}-" not in line]
    assert "unknown" not in "".join(of_those_awake)
    assert story.late_warnings == []


def test_five_requests_inside_are_five_pods_within_a_minute_and_none_is_refused(story):
    assert story.concurrency.first(lambda pods: pods == INSIDE) < 60
    assert story.concurrency.most() == INSIDE
    assert story.concurrency_report["refused"] == {} == story.concurrency_report["failures"]
    assert story.concurrency_report["ok"] > LOAD_S * POD_RATE / 2


def test_a_burst_of_ten_is_served(story):
    assert story.burst_report["refused"] == {} == story.burst_report["failures"]
    assert story.burst_report["ok"] >= BURST


def test_a_rate_has_as_many_pods_as_the_target_says(story):
    assert story.rps_report["answers_per_s"] == pytest.approx(RATE, rel=0.1), (story.rps_report, story.rps)
    assert abs(story.rps.changes[-1][1] - math.ceil(RATE / RATE_TARGET)) <= 1
    assert story.rps.first(lambda pods: pods >= math.ceil(RATE / RATE_TARGET) - 1) < LOAD_S


def test_nothing_changes_inside_the_windows(story):
    assert story.streams_up.changes[0][1] == 1
    assert story.streams_up.first(lambda pods: pods > 1) >= WINDOW_S - LOOK_S
    assert story.streams_up.most() == 3
    assert story.streams_down.changes[0][1] == 3
    assert story.streams_down.first(lambda pods: pods < 3) >= WINDOW_S - LOOK_S
    assert story.streams_down.changes[-1][1] == 1


def test_a_cloud_that_sleeps_is_woken_by_the_first_hard_frame_which_it_answers(story):
    assert story.asleep == [True] * CYCLES
    assert story.phase_asleep == "Running"
    assert story.pods_at_once == [0] * CYCLES  # the edge's answer did not wait
    assert max(story.answered_at_once) < 5
    assert len(story.answered_late) == CYCLES
    assert story.held_and_lost == 0


def test_edge_pods_follow_the_demand_until_nothing_is_dropped(story):
    assert story.demand_up.changes[0][1] == 1
    assert story.demand_up.most() == 4
    assert max(story.drops_at_most) > 1  # frames/s that the first pod could not take
    assert story.drops_end == 0
    assert story.demand_down.changes[-1][1] == 1
