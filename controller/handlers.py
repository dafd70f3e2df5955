"""What the operator framework tells us: every event of a watched object becomes a store entry and keys in the queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import kopf

from controller.children import ChildKey, ChildKind
from controller.store import LiveChild, Object, ServiceKey, Store
from sedna_py.api.child_names import NAME_LABEL

GROUP: Final = "sedna.io"
VERSION: Final = "v1alpha1"
CHILDREN: Final = {kind.plural: kind for kind in ChildKind}


class Intake:
    """Takes events in: into the store, and the services that they concern to `enqueue`."""

    def __init__(self, store: Store, enqueue: Callable[[ServiceKey], None]) -> None:
        self._store = store
        self._enqueue = enqueue

    def service(self, kind: str | None, document: Object) -> None:
        """Take in an event of a JointInferenceService."""
        key = ServiceKey(document["metadata"]["namespace"], document["metadata"]["name"])
        before = self._store.services.get(key)
        if kind == "DELETED":
            if before is not None and before["metadata"]["uid"] == document["metadata"]["uid"]:
                self._store.drop_service(key)
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
        if kind == "DELETED":
            self._store.models.pop(place, None)
        else:
            self._store.models[place] = document
        if kind == "DELETED" or before is None or _identity(before) != _identity(document):
            self._enqueue_users("Model", *place)

    def secret(self, place: tuple[str, str]) -> None:
        """Take in a change of a Secret."""
        self._enqueue_users("Secret", *place)

    def child(self, resource: ChildKind, kind: str | None, document: Object) -> None:
        """Take in an event of a Deployment, Service or HorizontalPodAutoscaler."""
        metadata = document["metadata"]
        if kind == "DELETED":
            dropped = self._store.drop_child(
                metadata["namespace"], ChildKey(resource, metadata["name"]), metadata.get("uid")
            )
            self._enqueue_owner(dropped)
        else:
            self._enqueue_owner(self._store.put_child(resource, document))

    def pod(self, kind: str | None, document: Object) -> None:
        """Take in an event of a pod."""
        self._enqueue(self._store.drop_pod(document) if kind == "DELETED" else self._store.put_pod(document))

    def node(self, kind: str | None, document: Object) -> None:
        """Take in an event of a node; only its readiness matters."""
        name = document["metadata"]["name"]
        before = self._store.nodes.get(name)
        if kind == "DELETED":
            self._store.nodes.pop(name, None)
            after = None
        else:
            after = self._store.nodes[name] = _node_facts(document)
        if before != after:
            self._enqueue_users("Node", "", name)

    def _enqueue_owner(self, child: LiveChild | None) -> None:
        key = self._store.service_of_uid(child.owner_uid) if child is not None else None
        if key is not None:
            self._enqueue(key)

    def _enqueue_users(self, kind: str, namespace: str, name: str) -> None:
        for key in sorted(self._store.users(kind, namespace, name)):
            self._enqueue(key)


def make_registry(intake: Intake, *, nodes: bool, started: Callable[[], None]) -> kopf.OperatorRegistry:
    """Return the handlers; `nodes` False leaves the cluster's nodes alone (no permission in a namespaced installation).

    `started` is called when the framework has set itself up, signal handlers included.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def say_started(**_: Any) -> None:
        started()

    @kopf.on.login(registry=registry)
    async def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, "jointinferenceservices", registry=registry)
    async def see_service(event: Any, **_: Any) -> None:
        intake.service(event["type"], dict(event["object"]))

    @kopf.on.event(GROUP, VERSION, "models", registry=registry)
    async def see_model(event: Any, **_: Any) -> None:
        intake.model(event["type"], dict(event["object"]))

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def see_pod(event: Any, **_: Any) -> None:
        intake.pod(event["type"], dict(event["object"]))

    for resource in ChildKind:
        _watch_children(registry, intake, resource)
    if nodes:

        @kopf.on.event("", "v1", "nodes", registry=registry)
        async def see_node(event: Any, **_: Any) -> None:
            intake.node(event["type"], dict(event["object"]))

    return registry


def _watch_children(registry: kopf.OperatorRegistry, intake: Intake, resource: ChildKind) -> None:
    group, _, version = resource.api_version.rpartition("/")

    @kopf.on.event(group, version, resource.plural, registry=registry, id=f"see_{resource.plural}")
    async def see_child(event: Any, **_: Any) -> None:
        intake.child(resource, event["type"], dict(event["object"]))


def make_settings(*, server_timeout_s: int = 300) -> kopf.OperatorSettings:
    """Return the framework's settings: it writes nothing by itself, and it waits for the API server as long as it takes."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.server_timeout = server_timeout_s
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 500
    settings.networking.connect_timeout = 10.0
    settings.networking.request_timeout = 60.0
    settings.networking.error_backoffs = _Forever()
    # Only objects with our label, chosen by the server: other people's pods are many and none of our business.
    for group, version, plural in [("", "v1", "pods"), *(_address(kind) for kind in ChildKind)]:
        settings.watching.label_selectors[group, version, plural] = NAME_LABEL
    return settings


class _Forever:
    """Back-offs without an end: an operator that gives up on the API server only comes back worse."""

    def __iter__(self) -> Any:
        yield from (0.5, 1, 2, 3)
        while True:
            yield 5.0


def _address(kind: ChildKind) -> tuple[str, str, str]:
    group, _, version = kind.api_version.rpartition("/")
    return group, version, kind.plural


def _identity(document: Mapping[str, Any]) -> tuple[Any, ...]:
    metadata = document["metadata"]
    return metadata.get("uid"), metadata.get("generation"), metadata.get("deletionTimestamp")


def _node_facts(document: Object) -> Object:
    conditions = [
        {key: item.get(key) for key in ("type", "status", "reason", "message", "lastTransitionTime")}
        for item in document.get("status", {}).get("conditions") or ()
        if item.get("type") == "Ready"
    ]
    metadata = {key: document["metadata"].get(key) for key in ("name", "uid", "labels", "deletionTimestamp")}
    return {
        "metadata": metadata,
        "spec": {"taints": document.get("spec", {}).get("taints")},
        "status": {"conditions": conditions},
    }
