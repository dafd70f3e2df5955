"""What live objects tell about a cloud worker that may sleep: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from controller.status.live import LiveObject, condition, is_going, number
from sedna_py.api.child_names import UID_LABEL, WORKER_TYPE_LABEL, Role


def ready_pods(pods: Iterable[LiveObject], uid: str) -> list[str]:
    """Return the uids of the cloud worker's pods that serve; `uid` is the service's."""
    return [
        str(pod["metadata"]["uid"])
        for pod in pods
        if _is_clouds(pod["metadata"].get("labels") or {}, uid)
        and not is_going(pod)
        and condition(pod, "Ready").get("status") == "True"
    ]


def settled(deployment: LiveObject, ready: Sequence[str]) -> bool:
    """Tell whether the Deployment has exactly the one pod that it asks for: no roll-out, and none that comes or goes."""
    counts = {name: number(deployment, "status", name) for name in ("replicas", "updatedReplicas", "readyReplicas")}
    seen = number(deployment, "status", "observedGeneration") == number(deployment, "metadata", "generation")
    return seen and set(counts.values()) == {1} and len(ready) == 1


def wanted_by_autoscaler(hpa: LiveObject | None) -> int | None:
    """Return how many pods the autoscaler asks for, None where it has not said so yet."""
    return number(hpa, "status", "desiredReplicas") or None if hpa is not None else None


def _is_clouds(labels: Mapping[str, str], uid: str) -> bool:
    return labels.get(UID_LABEL) == uid and labels.get(WORKER_TYPE_LABEL) == Role.CLOUD
