"""The pods that have metrics, out of what the watches have seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from controller.status.live import LiveObject, block, condition, is_going, text
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import UID_LABEL, WORKER_TYPE_LABEL, Role

_ROLES: Final = frozenset(Role)


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


class PodReader:
    """Reads each version of a pod once: there are hundreds, and they are asked for every second."""

    def __init__(self) -> None:
        self._known: dict[
            int, tuple[LiveObject, WorkerPod | None]
        ] = {}  # by the identity of the document, which is kept

    def pods(self, store: Store) -> list[WorkerPod]:
        """Return the pods of all services; not those that are over, are going, or belong to a service that is not there."""
        found: dict[int, tuple[LiveObject, WorkerPod | None]] = {}
        for key, service in store.services.items():
            for pod in store.pods(key):
                known = self._known.get(id(pod))
                found[id(pod)] = known or (pod, _worker_pod(key, pod))
                read = found[id(pod)][1]
                if read is not None and read.labels.get(UID_LABEL) != service["metadata"]["uid"]:
                    found[id(pod)] = (pod, None)
        self._known = found
        return [read for _, read in found.values() if read is not None]


def _worker_pod(key: ServiceKey, pod: LiveObject) -> WorkerPod | None:
    labels = block(pod, "metadata", "labels")
    kind = labels.get(WORKER_TYPE_LABEL)
    if kind not in _ROLES or is_going(pod):
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
