"""What a worker is, from the status that real nodes, schedulers and Deployments give."""

from __future__ import annotations

from typing import Any

import pytest

from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.worker_state import WorkerState, worker_condition
from sedna_py.api.child_names import Role
from tests.controller.status import objects
from tests.controller.status.objects import (
    NOW,
    condition,
    container,
    crash,
    crashing_pod,
    creating_pod,
    deployment,
    deployment_condition,
    going,
    node,
    observe,
    pod,
    ready_pod,
    running,
    terminated,
    waiting,
)

FIRST = "helmet-deployment-edge-7d4b9-aaaaa"
SECOND = "helmet-deployment-edge-7d4b9-bbbbb"
NEWER = "helmet-deployment-edge-99f0c-ccccc"
DATA = {"volumes": [{"name": "data", "hostPath": {"path": "/data/big-model/", "type": "Directory"}}]}


def edge(observed: Observed, **more: Any) -> WorkerState:
    return worker_condition(Role.EDGE, observed, Clock(NOW), **more)


def waits(reason: str, message: str = "") -> objects.Object:
    return pod(containers=[container(waiting(reason, message))])


def init_waits(state: objects.Object, **more: Any) -> objects.Object:
    return pod(
        spec={"initContainers": [{"name": "storage-initializer", "image": "sedna/storage:v1"}]},
        init_containers=[container(state, name="storage-initializer", **more)],
        containers=[container(waiting("PodInitializing"))],
    )


FAILING = {
    "image pull": (
        waits(
            "ErrImagePull",
            'rpc error: code = NotFound desc = failed to pull and unpack image "registry/little:v1": not found',
        ),
        Reason.IMAGE_PULL_FAILED,
        'container little-model: image "registry/little:v1" cannot be pulled: failed to pull and unpack image'
        ' "registry/little:v1": not found',
    ),
    "image pull, later": (
        waits(
            "ImagePullBackOff",
            'Back-off pulling image "registry/little:v1": ErrImagePull: rpc error: code = NotFound desc = not found',
        ),
        Reason.IMAGE_PULL_FAILED,
        'image "registry/little:v1" cannot be pulled: not found',
    ),
    "image of another processor": (
        waits("ErrImagePull", "no match for platform in manifest: not found"),
        Reason.IMAGE_PULL_FAILED,
        "is not built for the processor of the node",
    ),
    "image name": (
        waits("InvalidImageName", "couldn't parse image"),
        Reason.IMAGE_PULL_FAILED,
        "is not the name of an image",
    ),
    "image never pulled": (waits("ErrImageNeverPull", "..."), Reason.IMAGE_PULL_FAILED, "imagePullPolicy is Never"),
    "missing key of a secret": (
        waits("CreateContainerConfigError", "couldn't find key ACCESS_KEY_ID in Secret default/mysecret"),
        Reason.CONTAINER_CONFIG_ERROR,
        "container little-model cannot be made: couldn't find key ACCESS_KEY_ID in Secret default/mysecret",
    ),
    "crash loop": (
        pod(
            containers=[
                crash(
                    waiting("CrashLoopBackOff", "back-off 2m40s restarting"),
                    code=2,
                    restarts=7,
                    message="Traceback\n ValueError: no model\n",
                )
            ]
        ),
        Reason.CRASH_LOOP,
        "container little-model ended with exit code 2, restarted 5 times or more: ValueError: no model",
    ),
    "crash loop while it runs again": (
        pod(containers=[crash(running(3), code=139)]),
        Reason.CRASH_LOOP,
        "ended with exit code 139 (SIGSEGV), restarted once",
    ),
    "crash loop that is called ready for a moment": (
        pod(containers=[crash(running(3), ready=True)], conditions=[condition("Ready", "True", 3)]),
        Reason.CRASH_LOOP,
        "ended with exit code 1",
    ),
    "first crash": (
        pod(containers=[container(terminated(1, message="boom"))]),
        Reason.CRASH_LOOP,
        "ended with exit code 1: boom",
    ),
    "ends well": (pod(containers=[container(terminated(0, "Completed"))]), Reason.CRASH_LOOP, "a worker must not end"),
    "out of memory": (
        pod(
            spec={"containers": [{"name": "little-model", "image": "i", "resources": {"limits": {"memory": "2Gi"}}}]},
            containers=[container(waiting("CrashLoopBackOff"), lastState=terminated(137, "OOMKilled"), restartCount=2)],
        ),
        Reason.OOM_KILLED,
        "was killed for using too much memory (OOMKilled, its limit is 2Gi), restarted twice;"
        " write a larger resources.limits.memory",
    ),
    "out of memory, without a limit": (
        pod(
            containers=[container(waiting("CrashLoopBackOff"), lastState=terminated(137, "OOMKilled"), restartCount=1)]
        ),
        Reason.OOM_KILLED,
        "(OOMKilled), restarted once; its node had none left: write resources.requests.memory and limits.memory",
    ),
    "no such command": (
        waits(
            "RunContainerError",
            'failed to start containerd task "x": exec: "nosuch": executable file not found in $PATH',
        ),
        Reason.CRASH_LOOP,
        'cannot be started: failed to start containerd task "x": exec: "nosuch": executable file not found',
    ),
    "download fails": (
        init_waits(
            waiting("CrashLoopBackOff"),
            lastState=terminated(1, message="http://u:p4ss@host/y.pb answered 404\n"),
            restartCount=3,
        ),
        Reason.INIT_FAILED,
        "init container storage-initializer ended with exit code 1, restarted 3 times or more: http://***@host/y.pb answered 404",
    ),
    "download tries again": (
        init_waits(running(2), lastState=terminated(1, message="404"), restartCount=1),
        Reason.INIT_FAILED,
        "init container storage-initializer ended with exit code 1, restarted once: 404",
    ),
    "unschedulable": (
        pod(
            node=None,
            conditions=[
                condition(
                    "PodScheduled",
                    "False",
                    reason="Unschedulable",
                    message="0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available.",
                )
            ],
        ),
        Reason.UNSCHEDULABLE,
        f"no node takes pod {FIRST}: 0/2 nodes are available: 2 Insufficient cpu",
    ),
    "no scheduler": (pod(node=None), Reason.UNSCHEDULABLE, "scheduler default-scheduler has not looked at it"),
    "node that does not exist": (
        pod(node="nosuch"),
        Reason.NODE_MISSING,
        "is meant for node nosuch, which does not exist",
    ),
    "rejected": (
        pod(phase="Failed", reason="NodePorts", message="Pod was rejected: Predicate NodePorts failed"),
        Reason.POD_REJECTED,
        "was rejected by the node (NodePorts): Pod was rejected: Predicate NodePorts failed;"
        " another pod on the node has the host port",
    ),
    "directory missing, without events": (
        creating_pod(spec=DATA, conditions=[condition("PodReadyToStartContainers", "False")]),
        Reason.VOLUME_MISSING,
        "look on the node whether these exist: directory /data/big-model/",
    ),
    "lost readiness": (
        pod(containers=[container(running(600))], conditions=[condition("Ready", "False", 40)]),
        Reason.NOT_READY,
        "container little-model runs and is not ready",
    ),
}


@pytest.mark.parametrize(("live", "reason", "message"), FAILING.values(), ids=FAILING)
def test_a_cause_is_named_and_fails_the_worker(live: objects.Object, reason: Reason, message: str) -> None:
    state = edge(observe(live))
    assert (state.status, state.reason, state.failing) == ("False", reason, True)
    assert message in state.message
    assert FIRST in state.message
    assert state.message.startswith("0 of 1 pod ready: ")


@pytest.mark.parametrize("case", [name for name in FAILING if name not in {"unschedulable", "no scheduler"}])
def test_a_cause_names_the_node(case: str) -> None:
    live = FAILING[case][0]
    assert f"node {live['spec']['nodeName']}" in edge(observe(live)).message


@pytest.mark.parametrize(
    ("live", "note"),
    [
        (creating_pod(age=3), ""),
        (
            creating_pod(age=90, conditions=[condition("PodReadyToStartContainers", "True")]),
            "the image is being pulled",
        ),
        (creating_pod(age=90, spec=DATA), "waits for its volumes or its image; if it stays so, look on the node"),
        (creating_pod(age=90, containers=[]), "has not been taken up by the node"),
        (pod(node=None, age=3), ""),
        (pod(node=None, conditions=[condition("PodScheduled", "True")]), ""),
        (init_waits(running(90)), "init container storage-initializer runs"),
        (init_waits(terminated(0, "Completed", seconds=2)), ""),
        (pod(containers=[container(running(3))], conditions=[condition("Ready", "False", 60)]), ""),
    ],
)
def test_a_slow_start_is_not_a_failure(live: objects.Object, note: str) -> None:
    state = edge(observe(live))
    assert (state.status, state.reason, state.failing) == ("False", Reason.STARTING, False)
    assert state.starting
    assert note in state.message


@pytest.mark.parametrize(
    ("began", "lost", "lasting"), [(60, 61, False), (700, 701, True), (60, 5, False), (60, 25, True)]
)
def test_a_model_may_load_for_long_but_a_lost_readiness_fails_soon(began: float, lost: float, lasting: bool) -> None:
    live = pod(containers=[container(running(began))], conditions=[condition("Ready", "False", lost)])
    state = edge(observe(live))
    assert (state.reason, state.failing) == (Reason.NOT_READY, lasting)


def test_a_pod_that_never_gets_ready_fails_the_worker_at_the_deadline() -> None:
    live = pod(containers=[container(running(60))], conditions=[condition("Ready", "False", 61)])
    late = deployment_condition("Progressing", "False", "ProgressDeadlineExceeded", "timed out.")
    state = edge(observe(live, of=deployment(conditions=[late])))
    assert (state.reason, state.failing) == (Reason.NOT_READY, True)


def test_events_tell_of_volumes_sandbox_and_probes() -> None:
    live = creating_pod(age=6, spec=DATA)
    probe = pod(containers=[container(running(60))], conditions=[condition("Ready", "False", 61)])
    said = {
        "VolumeMissing": (
            live,
            "FailedMount",
            'MountVolume.SetUp failed for volume "data" : hostPath type check failed: /data/big-model/ is not a directory',
        ),
        "SandboxFailed": (live, "FailedCreatePodSandBox", "Failed to create pod sandbox: no CNI"),
        "NotReady": (probe, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
    }
    for reason, (about, kind, message) in said.items():
        events = {about["metadata"]["uid"]: [objects.event("Scheduled", "assigned"), objects.event(kind, message)]}
        state = edge(observe(about, pod_events=events))
        assert state.reason == reason
        assert message in state.message
        assert f"pod {FIRST} on node edge-1" in state.message


def test_the_exact_mount_event_is_preferred_and_an_old_one_does_not_count_once_volumes_are_there() -> None:
    live = creating_pod(age=60, spec=DATA)
    events = [
        objects.event("FailedMount", "MountVolume.SetUp failed for volume x", 50),
        objects.event("FailedMount", "Unable to attach or mount volumes", 5),
    ]
    told = observe(live, pod_events={live["metadata"]["uid"]: events})
    assert "SetUp failed for volume x" in edge(told).message
    mounted = creating_pod(age=60, spec=DATA, conditions=[condition("PodReadyToStartContainers", "True")])
    assert edge(observe(mounted, pod_events=told.pod_events)).reason is Reason.STARTING


# --- nodes out of reach


def offline_pod(**more: Any) -> objects.Object:
    return pod(
        containers=[container(running(900), ready=True)],
        conditions=[condition("Ready", "False", 300)],
        phase="Running",
        age=1000,
        **more,
    )


def test_an_offline_edge_is_out_of_sight_not_failed() -> None:
    state = edge(observe(offline_pod(), nodes=[node("Unknown", since=300)]))
    assert (state.status, state.reason, state.failing) == ("Unknown", Reason.EDGE_OFFLINE, False)
    assert state.message == (
        "0 of 1 pod ready: edge offline since 2025-11-21T09:55:00Z: node edge-1; its pods go on there"
    )


def test_a_node_that_says_that_it_is_not_ready_is_not_offline() -> None:
    state = edge(observe(offline_pod(), nodes=[node("False", since=300)]))
    assert (state.status, state.reason, state.failing) == ("Unknown", Reason.NODE_NOT_READY, False)
    assert "node edge-1 is not ready since 2025-11-21T09:55:00Z (Kubelet stopped posting node status)" in state.message
    assert f"pod {FIRST} keeps its last known state" in state.message


def test_every_offline_node_is_named_once() -> None:
    pods = [offline_pod(), {**offline_pod(), "metadata": {**offline_pod()["metadata"], "name": SECOND}}]
    pods[1]["spec"]["nodeName"] = "edge-2"
    nodes = [node("Unknown", since=300), node("Unknown", "edge-2", since=60), node(name="edge-3")]
    away = "edge offline since 2025-11-21T09:55:00Z: node edge-1, node edge-2 since 2025-11-21T09:59:00Z"
    state = edge(observe(*pods, nodes=nodes, of=deployment(replicas=2)))
    assert (state.status, state.reason) == ("Unknown", Reason.EDGE_OFFLINE)
    assert state.message == f"0 of 2 pods ready: {away}; their pods go on there"
    third = ready_pod("helmet-deployment-edge-7d4b9-ddddd", node="edge-3")
    partly = edge(observe(*pods, third, nodes=nodes, of=deployment(replicas=3)))
    assert (partly.status, partly.reason) == ("True", Reason.PARTLY_READY)
    assert partly.message == f"1 of 3 pods ready: {away}; their pods go on there"


def test_a_deployment_that_is_late_does_not_fail_an_offline_edge() -> None:
    late = deployment_condition("Progressing", "False", "ProgressDeadlineExceeded")
    state = edge(observe(offline_pod(), nodes=[node("Unknown")], of=deployment(conditions=[late])))
    assert (state.status, state.failing) == ("Unknown", False)


@pytest.mark.parametrize(("back", "failing"), [(5, False), (61, True)])
def test_a_node_that_is_back_gets_time_to_tell_of_its_pods(back: float, failing: bool) -> None:
    """The cluster called the pod unready, and only its node can say that it is not."""
    state = edge(observe(offline_pod(), nodes=[node(since=back)]))
    assert (state.status, state.failing) == ("False", failing)
    assert ("is back and has not told of the pod yet" in state.message) is not failing


def test_an_offline_edge_stays_out_of_sight_when_its_pods_are_to_be_replaced() -> None:
    taint = "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }"
    replacement = pod(
        SECOND, node=None, conditions=[condition("PodScheduled", "False", reason="Unschedulable", message=taint)]
    )
    state = edge(observe(going(offline_pod()), replacement, nodes=[node("Unknown")]))
    assert (state.status, state.reason, state.failing) == ("Unknown", Reason.EDGE_OFFLINE, False)
    assert taint in state.message


PINNED = {"nodeSelector": {"kubernetes.io/hostname": "edge-1"}}
TAINTED = [condition("PodScheduled", "False", reason="Unschedulable", message="untolerated taint")]


@pytest.mark.parametrize(
    "live", [creating_pod(), pod(node=None, spec=PINNED, conditions=TAINTED)], ids=["by name", "by selector"]
)
def test_a_pod_that_never_started_begins_when_its_node_is_back(live: objects.Object) -> None:
    state = edge(observe(live, nodes=[node("Unknown")]))
    assert (state.status, state.reason, state.failing) == ("Unknown", Reason.EDGE_OFFLINE, False)
    assert state.message.endswith("node edge-1; its pods begin there when it is back")


def test_a_cloud_worker_on_a_lost_node_does_not_serve() -> None:
    observed = observe(offline_pod(), nodes=[node("Unknown")], role=Role.CLOUD)
    state = worker_condition(Role.CLOUD, observed, Clock(NOW))
    assert (state.status, state.reason, state.failing) == ("False", Reason.NODE_NOT_READY, True)


def test_nodes_that_may_not_be_read_are_not_missing() -> None:
    assert edge(observe(ready_pod(), nodes=None)).reason is Reason.READY


# --- memory


@pytest.mark.parametrize(
    ("seconds", "reason"), [(60, Reason.OOM_KILLED), (299, Reason.OOM_KILLED), (301, Reason.READY)]
)
def test_a_pod_that_was_out_of_memory_says_so_for_some_minutes_while_it_serves_again(
    seconds: float, reason: Reason
) -> None:
    again = container(running(40), ready=True, lastState=terminated(137, "OOMKilled", seconds=seconds), restartCount=1)
    state = edge(observe(ready_pod(containers=[again])))
    assert (state.status, state.reason, state.ready, state.failing) == ("True", reason, 1, False)
    assert ("OOMKilled" in state.message) is (reason is Reason.OOM_KILLED)


def test_a_path_that_the_server_does_not_know_says_how_to_write_another_probe() -> None:
    probe = pod(containers=[container(running(60))], conditions=[condition("Ready", "False", 61)])
    for code, failing in ((404, True), (503, False)):
        said = f"Readiness probe failed: HTTP probe failed with statuscode: {code}"
        events = {probe["metadata"]["uid"]: [objects.event("Unhealthy", said)]}
        state = edge(observe(probe, pod_events=events))
        assert (state.reason, state.failing) == (Reason.NOT_READY, failing)
        assert ("write a readinessProbe into the template, such as tcpSocket" in state.message) is failing


# --- several pods


@pytest.mark.parametrize(
    ("pods", "replicas", "expected", "ready"),
    [
        ([ready_pod()], 1, ("True", Reason.READY), 1),
        ([ready_pod(), creating_pod(SECOND, age=3)], 2, ("True", Reason.READY), 1),
        ([ready_pod(), crashing_pod(SECOND)], 2, ("True", Reason.PARTLY_READY), 1),
        ([ready_pod(), crashing_pod(NEWER, age=20)], 1, ("True", Reason.PARTLY_READY), 1),
        ([ready_pod(), pod(SECOND, phase="Failed", reason="Evicted")], 1, ("True", Reason.READY), 1),
        ([ready_pod(), going(ready_pod(SECOND))], 1, ("True", Reason.READY), 1),
        ([crashing_pod(), creating_pod(NEWER, age=3)], 1, ("False", Reason.STARTING), 0),
        ([], 0, ("False", Reason.SCALED_TO_ZERO), 0),
        ([], 1, ("False", Reason.STARTING), 0),
        ([going(ready_pod())], 1, ("False", Reason.STARTING), 0),
    ],
)
def test_pods_of_a_worker_together(
    pods: list[objects.Object], replicas: int, expected: tuple[str, Reason], ready: int
) -> None:
    state = edge(observe(*pods, of=deployment(replicas=replicas)))
    assert ((state.status, state.reason), state.ready, state.failing) == (expected, ready, False)


def test_one_crashing_pod_does_not_fail_a_worker_whose_other_pod_still_starts() -> None:
    state = edge(observe(crashing_pod(), creating_pod(SECOND, age=3), of=deployment(replicas=2)))
    assert (state.reason, state.failing) == (Reason.CRASH_LOOP, False)


def test_the_most_important_cause_is_said_first_and_the_pods_are_counted() -> None:
    pods = [crashing_pod(f"helmet-deployment-edge-7d4b9-{index}", age=100 - index) for index in range(4)]
    state = edge(observe(*pods, waits("ErrImagePull"), of=deployment(replicas=5)))
    assert state.reason is Reason.IMAGE_PULL_FAILED
    assert state.message.index("cannot be pulled") < state.message.index("exit code 1")
    assert "7d4b9-0 on" in state.message
    assert "(and 3 more pods)" in state.message


def test_a_flood_of_rejected_pods_gives_one_steady_bounded_text() -> None:
    def flood(count: int) -> Observed:
        names = (f"helmet-deployment-edge-7d4b9-{index:03}" for index in range(count))
        rejected = [
            pod(name, phase="Failed", reason="NodePorts", age=100 - index / 10) for index, name in enumerate(names)
        ]
        return observe(*rejected, pod("helmet-deployment-edge-7d4b9-zzz", node="edge-1", age=0, containers=[]))

    first, later = edge(flood(30)), edge(flood(80))
    assert first == later
    assert first.failing
    assert "7d4b9-000" in first.message
    assert "and more than 10 more pods" in first.message


def test_an_eviction_is_told_while_it_is_recent_and_does_not_fail_the_worker() -> None:
    evicted = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.", age=900)
    for seconds, reason in ((20, Reason.EVICTED), (1000, Reason.STARTING)):
        evicted["status"]["conditions"] = [condition("DisruptionTarget", "True", seconds)]
        state = edge(observe(evicted, creating_pod(SECOND, age=3)))
        assert (state.reason, state.failing) == (reason, False)


# --- the Deployment itself


@pytest.mark.parametrize(
    ("message", "reason", "said"),
    [
        (
            'pods "helmet-deployment-edge-7d4b9-x2x4z" is forbidden: exceeded quota: none, requested: pods=1,'
            " used: pods=0, limited: pods=0",
            Reason.QUOTA_EXCEEDED,
            "no pod can be made for Deployment helmet-deployment-edge: exceeded quota: none, requested: pods=1",
        ),
        (
            'pods "helmet-x" is forbidden: violates PodSecurity "baseline:latest"',
            Reason.POD_CREATION_FAILED,
            "violates PodSecurity",
        ),
    ],
)
def test_refused_pods(message: str, reason: Reason, said: str) -> None:
    failure = deployment_condition("ReplicaFailure", "True", "FailedCreate", message)
    state = edge(observe(of=deployment(conditions=[failure])))
    assert (state.status, state.reason, state.failing) == ("False", reason, True)
    assert said in state.message
    assert "x2x4z" not in state.message


@pytest.mark.parametrize(
    ("live", "expected", "failing"),
    [
        (
            deployment(conditions=[deployment_condition("Progressing", "False", "ProgressDeadlineExceeded")]),
            Reason.ROLLOUT_STUCK,
            True,
        ),
        ({**deployment(), "spec": {"paused": True}}, Reason.ROLLOUT_STUCK, False),
        (going(deployment()), Reason.DELETING, True),
        (deployment(replicas=None), Reason.STARTING, False),
        # Upstream's defect: the last condition is Available as soon as a pod blinks.
        (
            deployment(conditions=[deployment_condition("Available", "False", "MinimumReplicasUnavailable")]),
            Reason.STARTING,
            False,
        ),
    ],
)
def test_a_deployment_without_pods(live: objects.Object, expected: Reason, failing: bool) -> None:
    state = edge(observe(of=live))
    assert (state.status, state.reason, state.failing) == ("False", expected, failing)


def test_a_deployment_counts_for_pods_that_are_not_seen() -> None:
    assert edge(observe(of=deployment(readyReplicas=1))).reason is Reason.READY


def test_a_missing_deployment_is_about_to_be_made() -> None:
    state = edge(Observed())
    assert (state.status, state.reason, state.failing) == ("False", Reason.STARTING, False)


# --- what keeps the controller from applying

MISSING = Cause(Reason.MODEL_MISSING, "Model m does not exist in namespace default")


def test_a_problem_fails_a_worker_that_does_not_serve() -> None:
    for observed in (Observed(), observe(creating_pod(age=3)), observe(crashing_pod())):
        state = edge(observed, problem=MISSING)
        assert (state.status, state.reason, state.failing) == ("False", Reason.MODEL_MISSING, True)
        assert state.message.startswith(MISSING.message)
    assert "exit code 1" in edge(observe(crashing_pod()), problem=MISSING).message


def test_a_problem_is_told_of_a_worker_that_goes_on_as_it_is() -> None:
    state = edge(observe(ready_pod()), problem=MISSING)
    assert (state.status, state.reason, state.failing) == ("True", Reason.MODEL_MISSING, False)
    assert state.message == f"1 of 1 pod ready; {MISSING.message}"


def test_what_may_come_by_itself_does_not_fail_a_worker() -> None:
    state = edge(Observed(), problem=Cause(Reason.CLOUD_ADDRESS_PENDING, "no address yet", lasting=False))
    assert (state.status, state.reason, state.failing) == ("False", Reason.CLOUD_ADDRESS_PENDING, False)
    assert state.starting


def test_the_text_does_not_change_while_nothing_does() -> None:
    """Back-off times, restarts within a band and the clock are not in the text."""
    texts = set()
    for restarts, seconds, backoff in ((10, 5, "1m20s"), (12, 100, "2m40s"), (19, 300, "5m0s")):
        last = terminated(1, message=f"2025-11-21 10:00:{restarts} ERROR at 0x7f3a{restarts}ffee00", seconds=seconds)
        status = container(waiting("CrashLoopBackOff", f"back-off {backoff}"), lastState=last, restartCount=restarts)
        texts.add(edge(observe(pod(containers=[status], age=400))).message)
    assert len(texts) == 1
