"""What the operator framework tells us: every event of a watched object becomes a store entry and keys in the queue."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import kopf

from controller.children import ChildKey, ChildKind
from controller.nodes import ADDRESS_TYPES
from controller.store import LiveChild, Object, ServiceKey, Store, service_in_labels
from sedna_py.api.annotations import read_annotations
from sedna_py.api.child_names import NAME_LABEL

GROUP: Final = "sedna.io"
VERSION: Final = "v1alpha1"
OURS: Final = frozenset({"jointinferenceservices", "models"})
ANY_NODE: Final = "*"
"""In place of a node's name: every node concerns the service."""

CHILDREN: Final = {kind.plural: kind for kind in ChildKind}
_MOST_ADDRESSES: Final = 16


class Intake:
    """Takes events in: into the store, and the services that they concern to `enqueue`.

    `interrupted` is called when events may be missing: a watch that had to begin anew does not tell what was deleted.
    """

    def __init__(
        self,
        store: Store,
        enqueue: Callable[[ServiceKey], None],
        interrupted: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._enqueue = enqueue
        self.interrupted = interrupted

    def watched(self, event: Mapping[str, Any], take: Callable[[str | None, Object], None]) -> None:
        """Take in an event as the framework hands it over; one without a type is from the list that a watch begins with."""
        if event["type"] is None:
            self.interrupted()
        take(event["type"], dict(event["object"]))

    def service(self, kind: str | None, document: Object) -> None:
        """Take in an event of a JointInferenceService."""
        key = ServiceKey(document["metadata"]["namespace"], document["metadata"]["name"])
        before = self._store.services.get(key)
        if kind == "DELETED":
            if self._store.drop_service(document):
                self._enqueue(key)
            return
        self._store.put_service(document)
        # Our own status writes and other people's labels come back as events too; they change nothing that is wanted.
        if before is None or _identity(before) != _identity(document):
            self._enqueue(key)

    def model(self, kind: str | None, document: Object) -> None:
        """Take in an event of a Model."""
        place = (document["metadata"]["namespace"], document["metadata"]["name"])
        before = self._store.models.get(place)
        news = self._store.drop_model(document) if kind == "DELETED" else self._store.put_model(document)
        if news and (kind == "DELETED" or before is None or _identity(before) != _identity(document)):
            self._enqueue_users("Model", *place)

    def secret(self, place: tuple[str, str]) -> None:
        """Take in a change of a Secret."""
        self._enqueue_users("Secret", *place)

    def child(self, resource: ChildKind, kind: str | None, document: Object) -> None:
        """Take in an event of a Deployment, Service or HorizontalPodAutoscaler."""
        metadata = document["metadata"]
        key = ChildKey(resource, metadata["name"])
        before = self._store.child(metadata["namespace"], key)  # whose it was, where the event takes the owner away
        store = self._store
        after = store.drop_child(resource, document) if kind == "DELETED" else store.put_child(resource, document)
        self._enqueue_owner(before, document)
        if before is not after:
            self._enqueue_owner(after, document)

    def pod(self, kind: str | None, document: Object) -> None:
        """Take in an event of a pod."""
        self._enqueue(self._store.drop_pod(document) if kind == "DELETED" else self._store.put_pod(document))

    def node(self, kind: str | None, document: Object) -> None:
        """Take in an event of a node; only its readiness, its labels and its addresses matter."""
        name = document["metadata"]["name"]
        before = self._store.nodes.get(name)
        facts = _node_facts(document)
        news = self._store.drop_node(facts) if kind == "DELETED" else self._store.put_node(facts)
        if news and (kind == "DELETED" or before is None or _no_version(before) != _no_version(facts)):
            self._enqueue_users("Node", "", name)
            self._enqueue_users("Node", "", ANY_NODE)

    def _enqueue_owner(self, child: LiveChild | None, document: Object) -> None:
        """Enqueue the owner; where there is none (any more), the service that may wait for the object's name."""
        owner = self._store.service_of_uid(child.owner_uid) if child is not None else None
        key = owner or service_in_labels(document)
        if key in self._store.services:
            self._enqueue(key)

    def _enqueue_users(self, kind: str, namespace: str, name: str) -> None:
        for key in sorted(self._store.users(kind, namespace, name)):
            self._enqueue(key)


def make_registry(
    intake: Intake, *, nodes: bool, log_in: Callable[[], Awaitable[kopf.ConnectionInfo]]
) -> kopf.OperatorRegistry:
    """Return the handlers; `nodes` False leaves the cluster's nodes alone (no permission in a namespaced installation)."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def connection(**_: Any) -> kopf.ConnectionInfo:
        return await log_in()

    @kopf.on.event(GROUP, VERSION, "jointinferenceservices", registry=registry)
    async def see_service(event: Any, **_: Any) -> None:
        intake.watched(event, intake.service)

    @kopf.on.event(GROUP, VERSION, "models", registry=registry)
    async def see_model(event: Any, **_: Any) -> None:
        intake.watched(event, intake.model)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def see_pod(event: Any, **_: Any) -> None:
        intake.watched(event, intake.pod)

    for resource in ChildKind:
        _watch_children(registry, intake, resource)
    if nodes:

        @kopf.on.event("", "v1", "nodes", registry=registry)
        async def see_node(event: Any, **_: Any) -> None:
            intake.watched(event, intake.node)

    return registry


def _watch_children(registry: kopf.OperatorRegistry, intake: Intake, resource: ChildKind) -> None:
    group, _, version = resource.api_version.rpartition("/")

    @kopf.on.event(group, version, resource.plural, registry=registry, id=f"see_{resource.plural}")
    async def see_child(event: Any, **_: Any) -> None:
        intake.watched(event, partial(intake.child, resource))


def make_settings(*, server_timeout_s: int = 300, failed: Callable[[], None] = lambda: None) -> kopf.OperatorSettings:
    """Return the framework's settings: it writes nothing by itself, and it waits for the API server as long as it takes.

    `failed` is called after each of its requests that failed and is made again.
    """
    settings = kopf.OperatorSettings()
    # It would follow CRDs, miss those that are announced before they are served, and never look again. We begin anew.
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = _NoDiff()
    settings.watching.server_timeout = server_timeout_s
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 500
    settings.networking.connect_timeout = 10.0
    settings.networking.request_timeout = 60.0
    settings.networking.error_backoffs = _Forever(failed)
    # Only objects with our label, chosen by the server: other people's pods are many and none of our business.
    for group, version, plural in [("", "v1", "pods"), *(_address(kind) for kind in ChildKind)]:
        settings.watching.label_selectors[group, version, plural] = NAME_LABEL
    return settings


class _NoDiff(kopf.DiffBaseStorage):
    """Spare the copy of each object that the framework would compare with the one before: we compare generations."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return None


class _Forever:
    """Back-offs without an end: an operator that gives up on the API server only comes back worse."""

    def __init__(self, failed: Callable[[], None]) -> None:
        self._failed = failed

    def __iter__(self) -> Iterator[float]:
        yield 0.5  # asked for before the first attempt already
        for seconds in itertools.chain((1.0, 2.0, 3.0), itertools.repeat(5.0)):
            self._failed()
            yield seconds


def _address(kind: ChildKind) -> tuple[str, str, str]:
    group, _, version = kind.api_version.rpartition("/")
    return group, version, kind.plural


def _identity(document: Mapping[str, Any]) -> tuple[Any, ...]:
    metadata = document["metadata"]
    return (
        metadata.get("uid"),
        metadata.get("generation"),
        metadata.get("deletionTimestamp"),
        read_annotations(metadata),
    )


def _node_facts(document: Object) -> Object:
    conditions = [
        {key: item.get(key) for key in ("type", "status", "reason", "message", "lastTransitionTime")}
        for item in document.get("status", {}).get("conditions") or ()
        if item.get("type") == "Ready"
    ]
    addresses = [
        {key: item.get(key) for key in ("type", "address")}
        for item in document.get("status", {}).get("addresses") or ()
        if item.get("type") in ADDRESS_TYPES
    ]
    kept = ("name", "uid", "resourceVersion", "labels", "deletionTimestamp")
    metadata = {key: document["metadata"].get(key) for key in kept}
    return {
        "metadata": metadata,
        "spec": {"taints": document.get("spec", {}).get("taints")},
        "status": {"conditions": conditions, "addresses": addresses[:_MOST_ADDRESSES]},
    }


def _no_version(facts: Object) -> Object:
    # A node's heartbeat changes nothing but the version.
    return {**facts, "metadata": {**facts["metadata"], "resourceVersion": None}}
