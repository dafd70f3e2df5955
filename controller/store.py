"""What the watches have seen: the controller reads objects from here and never asks for one that it watches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from controller.children import ChildKey, ChildKind
from controller.cluster import FIELD_MANAGER
from controller.foreign_fields import foreign_fields, ownership
from controller.freshness import Deletions, is_older
from sedna_py.api.child_names import NAME_LABEL, UID_LABEL

Object = dict[str, Any]
P = TypeVar("P", bound=Hashable)


class ServiceKey(NamedTuple):
    """Which service."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class LiveChild:
    """A child as it is. `ownership` changes whenever somebody else changes a field of ours; `foreign` is set when
    somebody added fields that are not theirs to add.
    """

    manifest: Object  # without managedFields, which are larger than the rest
    owner_uid: str | None
    ownership: bytes | None
    foreign: bool

    @property
    def uid(self) -> str:
        """Identity of this very object."""
        return str(self.manifest["metadata"].get("uid", ""))

    @property
    def service_uid(self) -> str | None:
        """The uid of a service in the labels, where it stays when the owner is taken out."""
        uid: str | None = (self.manifest["metadata"].get("labels") or {}).get(UID_LABEL)
        return uid

    @property
    def version(self) -> str:
        """Resource version."""
        return str(self.manifest["metadata"].get("resourceVersion", ""))

    @property
    def deleting(self) -> bool:
        """Whether its deletion was asked for."""
        return bool(self.manifest["metadata"].get("deletionTimestamp"))


def live_child(manifest: Mapping[str, Any]) -> LiveChild:
    """Return what is to be remembered of a child."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    return LiveChild(
        manifest={**manifest, "metadata": metadata},
        owner_uid=_controller_uid(metadata),
        ownership=ownership(manifest, FIELD_MANAGER),
        foreign=bool(foreign_fields(manifest, FIELD_MANAGER)),
    )


class Store:
    """Objects by what they are looked up by."""

    def __init__(self) -> None:
        self.services: dict[ServiceKey, Object] = {}
        self.models: dict[tuple[str, str], Object] = {}
        self.secrets: dict[tuple[str, str], dict[str, str]] = {}
        self.nodes: dict[str, Object] = {}
        self._deleted = Deletions()
        self._children: dict[tuple[str, ChildKey], LiveChild] = {}
        self._children_of: dict[str, set[tuple[str, ChildKey]]] = defaultdict(set)  # by the service's uid
        self._pods: dict[ServiceKey, dict[str, Object]] = defaultdict(dict)  # by pod name
        self._service_of_uid: dict[str, ServiceKey] = {}
        self._service_of_pod: dict[tuple[str, str], ServiceKey] = {}
        self._users: dict[tuple[str, str, str], set[ServiceKey]] = defaultdict(set)  # of a Model, Secret or Node
        self._used: dict[ServiceKey, set[tuple[str, str, str]]] = {}

    # services

    def put_service(self, document: Object) -> ServiceKey:
        """Remember a service, unless a newer version of it is known."""
        key = ServiceKey(document["metadata"]["namespace"], document["metadata"]["name"])
        known = self.services.get(key)
        if not self._is_stale(key, document, known):
            self.services[key] = _without_managed_fields(document)
            self._service_of_uid[document["metadata"]["uid"]] = key
            if known is not None and known["metadata"]["uid"] != document["metadata"]["uid"]:
                self._service_of_uid.pop(known["metadata"]["uid"], None)
        return key

    def service_of_uid(self, uid: str | None) -> ServiceKey | None:
        """Return the service that has this uid, or None."""
        return self._service_of_uid.get(uid or "")

    def drop_service(self, document: Object) -> bool:
        """Forget a service and what it used; False where another one has its name by now, or none had it."""
        key = ServiceKey(document["metadata"]["namespace"], document["metadata"]["name"])
        self._deleted.add(key, document)
        known = self.services.get(key)
        if known is None or known["metadata"]["uid"] != document["metadata"]["uid"]:
            return False
        del self.services[key]
        self._service_of_uid.pop(known["metadata"]["uid"], None)
        self.uses(key, set())
        return True

    def uses(self, key: ServiceKey, things: set[tuple[str, str, str]]) -> None:
        """Say which (kind, namespace, name) a service depends on; a change of one of them concerns it."""
        before = self._used.pop(key, set())
        for thing in before - things:
            self._users[thing].discard(key)
            if not self._users[thing]:
                del self._users[thing]
        for thing in things - before:
            self._users[thing].add(key)
        if things:
            self._used[key] = things

    def users(self, kind: str, namespace: str, name: str) -> set[ServiceKey]:
        """Return the services that depend on a thing."""
        return set(self._users.get((kind, namespace, name), ()))

    def used(self, kind: str) -> set[tuple[str, str]]:
        """Return the (namespace, name) of every thing of a kind that a service depends on."""
        return {(namespace, name) for what, namespace, name in self._users if what == kind}

    # models and nodes

    def put_model(self, document: Object) -> bool:
        """Remember a Model; False where something newer is known."""
        return self._put("Model", self.models, _place(document), _without_managed_fields(document))

    def drop_model(self, document: Object) -> bool:
        """Forget a Model; False where another one has its name by now, or none had it."""
        return self._drop("Model", self.models, _place(document), document)

    def put_node(self, document: Object) -> bool:
        """Remember a node, or as much of it as is handed in; False where something newer is known."""
        return self._put("Node", self.nodes, document["metadata"]["name"], document)

    def drop_node(self, document: Object) -> bool:
        """Forget a node; False where another one has its name by now, or none had it."""
        return self._drop("Node", self.nodes, document["metadata"]["name"], document)

    # children

    def put_child(self, kind: ChildKind, document: Mapping[str, Any]) -> LiveChild | None:
        """Remember a child and return what is remembered: answers and events overtake each other, so the newest stays."""
        metadata = document["metadata"]
        place = (metadata["namespace"], ChildKey(kind, metadata["name"]))
        known = self._children.get(place)
        if self._is_stale(place, document, known.manifest if known is not None else None):
            return known
        child = live_child(document)
        self._unlink(place)
        self._children[place] = child
        if child.owner_uid:
            self._children_of[child.owner_uid].add(place)
        return child

    def drop_child(self, kind: ChildKind, document: Mapping[str, Any]) -> LiveChild | None:
        """Forget a child and return what was known of it; None where another one has its name by now, or none had it."""
        metadata = document["metadata"]
        place = (metadata["namespace"], ChildKey(kind, metadata["name"]))
        self._deleted.add(place, document)
        known = self._children.get(place)
        # Older: it had lost the label that the watch looks for, and an answer has told since that it has it again.
        if known is None or known.uid != metadata.get("uid") or is_older(document, known.manifest):
            return None
        self._unlink(place)
        return self._children.pop(place)

    def child(self, namespace: str, key: ChildKey) -> LiveChild | None:
        """Return a child, whoever owns it, or None."""
        return self._children.get((namespace, key))

    def owned_child(self, namespace: str, key: ChildKey, uid: str) -> Object | None:
        """Return a child as it is, None where there is none or it is not this service's."""
        live = self.child(namespace, key)
        return live.manifest if live is not None and live.owner_uid == uid else None

    def children_of(self, uid: str) -> Iterator[tuple[ChildKey, LiveChild]]:
        """Yield the children of a service."""
        for place in sorted(self._children_of.get(uid, ()), key=lambda item: (item[1].kind.kind, item[1].name)):
            yield place[1], self._children[place]

    def children(self, kind: ChildKind) -> list[tuple[str, ChildKey]]:
        """Return the namespaces and keys of all known children of a kind."""
        return [place for place in self._children if place[1].kind is kind]

    def _unlink(self, place: tuple[str, ChildKey]) -> None:
        known = self._children.get(place)
        if known is not None and known.owner_uid in self._children_of:
            places = self._children_of[known.owner_uid]
            places.discard(place)
            if not places:
                del self._children_of[known.owner_uid]

    # pods

    def put_pod(self, document: Object) -> ServiceKey:
        """Remember a pod of a service."""
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        known = self._pods.get(self._service_of_pod.get((namespace, name), _NOBODY), {}).get(name)
        if self._is_stale(("pods", namespace, name), document, known):
            return service_in_labels(known or document)
        self._remove_pod(document)  # its labels may name another service now
        key = service_in_labels(document)
        self._pods[key][name] = _without_managed_fields(document)
        self._service_of_pod[key.namespace, name] = key
        return key

    def drop_pod(self, document: Object) -> ServiceKey:
        """Forget a pod."""
        self._deleted.add(("pods", document["metadata"]["namespace"], document["metadata"]["name"]), document)
        return self._remove_pod(document)

    def _remove_pod(self, document: Object) -> ServiceKey:
        metadata = document["metadata"]
        key = self._service_of_pod.pop((metadata["namespace"], metadata["name"]), None) or service_in_labels(document)
        self._pods.get(key, {}).pop(metadata["name"], None)
        if key in self._pods and not self._pods[key]:
            del self._pods[key]
        return key

    def pods(self, key: ServiceKey) -> list[Object]:
        """Return the pods of a service, by name."""
        return [pod for _, pod in sorted(self._pods.get(key, {}).items())]

    def all_pods(self) -> list[Object]:
        """Return all pods."""
        return [pod for pods in self._pods.values() for pod in pods.values()]

    def service_of_pod(self, namespace: str, name: str) -> ServiceKey | None:
        """Return the service that a pod belongs to, or None for an unknown pod."""
        return self._service_of_pod.get((namespace, name))

    def _put(self, kind: str, table: dict[P, Object], place: P, document: Object) -> bool:
        if self._is_stale((kind, place), document, table.get(place)):
            return False
        table[place] = document
        return True

    def _drop(self, kind: str, table: dict[P, Object], place: P, document: Object) -> bool:
        self._deleted.add((kind, place), document)
        known = table.get(place)
        if known is None or is_older(document, known):
            return False
        del table[place]
        return True

    def _is_stale(self, place: tuple[Any, ...], document: Mapping[str, Any], known: Mapping[str, Any] | None) -> bool:
        return is_older(document, known) if known is not None else self._deleted.cover(place, document)


def service_in_labels(document: Mapping[str, Any]) -> ServiceKey:
    """Return the service that an object names in its labels."""
    metadata = document["metadata"]
    return ServiceKey(metadata["namespace"], (metadata.get("labels") or {}).get(NAME_LABEL, ""))


_NOBODY = ServiceKey("", "")


def _place(document: Mapping[str, Any]) -> tuple[str, str]:
    return document["metadata"]["namespace"], document["metadata"]["name"]


def _without_managed_fields(document: Object) -> Object:
    metadata = {name: value for name, value in document["metadata"].items() if name != "managedFields"}
    return {**document, "metadata": metadata}


def _controller_uid(metadata: Mapping[str, Any]) -> str | None:
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller") and reference.get("kind") == "JointInferenceService":
            return str(reference.get("uid"))
    return None
