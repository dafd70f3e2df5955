"""Nodes that are only played: their objects and heartbeats, and the statuses and Events that a kubelet would write.

No pod runs. A test says how the pods of a worker shall be; everything else (ReplicaSets, garbage collection, taints,
autoscalers) is done by the real controllers, which take these statuses for true.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

from sedna_py.api.child_names import NAME_LABEL, WORKER_TYPE_LABEL
from tests.cluster.control_plane import ControlPlane
from tests.integration.pod_pictures import Picture, now_text, pod_status, ready
from tests.integration.service_on_cluster import MERGE, Cluster, Object

LOOK_S = 0.1
HEARTBEAT_S = 5.0  # a node that is silent for 50 s is called unreachable
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# What an API server that has just begun answers until it has read what it serves.
NOT_YET = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)

Play = Callable[[Object], Picture | None]
"""How a pod shall be; None leaves it as it is."""


@dataclass(frozen=True, order=True)
class WorkerPods:
    """The pods of one worker."""

    namespace: str
    service: str
    role: str


class _NotYet(AssertionError):
    """The API server has only just begun: nodes try again, a test that asks for something fails."""


@dataclass
class _Played:
    """What was written of a pod, by which play; `once` holds single pods' own plays."""

    plays: dict[WorkerPods, Play] = field(default_factory=dict)
    once: dict[str, Play] = field(default_factory=dict)  # by the pod's name
    written: dict[str, Play] = field(default_factory=dict)  # by the pod's uid


class PlayedKubelet:
    """The kubelets of all nodes that it has registered; a context manager.

    New pods on its nodes become ready by themselves, pods that are deleted go at once, and nothing happens on a node
    that is away.
    """

    def __init__(self, control_plane: ControlPlane) -> None:
        self._cluster = Cluster.of(control_plane)
        self._nodes: dict[str, bool] = {}  # whether it is there
        self._played = _Played()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="played kubelet", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(20)
        self._cluster.http.close()
        if self._error is not None:
            raise self._error

    def register(self, *names: str) -> None:
        """Make nodes that are ready."""
        for name in names:
            body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
            self._cluster.post("/api/v1/nodes", body)
            self._tolerate(self._cluster.http.post(LEASES, json=_lease(name)), httpx.codes.CONFLICT)
            self.set_ready(name, "True", "KubeletReady", "kubelet is posting ready status")

    def remove(self, name: str) -> None:
        """Take the node's object away."""
        with self._lock:
            self._nodes.pop(name, None)
            self._tolerate(self._cluster.http.delete(f"/api/v1/nodes/{name}"), httpx.codes.NOT_FOUND)

    def fall_silent(self, name: str) -> None:
        """Let the node write nothing any more, until `set_ready`."""
        with self._lock:
            self._nodes.pop(name)

    def set_ready(self, name: str, status: str, reason: str, message: str) -> None:
        """Write the condition Ready of a node; its kubelet works only while that is True."""
        now = now_text()
        condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
        times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
        machine = {"cpu": "8", "memory": "16Gi", "pods": "110"}
        body = {"status": {"conditions": [{**condition, **times}], "capacity": machine, "allocatable": machine}}
        with self._lock:
            self._patch(f"/api/v1/nodes/{name}/status", body)
            self._nodes[name] = status == "True"
            self._played.written.clear()  # a node that comes back writes all it knows once more

    def play(self, pods: WorkerPods, play: Play, *, pod: str | None = None) -> None:
        """Let the worker's pods, or the one of that name, be like this from now on."""
        with self._lock:
            if pod is None:
                self._played.plays[pods] = play
            else:
                self._played.once[pod] = play

    def has_played(self, pods: WorkerPods) -> bool:
        """Return whether all pods of the worker are as they shall be."""
        uids = {pod["metadata"]["uid"] for pod in self.pods(pods)}
        with self._lock:
            play = self._played.plays.get(pods, ready)
            return all(self._played.written.get(uid) is play for uid in uids)

    def pods(self, pods: WorkerPods) -> list[Object]:
        """Return the worker's pods that are there and not going, by age."""
        selector = f"{NAME_LABEL}={pods.service},{WORKER_TYPE_LABEL}={pods.role}"
        reply = self._cluster.get(f"/api/v1/namespaces/{pods.namespace}/pods?labelSelector={selector}")
        found = [pod for pod in reply["items"] if "deletionTimestamp" not in pod["metadata"]]
        return sorted(found, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def leave_unscheduled(self, pod: Object, message: str) -> None:
        """Write what the scheduler writes about a pod that no node takes."""
        said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        body = {"status": {"conditions": [{**said, "lastProbeTime": None, "lastTransitionTime": now_text()}]}}
        self._patch(f"{_path(pod)}/status", body)

    def bind(self, pod: Object, node: str) -> None:
        """Give the pod a node, as the scheduler does."""
        body = {"metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": node}}
        self._tolerate(self._cluster.http.post(f"{_path(pod)}/binding", json=body), httpx.codes.CONFLICT)

    def tell(self, pod: Object, reason: str, message: str) -> None:
        """Write an Event about a pod as its kubelet would."""
        metadata = pod["metadata"]
        now = now_text()
        about = {key: metadata[key] for key in ("name", "namespace", "uid")}
        body = {
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", **about},
            "reason": reason,
            "message": message,
            "type": "Warning",
            "source": {"component": "kubelet", "host": pod["spec"]["nodeName"]},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._cluster.post(f"/api/v1/namespaces/{metadata['namespace']}/events", body)

    def _run(self) -> None:
        beaten = 0.0
        while not self._stop.is_set():
            try:
                with self._lock:
                    if time.monotonic() - beaten > HEARTBEAT_S:
                        self._beat()
                        beaten = time.monotonic()
                    self._look()
            except (httpx.TransportError, _NotYet):
                pass  # a test has stopped the API server, or started it again
            except BaseException as error:  # the test shall see it
                self._error = error
                return
            self._stop.wait(LOOK_S)

    def _beat(self) -> None:
        """Renew the leases of all nodes: what a test writes into the condition of one shall stay."""
        for name in self._nodes:
            self._patch(f"{LEASES}/{name}", {"spec": _lease(name)["spec"]})

    def _look(self) -> None:
        reply = self._cluster.http.get("/api/v1/pods", params={"labelSelector": NAME_LABEL})
        self._tolerate(reply)
        for pod in reply.json()["items"]:
            if self._nodes.get(pod["spec"].get("nodeName", "")):
                self._look_at(pod)

    def _look_at(self, pod: Object) -> None:
        metadata = pod["metadata"]
        path = _path(pod)
        if "deletionTimestamp" in metadata:
            reply = self._cluster.http.delete(path, params={"gracePeriodSeconds": "0"})
            self._tolerate(reply, httpx.codes.NOT_FOUND)
            return
        labels: Mapping[str, str] = metadata["labels"]
        worker = WorkerPods(metadata["namespace"], labels[NAME_LABEL], labels[WORKER_TYPE_LABEL])
        play = self._played.once.get(metadata["name"]) or self._played.plays.get(worker, ready)
        if self._played.written.get(metadata["uid"]) is play or pod["status"].get("phase") == "Failed":
            return
        picture = play(pod)
        if picture is not None:
            self._patch(f"{path}/status", {"status": pod_status(pod, picture)})
        self._played.written[metadata["uid"]] = play

    def _patch(self, path: str, body: Object) -> None:
        self._tolerate(self._cluster.patch(path, MERGE, body), httpx.codes.NOT_FOUND)

    @staticmethod
    def _tolerate(reply: httpx.Response, *codes: int) -> None:
        if reply.status_code in NOT_YET:
            raise _NotYet(reply.text)
        assert reply.is_success or reply.status_code in codes, reply.text


def _lease(node: str) -> Object:
    """Return a heartbeat. One that never had a time is not looked at again by the controller manager."""
    spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now_text(fine=True)}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node}, "spec": spec}


def _path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
