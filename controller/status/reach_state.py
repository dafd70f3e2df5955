"""Whether the edge's way to the cloud worker works, where it may well not: at a node of the edge.

Such a node reaches no ClusterIP, no name of the cluster's DNS and no pod of the cloud unless EdgeMesh is there, which nothing in
the API tells. What does tell is a report of an edge pod, as it comes through the cloud worker.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.nodes import home_of, is_edge
from controller.reasons import Reason
from controller.status.clock import Clock
from controller.status.live import LiveObject, block, condition, is_going, latest, moment, text, variable
from controller.status.observed import Observed
from controller.status.placement_causes import place
from controller.status.wording import one_line
from controller.status.worker_state import Truth
from sedna_py.api.child_names import Role
from sedna_py.api.exposure import HostPort
from sedna_py.api.joint_inference_service import JointInferenceService

_PATIENCE_S: Final = 90.0
_PERIODS: Final = 3
_PERIOD_VARIABLE: Final = "LC_PERIOD"


@dataclass(frozen=True)
class ReachState:
    """`status` says whether something of the edge has arrived at the cloud."""

    status: Truth
    reason: Reason
    message: str


def reach_condition(
    service: JointInferenceService, observed: Observed, reported: Collection[str], clock: Clock
) -> ReachState | None:
    """Return how the way is, None where no pod of the edge worker is on a node of the edge, as far as is known.

    `reported` has the names of the pods of which a report came through the cloud worker.
    """
    pods = [
        pod for pod in observed.pods.get(Role.EDGE, ()) if _lives(pod) and _is_at_edge(block(pod, "spec"), observed)
    ]
    if not (pods or _is_at_edge(service.spec.edge_worker.template.spec.placing, observed)):
        return None
    if any(text(pod, "metadata", "name") in reported for pod in pods):
        return ReachState("True", Reason.CLOUD_REACHED, "reports of the edge come through the cloud worker")
    ready = _ready_since(observed.pods.get(Role.CLOUD, ()))
    if ready is None:
        return ReachState("Unknown", Reason.CLOUD_NOT_READY, "no pod of the cloud worker is ready")
    serving = [pod for pod in pods if _ready_since([pod])]
    if not serving:
        return ReachState("Unknown", Reason.STARTING, "no pod of the edge worker is ready")
    if not clock.passed(latest((ready, _ready_since(serving))), _patience_s(serving[0])):
        return ReachState("Unknown", Reason.STARTING, "waits for the first report of the edge")
    return ReachState("False", Reason.CLOUD_UNREACHABLE, _words(service, serving[0]))


def _lives(pod: LiveObject) -> bool:
    return not is_going(pod) and text(pod, "status", "phase") not in {"Failed", "Succeeded"}


def _is_at_edge(spec: LiveObject, observed: Observed) -> bool:
    if not observed.nodes_known:
        return False
    node = observed.nodes.get(home_of(spec, observed.nodes))
    return node is not None and is_edge(node)


def _ready_since(pods: Sequence[LiveObject]) -> datetime | None:
    """Return since when one of the pods is ready, None where none is."""
    ready = [condition(pod, "Ready") for pod in pods if _lives(pod)]
    times = (moment(item, "lastTransitionTime") for item in ready if item.get("status") == "True")
    return min((found for found in times if found is not None), default=None)


def _patience_s(pod: LiveObject) -> float:
    """Return how long a first report may take: some periods, where the template has another one than the default."""
    written = variable(block(pod, "spec"), _PERIOD_VARIABLE)
    period_s = float(written) if written.isascii() and written.isdecimal() and len(written) < 6 else 0.0
    return max(_PATIENCE_S, _PERIODS * period_s)


def _words(service: JointInferenceService, pod: LiveObject) -> str:
    spec = block(pod, "spec")
    host, port = variable(spec, "BIG_MODEL_IP"), variable(spec, "BIG_MODEL_PORT")
    target = HostPort(host, int(port) if port.isascii() and port.isdecimal() else None)
    said = f"nothing has come from {place(pod)} through {one_line(target.text())} yet"
    exposure = service.spec.cloud_worker.exposure
    if exposure.type == "ClusterIP" or target.is_cluster_name:
        return (
            f"{said}; if it answers frames, write spec.cloudWorker.expose: {{type: NodePort}}, as without EdgeMesh a node of"
            " the edge reaches no ClusterIP, no name of the cluster's DNS and no pod of the cloud"
        )
    return (
        f"{said}; if it answers frames, see whether this address answers the node (GET /sedna), and correct"
        " spec.cloudWorker.expose if not"
    )
