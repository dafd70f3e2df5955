"""A service on a control plane with a controller, as a test writes it and as people read it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.integration.played_kubelet import PlayedKubelet, WorkerPods
from tests.integration.service_on_cluster import MERGE, Cluster

Object = dict[str, Any]

ROOT = "/apis/sedna.io/v1alpha1/namespaces"
EDGE_NODE, CLOUD_NODE = "edge-1", "cloud-1"
WITHIN_S = 30
LOOK_S = 0.05


def model(name: str, url: str = "/data/model.pb") -> Object:
    head = {"apiVersion": "sedna.io/v1alpha1", "kind": "Model", "metadata": {"name": name}}
    return {**head, "spec": {"url": url, "format": "pb"}}


def worker(container: str, model_name: str, node: str | None, **more: Any) -> Object:
    """Return one side of a service; `spec` replaces fields of its pods' and `container_fields` of its container."""
    one = {"name": container, "image": f"registry.test/{container}:v1", **more.pop("container_fields", {})}
    spec = {"containers": [one], **({"nodeName": node} if node else {}), **more.pop("spec", {})}
    return {"model": {"name": model_name}, "template": {"spec": spec}, **more}


def service(name: str, *, edge: Object | None = None, cloud: Object | None = None) -> Object:
    """Return a service whose workers differ in these fields from the usual ones."""
    mining = {"hardExampleMining": {"name": "IBT"}}
    return {
        "apiVersion": "sedna.io/v1alpha1",
        "kind": "JointInferenceService",
        "metadata": {"name": name},
        "spec": {
            "edgeWorker": {**mining, **worker("little-model", "little", EDGE_NODE, **(edge or {}))},
            "cloudWorker": worker("big-model", "big", CLOUD_NODE, **(cloud or {})),
        },
    }


@dataclass(frozen=True)
class WatchedService:
    """One service; every wait ends with an AssertionError that shows the status."""

    control_plane: ControlPlane
    cluster: Cluster
    kubelet: PlayedKubelet
    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"{ROOT}/{self.namespace}/jointinferenceservices/{self.name}"

    @property
    def edge(self) -> WorkerPods:
        return WorkerPods(self.namespace, self.name, "edge")

    @property
    def cloud(self) -> WorkerPods:
        return WorkerPods(self.namespace, self.name, "cloud")

    def create(self, document: Object) -> None:
        self.cluster.post(f"{ROOT}/{self.namespace}/jointinferenceservices", document)

    def add_models(self, *names: str) -> None:
        for name in names or ("little", "big"):
            self.cluster.post(f"{ROOT}/{self.namespace}/models", model(name))

    def patch(self, spec: Object) -> None:
        """Change fields of the spec; those with None go."""
        reply = self.cluster.patch(self.path, MERGE, {"spec": spec})
        assert reply.is_success, reply.text

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.control_plane.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def document(self) -> Object:
        return self.cluster.get(self.path)

    def status(self) -> Object:
        return self.document().get("status", {})

    def condition(self, kind: str) -> Object:
        return condition_of(self.status(), kind)

    def events(self) -> list[Object]:
        """Return the Events on the service, in the order in which they were made."""
        selector = f"involvedObject.kind=JointInferenceService,involvedObject.name={self.name}"
        path = f"/api/v1/namespaces/{self.namespace}/events?fieldSelector={selector}"
        return sorted(self.cluster.get(path)["items"], key=lambda event: int(event["metadata"]["resourceVersion"]))

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.events()]

    def wait(self, holds: Callable[[Object], bool], what: str, seconds: float = WITHIN_S) -> float:
        """Wait until the status is like this, and return how long it took."""
        begun = time.monotonic()
        while True:
            status = self.status()
            took = time.monotonic() - begun
            if holds(status):
                return took
            assert took < seconds, f"{what}: not within {seconds:g} s; the status is {json.dumps(status, indent=1)}"
            time.sleep(LOOK_S)

    def wait_for(self, kind: str, reason: str, *words: str, seconds: float = WITHIN_S) -> float:
        """Wait until a condition has this reason and these words, and return how long it took."""

        def holds(status: Object) -> bool:
            found = condition_of(status, kind)
            return found.get("reason") == reason and all(word in found.get("message", "") for word in words)

        return self.wait(holds, f"{kind} {reason} {words}", seconds)

    def wait_for_phase(self, phase: str, seconds: float = WITHIN_S) -> float:
        return self.wait(lambda status: status.get("phase") == phase, f"phase {phase}", seconds)

    def wait_for_pods(self, pods: WorkerPods, count: int, seconds: float = WITHIN_S) -> list[Object]:
        deadline = time.monotonic() + seconds
        while len(found := self.kubelet.pods(pods)) != count:
            assert time.monotonic() < deadline, f"{count} pods of {pods}: not within {seconds:g} s, there are {found}"
            time.sleep(LOOK_S)
        return found


def condition_of(status: Object, kind: str) -> Object:
    """Return a condition of the status, {} where there is none."""
    return next((item for item in status.get("conditions", ()) if item["type"] == kind), {})
