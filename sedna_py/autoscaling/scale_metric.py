"""From what people write about scaling to the autoscaler that is made of it, in the terms of autoscaling/v2.

`scaleMetric` and `scaleTarget` are KServe's: concurrency, rps, cpu and memory. KServe gives the first two to Knative, so their
defaults are Knative's: 70 % of a containerConcurrency, or of 100 where there is none, and 70 % of 200 requests/s. KServe's cpu is
80 % of the requests, and its memory has no default. A target that is written is used as it is, where Knative would aim at 70 %
of it: `scaleTarget: 1` and 5 requests inside are 5 pods. streams, demand and latency are ours.

The annotations of Knative mean the same for the cloud worker; a field comes before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sedna_py.api.child_names import Role
from sedna_py.api.hpa import AutoscalerClass, Behavior, CloudHpa, Hpa, MetricSpec, ScaleMetric, ScalingRules
from sedna_py.api.joint_inference_service import CloudWorker, JointInferenceService, Worker
from sedna_py.api.metadata import API_VERSION
from sedna_py.api.scaling_annotations import (
    DEFAULT_PANIC_PERCENT,
    DEFAULT_THRESHOLD_PERCENT,
    DEFAULT_WINDOW_S,
    ScalingAnnotations,
    scaling_annotations,
)
from sedna_py.autoscaling.quantity import quantity_text, quantity_value
from sedna_py.metrics import names

SIGNALS: Final = frozenset(
    value for name, value in vars(names).items() if name.startswith("SIGNAL_") and isinstance(value, str)
)
"""Every name under which one of our values is served."""

TARGET_UTILIZATION: Final = 0.7  # Knative's target-utilization-percentage
DEFAULT_CONCURRENCY: Final = 100.0
DEFAULT_RPS: Final = 200.0
DEFAULT_CPU_PERCENT: Final = 80.0
DEFAULT_STREAMS: Final = 1.0  # each execution stream has one request
DEFAULT_DEMAND: Final = 0.8  # an autoscaler ignores 10 % more: 0.88 is still below what the pods can do

_MS_PER_S: Final = 1000.0
_SIGNAL_OF: Final[Mapping[ScaleMetric, str]] = {
    "concurrency": names.SIGNAL_CONCURRENCY,
    "rps": names.SIGNAL_RPS,
    "streams": names.SIGNAL_REQUESTS_PER_STREAM,
    "demand": names.SIGNAL_DEMAND,
    "latency": names.SIGNAL_LATENCY_P95,
}
_V2_FIELDS: Final = ("min_replicas", "max_replicas", "metrics", "behavior")


@dataclass(frozen=True, slots=True)
class Goal:
    """What `scaleMetric` asks for; `target` in the unit in which it is written: percent for cpu and memory, ms for latency."""

    metric: ScaleMetric
    target: float


def goal(service: JointInferenceService, role: Role) -> Goal | None:
    """Return what the worker is scaled by in the short form, None where it is not used."""
    worker = _worker(service, role)
    hpa, said = worker.hpa, _annotations(service, role)
    if hpa is None or hpa.metrics:
        return None
    metric = hpa.scale_metric or said.metric or ("concurrency" if said.target is not None else None)
    if metric is None:
        return None
    others = said.metric is not None and said.metric != metric  # its target is another metric's
    target = hpa.scale_target if hpa.scale_target is not None else None if others else said.target
    return Goal(metric, target if target is not None else _default_target(metric, worker))


def autoscaler_class(service: JointInferenceService, role: Role) -> AutoscalerClass | None:
    """Return who scales the worker, None where nothing is said of scaling."""
    hpa = _worker(service, role).hpa
    if hpa is None:
        return None
    return hpa.autoscaler_class or _annotations(service, role).autoscaler_class or "hpa"


def autoscaler_block(service: JointInferenceService, role: Role) -> Hpa | None:
    """Return the autoscaler that Kubernetes is to run, with fields of autoscaling/v2 only; None where it is to run none.

    A `minReplicas` of 0 becomes 1: going from 1 to 0 and back is left to somebody else. A block without short forms comes back
    as it was written.
    """
    hpa = _worker(service, role).hpa
    if hpa is None or autoscaler_class(service, role) != "hpa":
        return None
    written = {name: getattr(hpa, name) for name in _V2_FIELDS if name in hpa.model_fields_set}
    if hpa.min_replicas == 0:
        written["min_replicas"] = 1
    metrics = metric_specs(service, role)
    if metrics != (hpa.metrics or []):
        written["metrics"] = metrics
    wanted = goal(service, role)
    if wanted is not None and wanted.metric in _SIGNAL_OF and hpa.behavior is None:
        written["behavior"] = _calm(window_settings(service.metadata.annotations)[0])
    return CloudHpa(**written) if role is Role.CLOUD else Hpa(**written)


def metric_specs(service: JointInferenceService, role: Role) -> list[MetricSpec]:
    """Return the metrics of the autoscaler; none at all means Kubernetes' own, 80 % of the CPU requests."""
    hpa = _worker(service, role).hpa
    if hpa is None:
        return []
    wanted = goal(service, role)
    metrics = list(hpa.metrics or []) if wanted is None else [_metric_spec(wanted)]
    warning = hpa.early_warning if isinstance(hpa, CloudHpa) else None
    if warning is None:
        return metrics
    return [*(metrics or [_utilization("cpu", DEFAULT_CPU_PERCENT)]), _expected_load(service.name, warning)]


def utilization_metrics(service: JointInferenceService, role: Role) -> list[tuple[str, str | None]]:
    """Return (resource, container or None for all) of each metric of the autoscaler that is a share of the requests."""
    if autoscaler_class(service, role) != "hpa":
        return []
    metrics = metric_specs(service, role) or [_utilization("cpu", DEFAULT_CPU_PERCENT)]
    return list(dict.fromkeys(found for metric in metrics if (found := _relative(metric)) is not None))


def signal_targets(service: JointInferenceService, role: Role) -> dict[str, float]:
    """Return SIGNAL_* -> mean of a pod to aim at, in the signal's own unit, of each signal of pods that the worker scales by.

    Also those of a metric of type Pods that was written out, and where somebody else scales (class external).
    """
    if autoscaler_class(service, role) in {None, "none"}:
        return {}
    found = {}
    for metric in metric_specs(service, role):
        if metric.pods is not None and metric.pods.metric.name in SIGNALS:
            target = metric.pods.target.average_value
            if target is not None and (value := quantity_value(target)) > 0:
                found[metric.pods.metric.name] = value
    return found


def needs_edge_signals(service: JointInferenceService) -> bool:
    """Tell whether anything is decided by what the edge workers count, so that they have to say it often."""
    cloud = service.spec.cloud_worker.hpa
    announced = cloud is not None and (cloud.early_warning is not None or cloud.min_replicas == 0)
    if announced and autoscaler_class(service, Role.CLOUD) != "none":
        return True
    return bool(signal_targets(service, Role.EDGE)) or names.SIGNAL_EXPECTED_CLOUD_LOAD in _object_metrics(service)


def window_settings(annotations: Mapping[str, str] | None) -> tuple[float, float, float]:
    """Return Knative's (stable window in seconds, panic window in percent of it, panic threshold in percent of the target).

    An annotation that cannot be used counts as absent; `sedna_py.api.scaling_annotations` says so.
    """
    said = scaling_annotations(annotations)
    return (
        said.window_s if said.window_s is not None else DEFAULT_WINDOW_S,
        said.panic_percent if said.panic_percent is not None else DEFAULT_PANIC_PERCENT,
        said.threshold_percent if said.threshold_percent is not None else DEFAULT_THRESHOLD_PERCENT,
    )


def _worker(service: JointInferenceService, role: Role) -> Worker:
    return service.spec.cloud_worker if role is Role.CLOUD else service.spec.edge_worker


def _annotations(service: JointInferenceService, role: Role) -> ScalingAnnotations:
    return scaling_annotations(service.metadata.annotations) if role is Role.CLOUD else ScalingAnnotations()


def _default_target(metric: ScaleMetric, worker: Worker) -> float:
    match metric:
        case "concurrency":
            most = worker.container_concurrency if isinstance(worker, CloudWorker) else None
            return TARGET_UTILIZATION * (most or DEFAULT_CONCURRENCY)
        case "rps":
            return TARGET_UTILIZATION * DEFAULT_RPS
        case "cpu":
            return DEFAULT_CPU_PERCENT
        case "streams":
            return DEFAULT_STREAMS
        case "demand":
            return DEFAULT_DEMAND
        case _:
            raise ValueError(f"{metric} without a target is refused when it is read")


def _metric_spec(wanted: Goal) -> MetricSpec:
    signal = _SIGNAL_OF.get(wanted.metric)
    if signal is None:
        return _utilization(wanted.metric, wanted.target)
    value = wanted.target / _MS_PER_S if wanted.metric == "latency" else wanted.target
    return _spec(
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": signal},
                "target": {"type": "AverageValue", "averageValue": quantity_text(value)},
            },
        }
    )


def _utilization(resource: str, percent: float) -> MetricSpec:
    target = {"type": "Utilization", "averageUtilization": round(percent)}
    return _spec({"type": "Resource", "resource": {"name": resource, "target": target}})


def _relative(metric: MetricSpec) -> tuple[str, str | None] | None:
    if metric.resource is not None and metric.resource.target.average_utilization is not None:
        return metric.resource.name, None
    source = metric.container_resource
    if source is not None and source.target.average_utilization is not None:
        return source.name, source.container
    return None


def _expected_load(service: str, share: float) -> MetricSpec:
    return _spec(
        {
            "type": "Object",
            "object": {
                "describedObject": {"apiVersion": API_VERSION, "kind": "JointInferenceService", "name": service},
                "metric": {"name": names.SIGNAL_EXPECTED_CLOUD_LOAD},
                "target": {"type": "AverageValue", "averageValue": quantity_text(share)},
            },
        }
    )


def _spec(document: dict[str, Any]) -> MetricSpec:
    return MetricSpec.model_validate(document, by_alias=True, by_name=False)


def _calm(window_s: float) -> Behavior:
    """Return how fast pods go where nobody says: the value is a mean over the window, so 5 minutes more are not needed."""
    return Behavior(scale_down=ScalingRules(stabilization_window_seconds=round(window_s)))


def _object_metrics(service: JointInferenceService) -> set[str]:
    """Return the metrics of objects by which either worker scales."""
    roles = [role for role in Role if autoscaler_class(service, role) not in {None, "none"}]
    specs = (metric for role in roles for metric in metric_specs(service, role))
    return {metric.object.metric.name for metric in specs if metric.object is not None}
