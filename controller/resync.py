"""Compare what the watches have told with full lists: a watch that had to begin anew does not tell what was deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.children import ChildKind
from controller.cluster import Cluster
from controller.handlers import GROUP, VERSION, Intake
from controller.store import Object, Store
from sedna_py.api.child_names import NAME_LABEL

_Place = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class _Listed:
    """One resource: how it is listed, what is known of it, and who takes its events in."""

    api_version: str
    plural: str
    selector: str
    known: Callable[[], Mapping[Any, Object]]
    take: Callable[[str | None, Object], None]


async def resync(cluster: Cluster, store: Store, intake: Intake, namespaces: Sequence[str]) -> None:
    """List everything once and take in the differences; nodes only where all namespaces are served. Raises ClusterError."""
    resources = _resources(store, intake)
    if not namespaces:
        resources.insert(
            0, _Listed("v1", "nodes", "", lambda: {("", n): d for n, d in store.nodes.items()}, intake.node)
        )
    for resource in resources:
        before = dict(resource.known())
        listed: dict[_Place, Object] = {}
        for namespace in namespaces or (None,):
            objects = await cluster.list_objects(resource.api_version, resource.plural, namespace, resource.selector)
            listed.update({_place(document): document for document in objects})
        for document in listed.values():
            resource.take("MODIFIED", document)
        for place in _gone(before, resource.known(), listed):
            resource.take("DELETED", before[place])


def _gone(before: Mapping[_Place, Object], now: Mapping[_Place, Object], listed: Iterable[_Place]) -> list[_Place]:
    """Return what is not in the list and was not seen again while it was being made."""
    present = set(listed)
    return [place for place, document in before.items() if place not in present and now.get(place) is document]


def _resources(store: Store, intake: Intake) -> list[_Listed]:
    ours = f"{GROUP}/{VERSION}"
    children = [_children(store, intake, kind) for kind in ChildKind]
    return [
        _Listed(ours, "models", "", lambda: dict(store.models), intake.model),
        *children,
        _Listed("v1", "pods", NAME_LABEL, lambda: {_place(pod): pod for pod in store.all_pods()}, intake.pod),
        _Listed(ours, "jointinferenceservices", "", lambda: dict(store.services), intake.service),
    ]


def _children(store: Store, intake: Intake, kind: ChildKind) -> _Listed:
    def known() -> dict[_Place, Object]:
        found = ((place, store.child(*place)) for place in store.children(kind))
        return {(namespace, key.name): live.manifest for (namespace, key), live in found if live is not None}

    def take(event: str | None, document: Object) -> None:
        intake.child(kind, event, document)

    return _Listed(kind.api_version, kind.plural, NAME_LABEL, known, take)


def _place(document: Mapping[str, Any]) -> _Place:
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]
