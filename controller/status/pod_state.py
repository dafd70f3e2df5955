"""One pod in the terms of its worker: does it serve, and what keeps it from that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controller.reasons import Reason
from controller.status.cause import Cause, most_important
from controller.status.clock import Clock
from controller.status.container_causes import container_cause, containers_of, memory_cause
from controller.status.live import LiveObject, condition, is_going, items, latest, moment, text
from controller.status.observed import Observed
from controller.status.placement_causes import place, placement_cause, rejection_cause
from controller.status.startup_causes import is_silent, is_starting, readiness_cause, start_cause, start_note
from sedna_py.api.child_names import Role

TEMPLATE_HASH_LABEL = "pod-template-hash"
_TELLING_S = 60.0  # a node of KubeEdge told of all its pods within 20 s after its link was back
_NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PodState:
    """What one pod is; `note` is worth a look, `last_ready` what an unreachable node said last.

    `asks_events`: its Events would say more about it than its status does.
    """

    pod: LiveObject
    ready: bool = False
    cause: Cause | None = None
    note: str = ""
    last_ready: bool = False
    asks_events: bool = False

    @property
    def ended(self) -> bool:
        """Tell whether the pod is over: it never runs again and only its record is left."""
        return text(self.pod, "status", "phase") in {"Failed", "Succeeded"}

    @property
    def going(self) -> bool:
        """Tell whether its deletion was asked for."""
        return is_going(self.pod)

    @property
    def template(self) -> str:
        """Return what tells the pods of one ReplicaSet from those of another."""
        return text(self.pod, "metadata", "labels", TEMPLATE_HASH_LABEL)

    @property
    def created(self) -> datetime:
        """Return when it was made."""
        return moment(self.pod, "metadata", "creationTimestamp") or _NO_TIME

    @property
    def ended_at(self) -> datetime:
        """Return when its conditions changed last: for a pod that is over, about when that was."""
        changes = (moment(item, "lastTransitionTime") for item in items(self.pod, "status", "conditions"))
        return latest(changes) or self.created


def pod_states(role: Role, observed: Observed, clock: Clock) -> list[PodState]:
    """Return the worker's pods, the oldest first."""
    states = [pod_state(pod, observed, clock) for pod in observed.pods.get(role, ())]
    return sorted(states, key=lambda state: (state.created, text(state.pod, "metadata", "name")))


def pod_state(pod: LiveObject, observed: Observed, clock: Clock) -> PodState:
    """Return what the pod is."""
    phase = text(pod, "status", "phase")
    if phase in {"Failed", "Succeeded"}:
        return PodState(pod, cause=rejection_cause(pod) if phase == "Failed" else None)
    placed = placement_cause(pod, observed, clock)
    if placed is not None:
        last_ready = placed.reason is Reason.NODE_NOT_READY and _containers_ready(pod)
        return PodState(pod, cause=placed, last_ready=last_ready)
    failing = _container_cause(pod, clock)
    if failing is not None:
        return PodState(pod, cause=failing)
    if condition(pod, "Ready").get("status") == "True":
        return PodState(pod, ready=True, cause=_past_cause(pod, clock))
    if _is_not_told_yet(pod, observed, clock):
        return PodState(pod, note=f"{place(pod)}: the node is back and has not told of the pod yet")
    return _unready(pod, observed.pod_events.get(text(pod, "metadata", "uid"), ()), clock)


def _unready(pod: LiveObject, events: Sequence[LiveObject], clock: Clock) -> PodState:
    if not text(pod, "spec", "nodeName"):
        return PodState(pod)
    if is_starting(pod):
        cause = start_cause(pod, events, clock)
        note = "" if cause else start_note(pod, clock)
        return PodState(pod, cause=cause, note=note, asks_events=is_silent(pod, clock))
    loading = next((view for view in containers_of(pod) if view.init and view.running), None)
    if loading is not None:
        return PodState(pod, note=f"{place(pod)}: {loading.label} runs")
    cause = readiness_cause(pod, events, clock)
    return PodState(pod, cause=cause, asks_events=cause is not None)


def _container_cause(pod: LiveObject, clock: Clock) -> Cause | None:
    return _of_pod(pod, (container_cause(view, clock) for view in containers_of(pod)))


def _past_cause(pod: LiveObject, clock: Clock) -> Cause | None:
    """Return why a container of a pod that serves was ended not long ago, if that is likely to come again."""
    return _of_pod(pod, (memory_cause(view, clock) for view in containers_of(pod)))


def _of_pod(pod: LiveObject, causes: Iterable[Cause | None]) -> Cause | None:
    found = most_important(cause for cause in causes if cause is not None)
    return Cause(found[0].reason, f"{place(pod)}: {found[0].message}", found[0].lasting) if found else None


def _is_not_told_yet(pod: LiveObject, observed: Observed, clock: Clock) -> bool:
    """Tell whether the pod is unready only because its node was away: the cluster called it so, not the node."""
    node = observed.nodes.get(text(pod, "spec", "nodeName"), {})
    back = moment(condition(node, "Ready"), "lastTransitionTime")
    if back is None or items(pod, "spec", "readinessGates") or not _containers_ready(pod):
        return False
    return not clock.passed(back, _TELLING_S)


def _containers_ready(pod: LiveObject) -> bool:
    statuses = items(pod, "status", "containerStatuses")
    return bool(statuses) and all(status.get("ready") is True for status in statuses)
