"""A service on a control plane with a controller, as a test writes it and as people read it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sedna_py.api.child_names import NAME_LABEL
from sedna_py.metrics import names
from tests.cluster.control_plane import ControlPlane
from tests.integration.controller_process import ControllerProcess
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


def metric_sum(controller: ControllerProcess, start: str) -> float:
    """Return the sum of the controller's samples whose lines begin like this."""
    lines = [line for line in controller.metrics().splitlines() if line.startswith(start)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@dataclass(frozen=True)
class PlayedSite:
    """A control plane with a controller and nodes, on which a test starts services."""

    control_plane: ControlPlane
    cluster: Cluster
    kubelet: PlayedKubelet
    controller: ControllerProcess

    def service(self, name: str = "helmet") -> WatchedService:
        """Return a service to be, with its Models, in a namespace of its own."""
        found = self.in_namespace(self.control_plane.create_namespace(), name)
        found.add_models()
        return found

    def in_namespace(self, namespace: str, name: str = "helmet") -> WatchedService:
        """Return a service to be, without its Models."""
        return WatchedService(self.control_plane, self.cluster, self.kubelet, namespace, name)

    def node(self, name: str) -> Object:
        return self.cluster.get(f"/api/v1/nodes/{name}")

    def refusals(self) -> float:
        """Return how many applications of a Deployment the API server has refused."""
        start = f'{names.CONTROLLER_API_REQUESTS}{{code="4xx",resource="deployments",verb="PATCH"}}'
        return metric_sum(self.controller, start)

    def requeues(self) -> float:
        """Return how many passes had to be tried again."""
        return metric_sum(self.controller, f"{names.CONTROLLER_REQUEUES} ")

    def reconciles(self) -> float:
        """Return how many passes over a service there were."""
        return metric_sum(self.controller, f"{names.CONTROLLER_RECONCILES}{{")

    def running(self, name: str = "helmet", **workers: Object) -> WatchedService:
        """Return a service that runs."""
        found = self.service(name)
        found.create(service(name, **workers))
        found.wait_for_phase("Running")
        return found


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

    def patch_model(self, name: str, spec: Object) -> None:
        path = f"{ROOT}/{self.namespace}/models/{name}"
        reply = self.cluster.patch(path, MERGE, {"spec": spec})
        assert reply.is_success, reply.text

    def children(self) -> list[tuple[str, str, int]]:
        """Return kind, name and generation of the service's children."""
        label = f"{NAME_LABEL}={self.name}"
        said = self.kubectl("get", "deployments,services,hpa", "-l", label, "-o", "json")
        items = json.loads(said)["items"]
        return [(one["kind"], one["metadata"]["name"], one["metadata"].get("generation", 1)) for one in items]

    def patch(self, spec: Object) -> None:
        """Change fields of the spec; those with None go."""
        reply = self.cluster.patch(self.path, MERGE, {"spec": spec})
        assert reply.is_success, reply.text

    def edit_container(self, role: str, **fields: Any) -> None:
        """Change fields of the first container of a worker."""
        template = self.document()["spec"][f"{role}Worker"]["template"]
        template["spec"]["containers"][0].update(fields)
        self.patch({f"{role}Worker": {"template": template}})

    def label(self, name: str, value: str) -> None:
        """Put a label on the service, which means nothing to the controller."""
        reply = self.cluster.patch(self.path, MERGE, {"metadata": {"labels": {name: value}}})
        assert reply.is_success, reply.text

    def annotate_pod(self, pod: str, name: str, value: str) -> None:
        """Put an annotation on a pod, which means nothing to the controller but comes as an event."""
        body = {"metadata": {"annotations": {name: value}}}
        reply = self.cluster.patch(f"/api/v1/namespaces/{self.namespace}/pods/{pod}", MERGE, body)
        assert reply.is_success, reply.text

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.control_plane.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def document(self) -> Object:
        return self.cluster.get(self.path)

    def status(self) -> Object:
        return self.document().get("status", {})

    def condition(self, kind: str) -> Object:
        return condition_of(self.status(), kind)

    def version(self) -> str:
        version: str = self.document()["metadata"]["resourceVersion"]
        return version

    def history(self, since: str) -> list[Object]:
        """Return every status that was written after that version, the newest last."""
        now = self.version()
        query = {"watch": "true", "fieldSelector": f"metadata.name={self.name}", "resourceVersion": since}
        found = [] if now == since else self._watched(query, until=now)
        return [document.get("status", {}) for document in found]

    def _watched(self, query: dict[str, str], until: str) -> list[Object]:
        found: list[Object] = []
        path = f"{ROOT}/{self.namespace}/jointinferenceservices"
        with self.cluster.http.stream("GET", path, params=query) as reply:
            for line in reply.iter_lines():
                found.append(json.loads(line)["object"])
                if found[-1]["metadata"]["resourceVersion"] == until:
                    break
        return found

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

    def wait_for_event(self, reason: str, *, count: int = 1, seconds: float = WITHIN_S) -> Object:
        """Wait until there are so many Events with this reason, and return the newest."""
        deadline = time.monotonic() + seconds
        while len(found := [event for event in self.events() if event["reason"] == reason]) < count:
            assert time.monotonic() < deadline, f"no event {reason} within {seconds:g} s: {self.reasons()}"
            time.sleep(LOOK_S)
        return found[-1]

    def wait_for_phase(self, phase: str, seconds: float = WITHIN_S) -> float:
        return self.wait(lambda status: status.get("phase") == phase, f"phase {phase}", seconds)

    def wait_until_played(self, pods: WorkerPods, seconds: float = WITHIN_S) -> None:
        """Wait until the kubelet has written what was to be played last."""
        deadline = time.monotonic() + seconds
        while not self.kubelet.has_played(pods):
            assert time.monotonic() < deadline, f"the pods of {pods} are not as they shall be"
            time.sleep(LOOK_S)

    def wait_for_pods_at_least(self, pods: WorkerPods, count: int, seconds: float = WITHIN_S) -> None:
        deadline = time.monotonic() + seconds
        while len(self.kubelet.pods(pods)) < count:
            assert time.monotonic() < deadline, f"{count} pods of {pods}: not within {seconds:g} s"
            time.sleep(LOOK_S)

    def wait_for_pods(self, pods: WorkerPods, count: int, seconds: float = WITHIN_S) -> list[Object]:
        deadline = time.monotonic() + seconds
        while len(found := self.kubelet.pods(pods)) != count:
            assert time.monotonic() < deadline, f"{count} pods of {pods}: not within {seconds:g} s, there are {found}"
            time.sleep(LOOK_S)
        return found


def condition_of(status: Object, kind: str) -> Object:
    """Return a condition of the status, {} where there is none."""
    return next((item for item in status.get("conditions", ()) if item["type"] == kind), {})
