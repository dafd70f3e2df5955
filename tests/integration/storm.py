"""A storm of seeded changes to services and Models, and what has to be there when it is over."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from controller.children import Child, ChildKind
from controller.desired_state import Placement, Surroundings, desired_state
from sedna_py.api.child_names import NAME_LABEL
from sedna_py.api.findings import parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model import Model
from tests.integration.service_on_cluster import JSON_PATCH, MERGE, Cluster
from tests.refused_documents import CPU, changed, model, service

Object = dict[str, Any]

WORKERS: Final = ("edgeWorker", "cloudWorker")
LABEL: Final = "storm.example/number"
MODELS: Final = tuple(f"m{number}" for number in range(4))
KEPT: Final = "kept"  # a Model that no storm touches
_VERSIONS: Final = {"pods": "v1", **{kind.plural: kind.api_version for kind in ChildKind}}
CONVERGE_S: Final = 30.0
GONE: Final = httpx.codes.NOT_FOUND


@dataclass(frozen=True)
class Scene:
    """One namespace, as the admin sees it."""

    cluster: Cluster
    namespace: str

    def path(self, plural: str, name: str = "") -> str:
        version = _VERSIONS.get(plural, "sedna.io/v1alpha1")
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def items(self, plural: str, selector: str = "") -> list[Object]:
        """Return the objects of a resource, by name."""
        answer = self.cluster.get(self.path(plural) + (f"?labelSelector={selector}" if selector else ""))
        common = {"apiVersion": answer["apiVersion"], "kind": answer["kind"].removesuffix("List")}
        return [{**common, **item} for item in answer["items"]]  # which are in order of their names

    def create(self, plural: str, document: Object) -> bool:
        """Create it; False when one of its name is there (still)."""
        reply = self.cluster.http.post(self.path(plural), json=document)
        assert reply.is_success or reply.status_code == httpx.codes.CONFLICT, reply.text
        return reply.is_success

    def patch(self, plural: str, name: str, body: Any, kind: str = MERGE) -> bool:
        """Patch it; False when it is not there."""
        reply = self.cluster.patch(self.path(plural, name), kind, body, fieldManager="storm")
        assert reply.is_success or reply.status_code == GONE, reply.text
        return reply.is_success

    def delete(self, plural: str, name: str, policy: str = "Background") -> None:
        """Delete it, if it is there."""
        body = {"propagationPolicy": policy}
        reply = self.cluster.http.request("DELETE", self.path(plural, name), json=body)
        assert reply.is_success or reply.status_code == GONE, reply.text

    def children(self) -> dict[tuple[ChildKind, str], Object]:
        """Return every child of every service, by kind and name."""
        return {
            (kind, item["metadata"]["name"]): item for kind in ChildKind for item in self.items(kind.plural, NAME_LABEL)
        }


def storm_service(name: str, models: tuple[str, str] = (KEPT, KEPT)) -> Object:
    """Return a service whose edge and cloud workers use these Models."""
    document = service(name)
    for worker, used in zip(WORKERS, models, strict=True):
        document = changed(document, f"spec.{worker}.model", {"name": used})
    return document


@dataclass
class Storm:
    """Changes services and Models at random; everything that is chosen comes from `dice`."""

    scene: Scene
    dice: random.Random
    most: int = 15
    deletes: bool = True
    """False spares services: for half a minute after a CRD is new, the garbage collector does not know its owners."""
    done: list[str] = field(default_factory=list)
    _number: int = 0

    def begin(self, services: int = 0) -> None:
        """Create the Models but for the last, and some services."""
        for name in (*MODELS[:-1], KEPT):
            self.scene.create("models", model(f"/models/{name}/first.xml", name))
        for number in range(services):
            self.scene.create("jointinferenceservices", storm_service(f"s{number}"))

    def blow(self, changes: int) -> None:
        """Make so many changes, one after the other."""
        for _ in range(changes):
            self._number += 1
            changes_and_weights = [pair for pair in _CHANGES if self.deletes or pair[0] not in _DELETES]
            (what,) = self.dice.choices(*zip(*changes_and_weights, strict=True))
            what(self)

    def calm_down(self) -> None:
        """Create the Models that are missing: without them a worker stays as it was, whatever that is."""
        for name in MODELS:
            self.scene.create("models", model(f"/models/{name}/last.xml", name))

    def _name(self) -> str:
        return f"s{self.dice.randrange(self.most)}"

    def _say(self, what: str) -> None:
        self.done.append(f"{self._number}: {what}")

    def _document(self, name: str) -> Object:
        document = storm_service(name, (self.dice.choice(MODELS), self.dice.choice(MODELS)))
        for worker in WORKERS:
            if self.dice.random() < 0.5:
                document = changed(document, f"spec.{worker}.hpa", self._hpa())
        return document

    def _hpa(self) -> Object:
        return {"minReplicas": 1, "maxReplicas": self.dice.randint(2, 9), "metrics": [copy.deepcopy(CPU)]}

    def create(self) -> None:
        name = self._name()
        self._say(f"create {name}")
        self.scene.create("jointinferenceservices", self._document(name))

    def change_image(self) -> None:
        name, worker = self._name(), self.dice.choice(WORKERS)
        self._say(f"image of {name} {worker}")
        containers = [{"name": "c", "image": f"i:{self._number}"}]
        self._patch(name, worker, {"template": {"spec": {"containers": containers}}})

    def change_hpa(self) -> None:
        name, worker = self._name(), self.dice.choice(WORKERS)
        hpa = self._hpa() if self.dice.random() < 0.5 else None
        self._say(f"hpa of {name} {worker}: {hpa and hpa['maxReplicas']}")
        self._patch(name, worker, {"hpa": hpa})

    def change_parameters(self) -> None:
        name = self._name()
        self._say(f"parameters of {name}")
        value = f"0.{self._number % 100:02}"
        parameters = [{"key": "threshold_img", "value": value}, {"key": "threshold_box", "value": value}]
        self._patch(name, "edgeWorker", {"hardExampleMining": {"name": "IBT", "parameters": parameters}})

    def change_model_of_worker(self) -> None:
        name, worker, used = self._name(), self.dice.choice(WORKERS), self.dice.choice(MODELS)
        self._say(f"{name} {worker} uses {used}")
        self._patch(name, worker, {"model": {"name": used}})

    def _patch(self, name: str, worker: str, body: Object) -> None:
        self.scene.patch("jointinferenceservices", name, {"spec": {worker: body}})

    def label(self) -> None:
        name = self._name()
        self._say(f"label {name}")
        self.scene.patch("jointinferenceservices", name, {"metadata": {"labels": {LABEL: str(self._number)}}})

    def delete(self) -> None:
        name, policy = self._name(), self.dice.choice(("Background", "Foreground"))
        self._say(f"delete {name} {policy}")
        self.scene.delete("jointinferenceservices", name, policy)

    def replace(self) -> None:
        name = self._name()
        self._say(f"delete and create {name}")
        self.scene.delete("jointinferenceservices", name)
        self.scene.create("jointinferenceservices", self._document(name))

    def change_model(self) -> None:
        name = self.dice.choice(MODELS)
        url = f"/models/{name}/{self._number}.xml"
        self._say(f"model {name} at {url}")
        if not self.scene.patch("models", name, {"spec": {"url": url}}):
            self.scene.create("models", model(url, name))

    def delete_model(self) -> None:
        name = self.dice.choice(MODELS)
        self._say(f"delete model {name}")
        self.scene.delete("models", name)

    def delete_child(self) -> None:
        child = self._child()
        if child is not None:
            kind, name = child
            self._say(f"delete {kind.kind} {name}")
            self.scene.delete(kind.plural, name)

    def edit_child(self) -> None:
        child = self._child()
        if child is not None:
            kind, name = child
            self._say(f"edit {kind.kind} {name}")
            body = [{"op": "replace", "path": path, "value": value} for path, value in _EDITS[kind].items()]
            self.scene.patch(kind.plural, name, body, JSON_PATCH)

    def _child(self) -> tuple[ChildKind, str] | None:
        kind = self.dice.choice(list(ChildKind))
        found = self.scene.items(kind.plural, NAME_LABEL)
        return (kind, self.dice.choice(found)["metadata"]["name"]) if found else None


_EDITS: Final[Mapping[ChildKind, Mapping[str, Any]]] = {
    ChildKind.DEPLOYMENT: {"/spec/template/spec/containers/0/image": "edited"},
    ChildKind.SERVICE: {"/spec/ports/0/port": 5999},
    ChildKind.HPA: {"/spec/maxReplicas": 10},
}

_CHANGES: Final[tuple[tuple[Callable[[Storm], None], int], ...]] = (
    (Storm.create, 6),
    (Storm.change_image, 3),
    (Storm.change_hpa, 4),
    (Storm.change_parameters, 2),
    (Storm.change_model_of_worker, 2),
    (Storm.label, 1),
    (Storm.delete, 2),
    (Storm.replace, 2),
    (Storm.change_model, 2),
    (Storm.delete_model, 1),
    (Storm.delete_child, 2),
    (Storm.edit_child, 1),
)

_DELETES: Final = (Storm.delete, Storm.replace)


def differences_that_stay(scene: Scene, seconds: float = CONVERGE_S) -> list[str]:
    """Return the differences that are there at the end of the time for them to go."""
    deadline = time.monotonic() + seconds
    while left := differences(scene):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    return left


def differences(scene: Scene) -> list[str]:
    """Return in what the namespace is not as its services ask, children of services that are gone included."""
    found = list(_differences(scene))
    return found[:20] + ([f"and {len(found) - 20} more"] if len(found) > 20 else [])


def _differences(scene: Scene) -> Iterator[str]:
    models = {item["metadata"]["name"]: _parsed_model(item) for item in scene.items("models")}
    live = scene.children()
    wanted: set[tuple[ChildKind, str]] = set()
    for document in scene.items("jointinferenceservices"):
        name = document["metadata"]["name"]
        if document["metadata"].get("deletionTimestamp"):
            yield f"{name} is being deleted"
            continue
        parsed, findings = parse_document(document)
        assert isinstance(parsed, JointInferenceService), findings
        state = desired_state(parsed, Surroundings(models), Placement())
        yield from (f"{name} {blocked.role}: {blocked.message}" for blocked in state.blocked)
        for child in state.children:
            wanted.add((child.kind, child.name))
            yield from _difference(child, live.get((child.kind, child.name)))
        status = document.get("status", {})
        if status.get("observedGeneration") != document["metadata"]["generation"]:
            yield f"{name}: status of generation {status.get('observedGeneration')}"
    yield from (f"{kind.kind} {name} is left over" for kind, name in live.keys() - wanted)


def _difference(child: Child, live: Object | None) -> Iterator[str]:
    if live is None:
        yield f"{child.key} is missing"
        return
    if live["metadata"].get("deletionTimestamp"):
        yield f"{child.key} is being deleted"
    for path in _not_in(child.manifest, live):
        yield f"{child.key} differs in {path}"


def _not_in(wanted: Any, live: Any, at: str = "") -> Iterator[str]:
    """Yield where something wanted is not so; what the server or a controller added to a mapping is no difference."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key, value in wanted.items():
            yield from _not_in(value, live.get(key), f"{at}.{key}")
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for index, (one, other) in enumerate(zip(wanted, live, strict=True)):
            yield from _not_in(one, other, f"{at}[{index}]")
    elif wanted != live:
        yield f"{at}: {live!r} for {wanted!r}"


def _parsed_model(document: Object) -> Model:
    parsed, findings = parse_document(document)
    assert isinstance(parsed, Model), findings
    return parsed
