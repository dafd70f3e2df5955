"""Services on the test control plane whose children a controller under test makes, and waiting for them."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from controller.children import ChildKey, ChildKind
from sedna_py.api.child_names import NAME_LABEL, Role, cloud_pods_name, cloud_service_name, deployment_name, hpa_name
from tests.cluster.control_plane import ControlPlane
from tests.integration.normalise import normalise
from tests.integration.replica import Replica, replica, seconds_until
from tests.integration.service_on_cluster import JSON_PATCH, MERGE, ROOT, Cluster
from tests.integration.storm import Scene

Object = dict[str, Any]

UPSTREAM: Final = ROOT / "tests" / "data" / "upstream"
SERVICES: Final = "jointinferenceservices"
SOON_S: Final = 10.0
"""How long a child may be different from what is wanted."""

_BAD_LINE: Final = re.compile(r"\b(ERROR|CRITICAL|Traceback)\b")
_POLL_S: Final = 0.02


@dataclass(frozen=True)
class Site(Scene):
    """A namespace that a controller serves."""

    control_plane: ControlPlane

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.control_plane.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def get(self, plural: str, name: str) -> Object | None:
        """Return an object, or None."""
        reply = self.cluster.http.get(self.path(plural, name))
        if reply.status_code == httpx.codes.NOT_FOUND:
            return None
        assert reply.is_success, reply.text
        found: Object = reply.json()
        return found

    def service(self, name: str, change: Mapping[str, Any] | None = None, *, models: bool = True) -> Service:
        """Create upstream's example with autoscaling under this name, with Models of its own, and fields of `spec` changed."""
        *wanted, document = example_documents("helmet_detection_hpa", name)
        for model in wanted if models else ():
            self.create("models", model)
        document["spec"] = merged(document["spec"], change or {})
        assert self.create(SERVICES, document), f"there is a service {name} already"
        return Service(self, name)

    def settled_service(self, name: str, change: Mapping[str, Any] | None = None) -> Service:
        """Create it and wait until it has its children and a status."""
        made = self.service(name, change)
        made.settle()
        return made


@dataclass(frozen=True)
class Service:
    """One service of a site; every part of it is read from the server anew."""

    site: Site
    name: str

    def document(self) -> Object:
        found = self.site.get(SERVICES, self.name)
        assert found is not None, f"service {self.name} is gone"
        return found

    def status(self) -> Object:
        found: Object = self.document().get("status", {})
        return found

    def condition(self, kind: str) -> Object:
        """Return a condition of the status, {} when it is not there."""
        return next((found for found in self.status().get("conditions", ()) if found["type"] == kind), {})

    def edit(self, spec: Mapping[str, Any]) -> None:
        """Change fields of the spec by a merge patch."""
        assert self.site.patch(SERVICES, self.name, {"spec": spec})

    def child_keys(self) -> list[ChildKey]:
        """Return the six children of a service with both autoscalers."""
        roles = (Role.CLOUD, Role.EDGE)
        return [
            *(ChildKey(ChildKind.DEPLOYMENT, deployment_name(self.name, role)) for role in roles),
            ChildKey(ChildKind.SERVICE, cloud_service_name(self.name)),
            ChildKey(ChildKind.SERVICE, cloud_pods_name(self.name) or ""),
            *(ChildKey(ChildKind.HPA, hpa_name(self.name, role)) for role in roles),
        ]

    def key(self, kind: ChildKind, role: Role = Role.CLOUD) -> ChildKey:
        """Return one of them."""
        return next(
            key for key in self.child_keys() if key.kind is kind and (kind is ChildKind.SERVICE or role in key.name)
        )

    def child(self, key: ChildKey) -> Object | None:
        """Return a child that is not being deleted, or None."""
        found = self.site.get(key.kind.plural, key.name)
        return None if found is None or found["metadata"].get("deletionTimestamp") else found

    def live(self, key: ChildKey) -> Object:
        """Return a child, which has to be there."""
        found = self.child(key)
        assert found is not None, f"{key} is gone"
        return found

    def children(self) -> dict[ChildKey, Object]:
        """Return the children that are there."""
        return {key: found for key in self.child_keys() if (found := self.child(key)) is not None}

    def specs(self) -> dict[ChildKey, Object]:
        """Return the children without what differs from one moment to the next."""
        return {key: normalise(live) for key, live in self.children().items()}

    def versions(self) -> dict[str, str]:
        """Return the resource versions of the children that are there, and of the service."""
        versions = {str(key): live["metadata"]["resourceVersion"] for key, live in self.children().items()}
        return {**versions, SERVICES: self.document()["metadata"]["resourceVersion"]}

    def settle(self) -> dict[ChildKey, Object]:
        """Wait until all children are there and the status speaks of this generation; return the children."""

        def lacks() -> str:
            document = self.document()
            missing = sorted(str(key) for key in set(self.wanted_keys(document)) - set(self.children()))
            said = document.get("status", {}).get("observedGeneration")
            return ", ".join(missing) or ("" if said == document["metadata"]["generation"] else "the status")

        eventually(lacks, f"service {self.name} as it should be", 30)
        return self.children()

    def wanted_keys(self, document: Object) -> Iterator[ChildKey]:
        """Yield the children that a service as it is written has."""
        for key in self.child_keys():
            side = "cloudWorker" if Role.CLOUD in key.name.removeprefix(f"hpa-{self.name}") else "edgeWorker"
            if key.kind is not ChildKind.HPA or document["spec"][side].get("hpa") is not None:
                yield key

    def patch(self, key: ChildKey, body: Any, kind: str = MERGE) -> Object:
        """Change a child as somebody else and return what it is right after that."""
        reply = self.site.cluster.patch(self.site.path(key.kind.plural, key.name), kind, body, fieldManager="somebody")
        assert reply.is_success, reply.text
        found: Object = reply.json()
        return found

    def json_patch(self, key: ChildKey, *operations: Object) -> Object:
        """Change a child by a JSON patch."""
        return self.patch(key, list(operations), JSON_PATCH)

    def delete(self, policy: str = "Background") -> None:
        """Delete the service."""
        self.site.delete(SERVICES, self.name, policy)

    def traces(self) -> list[str]:
        """Return what there is of it and of its children, Pods and ReplicaSets included."""
        found = [str(key) for key in self.child_keys() if self.site.get(key.kind.plural, key.name) is not None]
        found += [SERVICES] if self.site.get(SERVICES, self.name) is not None else []
        selector = f"{NAME_LABEL}={self.name}"
        for group, plural in (("apis/apps/v1", "replicasets"), ("api/v1", "pods")):
            listed = self.site.cluster.get(
                f"/{group}/namespaces/{self.site.namespace}/{plural}?labelSelector={selector}"
            )
            found += [f"{plural} {item['metadata']['name']}" for item in listed["items"]]
        return found


def example_documents(name: str, service: str | None = None) -> list[Object]:
    """Return one of upstream's files for no node in particular: its Models, then the service.

    With the name of a service, it and its Models are called after it and belong to no namespace yet.
    """
    text = (UPSTREAM / f"{name}.yaml").read_text(encoding="utf-8")
    if service is not None:
        text = text.replace("helmet-detection-inference-example", service)
        text = text.replace("helmet-detection-inference-", f"{service}-")
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        document["metadata"].pop("namespace", None)
    for side in ("edgeWorker", "cloudWorker"):
        # A pod that is bound to a node that does not exist is deleted and made again, for ever.
        documents[-1]["spec"][side]["template"]["spec"].pop("nodeName")
    return documents


def merged(document: Mapping[str, Any], change: Mapping[str, Any]) -> Object:
    """Return the document with a merge patch applied: None removes a field."""
    result: Object = copy.deepcopy(dict(document))
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            before = result.get(name)
            result[name] = (
                merged(before if isinstance(before, dict) else {}, value) if isinstance(value, dict) else value
            )
    return result


def eventually(lacks: Callable[[], str], what: str, seconds: float = SOON_S) -> float:
    """Wait until nothing is lacking and return the seconds it took; the AssertionError says what is."""
    begun = time.monotonic()
    while missing := lacks():
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds:g} s: {missing}"
        time.sleep(_POLL_S)
    return time.monotonic() - begun


def difference(wanted: Mapping[Any, Any], live: Mapping[Any, Any]) -> str:
    """Return in one line in which fields two documents differ, "" when in none."""
    return "; ".join(_differences(wanted, live, ""))[:2000]


def _differences(wanted: Any, live: Any, at: str) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key in sorted({*wanted, *live}, key=str):
            if key not in live:
                yield f"{at}.{key} is missing"
            elif key not in wanted:
                yield f"{at}.{key} is too much: {live[key]!r}"
            else:
                yield from _differences(wanted[key], live[key], f"{at}.{key}")
    elif wanted != live:
        yield f"{at} is {json.dumps(live)} and not {json.dumps(wanted)}"


def know_our_kinds(control_plane: ControlPlane) -> None:
    """Install the CRDs and wait until both kinds are served: 404 at first, 429 then.

    `kubectl wait` fails while a CRD has no conditions at all.
    """
    control_plane.kubectl("apply", "-f", str(ROOT / "crds"))
    paths = [f"/apis/sedna.io/v1alpha1/{plural}" for plural in (SERVICES, "models")]
    http = Cluster.of(control_plane).http
    with http:
        seconds_until(lambda: all(http.get(path).is_success for path in paths), "our kinds to be served")


@contextmanager
def serving(
    control_plane: ControlPlane, folder: Path, namespaces: str, settings: Mapping[str, str] | None = None
) -> Iterator[Replica]:
    """A controller that serves these namespaces (with commas); no error may be in its log when it has ended."""
    know_our_kinds(control_plane)
    # Full comparisons would hide what the watches miss.
    environment = {"WATCH_NAMESPACES": namespaces, "LEADER_ELECTION": "false", "RESYNC_S": "86400", **(settings or {})}
    with replica("controller", folder, control_plane.kubeconfig, environment) as running:
        start(running)
        yield running
        running.stop()
        assert bad_lines(running.log()) == []


def start(running: Replica) -> None:
    """Start a controller, again if it has run before, and wait until it has seen everything once."""
    before = running.times_served()
    running.start()
    seconds_until(lambda: running.times_served() > before or running.has_ended(), "a controller that serves", 60)
    assert not running.has_ended(), running.log_tail()


def bad_lines(log: str) -> list[str]:
    """Return the lines that speak of errors."""
    return [line for line in log.splitlines() if _BAD_LINE.search(line)]


@contextmanager
def site_of(control_plane: ControlPlane, namespace: str) -> Iterator[Site]:
    """The namespace as a site; its connections are closed at the end."""
    cluster = Cluster.of(control_plane)
    try:
        yield Site(cluster, namespace, control_plane)
    finally:
        cluster.http.close()
