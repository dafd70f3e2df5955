"""Why a pod has no node that would run it."""

from __future__ import annotations

import re
from typing import Final

from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.live import LiveObject, condition, items, moment, rfc3339, text
from controller.status.observed import Observed
from controller.status.taints import untolerated_taints
from controller.status.wording import one_line

_SCHEDULER_SILENT_S: Final = 20.0
# What the scheduler adds of pods that could make room and of devices.
_AFTERTHOUGHTS: Final = re.compile(r"\.?\s+(?:preemption:|no new claims to deallocate)")
_REJECTION_HINTS: Final = {
    "NodePorts": "another pod on the node has the host port; remove hostPort or that pod",
    "NodeAffinity": "the node lacks the labels that the template asks for",
}


def placement_cause(pod: LiveObject, observed: Observed, clock: Clock) -> Cause | None:
    """Return what is wrong between the pod and its node, None where they are at one."""
    node = text(pod, "spec", "nodeName")
    if not node:
        return _scheduling_cause(pod, observed, clock)
    if not observed.nodes_known:
        return None
    if node not in observed.nodes:
        return Cause(
            Reason.NODE_MISSING,
            f"pod {pod_name(pod)} is meant for node {one_line(node)}, which does not exist; write the nodeName of one"
            " that does",
        )
    return _node_cause(pod, node, observed.nodes[node])


def rejection_cause(pod: LiveObject) -> Cause:
    """Return why a pod of phase Failed was given up by its node."""
    reason = text(pod, "status", "reason")
    disruption = condition(pod, "DisruptionTarget")
    said = one_line(text(pod, "status", "message") or text(disruption, "message"))
    if reason == "Evicted" or disruption.get("status") == "True":
        return Cause(Reason.EVICTED, f"{place(pod)} was evicted{_after_colon(said)}", lasting=False)
    why = one_line(reason) or "no reason given"
    hint = f"; {_REJECTION_HINTS[reason]}" if reason in _REJECTION_HINTS else ""
    return Cause(Reason.POD_REJECTED, f"{place(pod)} was rejected by the node ({why}){_after_colon(said)}{hint}")


def pod_name(pod: LiveObject) -> str:
    """Return the pod's name, fit for a message."""
    return one_line(text(pod, "metadata", "name"))


def place(pod: LiveObject) -> str:
    """Return `pod <name> on node <name>`."""
    node = one_line(text(pod, "spec", "nodeName"))
    return f"pod {pod_name(pod)} on node {node}" if node else f"pod {pod_name(pod)}"


def _scheduling_cause(pod: LiveObject, observed: Observed, clock: Clock) -> Cause | None:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        gates = ", ".join(one_line(text(gate, "name")) for gate in items(pod, "spec", "schedulingGates"))
        said = one_line(_AFTERTHOUGHTS.split(text(scheduled, "message"), maxsplit=1)[0].rstrip("."))
        why = f"scheduling gates {gates}" if gates else said or one_line(text(scheduled, "reason"))
        taints = untolerated_taints(pod, observed.nodes) if "untolerated taint(s)" in said else ""
        if taints:
            why = f"{why}; a toleration in the template lets it run in spite of taint {taints}"
        return Cause(Reason.UNSCHEDULABLE, f"no node takes pod {pod_name(pod)}{_after_colon(why)}")
    if scheduled or not clock.passed(moment(pod, "metadata", "creationTimestamp"), _SCHEDULER_SILENT_S):
        return None
    scheduler = one_line(text(pod, "spec", "schedulerName")) or "default-scheduler"
    return Cause(Reason.UNSCHEDULABLE, f"pod {pod_name(pod)} has no node: scheduler {scheduler} has not looked at it")


def _node_cause(pod: LiveObject, name: str, node: LiveObject) -> Cause | None:
    ready = condition(node, "Ready")
    if not ready or ready.get("status") == "True":
        return None
    since = moment(ready, "lastTransitionTime")
    said = one_line(text(ready, "message").rstrip("."))
    return Cause(
        Reason.NODE_NOT_READY,
        f"node {one_line(name)} is not ready{f' since {rfc3339(since)}' if since else ''}"
        f"{f' ({said})' if said else ''}; pod {pod_name(pod)} keeps its last known state",
    )


def _after_colon(said: str) -> str:
    return f": {said}" if said else ""
