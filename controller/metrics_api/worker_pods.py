"""The pods that have metrics, out of what the watches have seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from controller.status.live import LiveObject, block, condition, is_going, text
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import UID_LABEL, WORKER_TYPE_LABEL, Role


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


def worker_pods(store: Store) -> Iterator[WorkerPod]:
    """Yield the pods of all services; not those that are over, are going, or belong to a service that is not there."""
    for key, service in list(store.services.items()):
        uid = service["metadata"]["uid"]
        for pod in store.pods(key):
            found = _worker_pod(key, uid, pod)
            if found is not None:
                yield found


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
