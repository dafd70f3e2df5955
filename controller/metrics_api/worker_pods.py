"""The pods that have metrics, and what their autoscalers want, out of what the watches have seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.children import ChildKey, ChildKind
from controller.metrics_api.quantity import from_quantity
from controller.status.live import LiveObject, block, condition, is_going, items, text
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import UID_LABEL, WORKER_TYPE_LABEL, Role, hpa_name


class WorkerKey(NamedTuple):
    """One side of one service."""

    service: ServiceKey
    role: Role


@dataclass(frozen=True, slots=True)
class WorkerPod:
    """One pod of a worker that runs and shall stay; `address` is "" where it has none yet."""

    uid: str
    name: str
    worker: WorkerKey
    address: str
    ready: bool
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Wish:
    """What a worker's autoscaler wants of each pod, by metric, and the annotations that say over which windows."""

    targets: Mapping[str, float] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def worker_pods(store: Store) -> Iterator[WorkerPod]:
    """Yield the pods of all services; not those that are over, are going, or belong to a service that is not there."""
    for key, service in list(store.services.items()):
        uid = service["metadata"]["uid"]
        for pod in store.pods(key):
            found = _worker_pod(key, uid, pod)
            if found is not None:
                yield found


def wish(store: Store, worker: WorkerKey) -> Wish:
    """Return what the autoscaler of a worker wants; one that somebody else has made is not known here."""
    key, role = worker
    service = store.services.get(key)
    if service is None:
        return Wish()
    autoscaler = store.owned_child(key.namespace, ChildKey(ChildKind.HPA, hpa_name(key.name, role)), _uid(service))
    annotations = block(service, "metadata", "annotations")
    return Wish(
        targets=dict(_targets(autoscaler or {})),
        annotations={name: value for name, value in annotations.items() if isinstance(value, str)},
    )


def _worker_pod(key: ServiceKey, uid: str, pod: LiveObject) -> WorkerPod | None:
    labels = block(pod, "metadata", "labels")
    kind = labels.get(WORKER_TYPE_LABEL)
    if labels.get(UID_LABEL) != uid or kind not in set(Role) or is_going(pod):
        return None
    if text(pod, "status", "phase") != "Running":
        return None
    return WorkerPod(
        uid=text(pod, "metadata", "uid"),
        name=text(pod, "metadata", "name"),
        worker=WorkerKey(key, Role(kind)),
        address=text(pod, "status", "podIP"),
        ready=condition(pod, "Ready").get("status") == "True",
        labels=labels,
    )


def _targets(autoscaler: LiveObject) -> Iterator[tuple[str, float]]:
    for metric in items(autoscaler, "spec", "metrics"):
        name = text(metric, "pods", "metric", "name")
        try:
            target = from_quantity(text(metric, "pods", "target", "averageValue"))
        except ValueError:
            continue
        if name and target > 0:
            yield name, target


def _uid(document: LiveObject) -> str:
    return text(document, "metadata", "uid")
