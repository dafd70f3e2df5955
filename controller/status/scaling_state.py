"""One worker's autoscaler: does it scale, and if not, what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.live import LiveObject, condition, is_going, latest, moment, text
from controller.status.metric_words import failure_words, missing_metric_words
from controller.status.observed import Observed
from controller.status.resource_requests import MissingRequest, missing_requests
from controller.status.wording import counted, joined, one_line
from controller.status.worker_state import Truth, WorkerState
from sedna_py.api.child_names import Role
from sedna_py.api.hpa import Hpa, MetricSpec
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.autoscaling.scale_metric import autoscaler_class, metric_specs, utilization_metrics

# The first sample of a new pod takes until the metrics server has read it twice.
_FIRST_SAMPLE_S: Final = 25.0
_NO_SAMPLE_YET: Final = (
    "did not receive metrics",
    "no metrics returned",
    "no pods returned by selector",
    "could not find the metric",
)


@dataclass(frozen=True)
class ScalingState:
    """`status` says whether the autoscaler works."""

    role: Role
    status: Truth
    reason: Reason
    message: str


def scaling_condition(
    state: WorkerState, service: JointInferenceService, observed: Observed, clock: Clock, problem: Cause | None = None
) -> ScalingState | None:
    """Return what the autoscaler of the worker is, None where the service asks for none, or somebody else scales.

    `problem` is what kept the controller from applying it.
    """
    role, hpa = state.role, observed.hpas.get(state.role)
    worker = service.spec.cloud_worker if role is Role.CLOUD else service.spec.edge_worker
    if worker.hpa is None or autoscaler_class(service, role) != "hpa":
        return None
    if problem is not None:
        return ScalingState(role, "False", problem.reason, one_line(problem.message, 640))
    lacking = missing_requests(worker, utilization_metrics(service, role), observed.pods.get(role, ()))
    if lacking:
        return ScalingState(role, "False", Reason.NO_RESOURCE_REQUEST, _request_words(lacking))
    if state.reason is Reason.ASLEEP:
        return ScalingState(role, "True", Reason.SCALING, f"rests with the worker; scales {_range(worker.hpa)}")
    if state.reason is Reason.SCALED_TO_ZERO:
        message = "the Deployment has 0 pods, so its autoscaler rests; kubectl scale it to 1 to let it go on"
        return ScalingState(role, "False", Reason.SCALING_DISABLED, message)
    if hpa is None or is_going(hpa):
        return ScalingState(role, "Unknown", Reason.STARTING, "its autoscaler is not there yet")
    since = _readable_since(hpa, observed.pods.get(role, ()))
    metrics = metric_specs(service, role)
    return _of_live(state, worker.hpa, metrics, hpa, lambda: clock.passed(since, _FIRST_SAMPLE_S))


def _readable_since(hpa: LiveObject, pods: Sequence[LiveObject]) -> datetime | None:
    """Return since when there is something to take samples of and somebody who reads them."""
    ready = [condition(pod, "Ready") for pod in pods]
    served = [found for item in ready if item.get("status") == "True" and (found := moment(item, "lastTransitionTime"))]
    return latest((moment(hpa, "metadata", "creationTimestamp"), min(served, default=None)))


def _of_live(
    state: WorkerState, wanted: Hpa, metrics: Sequence[MetricSpec], hpa: LiveObject, sample_is_due: Callable[[], bool]
) -> ScalingState:
    role = state.role
    able, active = condition(hpa, "AbleToScale"), condition(hpa, "ScalingActive")
    if able.get("status") == "False" and text(able, "reason").startswith("Failed"):
        return ScalingState(role, "False", Reason.METRIC_UNAVAILABLE, failure_words(able))
    if active.get("status") == "False":
        return _inactive(state, wanted, metrics, active, sample_is_due)
    if active.get("status") != "True":
        return ScalingState(role, "Unknown", Reason.STARTING, "its autoscaler has not reported yet")
    limited = condition(hpa, "ScalingLimited")
    if limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas":
        message = f"wants more than the {counted(wanted.max_replicas, 'pod')} of maxReplicas"
        return ScalingState(role, "True", Reason.AT_LIMIT, message)
    return ScalingState(role, "True", Reason.SCALING, f"scales {_range(wanted)}")


def _inactive(
    state: WorkerState,
    wanted: Hpa,
    metrics: Sequence[MetricSpec],
    active: LiveObject,
    sample_is_due: Callable[[], bool],
) -> ScalingState:
    said = text(active, "message")
    if text(active, "reason") == "ScalingDisabled" and wanted.fewest == 0:
        return ScalingState(state.role, "Unknown", Reason.STARTING, "goes on with its next look")
    if text(active, "reason") == "ScalingDisabled":
        return ScalingState(state.role, "False", Reason.SCALING_DISABLED, one_line(said))
    if "missing request for" in said:
        return ScalingState(state.role, "False", Reason.NO_RESOURCE_REQUEST, failure_words(active))
    no_sample = any(sign in said.lower() for sign in _NO_SAMPLE_YET)
    if no_sample and state.ready == 0:
        message = f"will scale {_range(wanted)} when a pod is ready"
        return ScalingState(state.role, "Unknown", Reason.STARTING, message)
    if no_sample and not sample_is_due():
        return ScalingState(state.role, "Unknown", Reason.STARTING, "waits for the first samples of its metric")
    message = missing_metric_words(state.role, metrics, active, state.wanted)
    return ScalingState(state.role, "False", Reason.METRIC_UNAVAILABLE, message)


def _request_words(lacking: list[MissingRequest]) -> str:
    said = []
    for missing in lacking:
        name, resource = one_line(missing.container), one_line(missing.resource)
        said.append(
            f"container {name} has no {resource} request, so its utilization cannot be computed; write"
            f" resources.requests.{resource}, such as {'500m' if resource == 'cpu' else '512Mi'}"
            if missing.exists
            else f"metric {resource} is of container {name}, which the pods do not have"
        )
    return joined(said)


def _range(hpa: Hpa) -> str:
    return f"between {hpa.fewest} and {counted(hpa.max_replicas, 'pod')}"
