"""The bodies of answers: lists of values, and Status objects for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from controller.errors import ControllerError
from controller.metrics_api.catalogue import GROUP, PODS
from controller.metrics_api.paths import MetricPath
from controller.status.live import rfc3339
from sedna_py.autoscaling.quantity import quantity_text

REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Refusal(ControllerError):
    """An answer other than 200; str() is its message for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class MetricValue:
    """The value of one object; `window_s` is over how many seconds, None for a value of this moment."""

    name: str
    value: float
    at: datetime
    window_s: float | None


def status_body(status: int, message: str) -> dict[str, Any]:
    """Return a Status that says why not."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": REASONS.get(status, ""),
        "code": status,
    }


def value_list(path: MetricPath, values: Sequence[MetricValue]) -> dict[str, Any]:
    """Return the MetricValueList in the version that was asked for."""
    return {
        "kind": "MetricValueList",
        "apiVersion": f"{GROUP}/{path.version}",
        "metadata": {},
        "items": [_item(path, value) for value in values],
    }


def not_found(path: MetricPath) -> Refusal:
    """Return the refusal in the words by which clients know that a metric has no value now."""
    about = path.resource if path.name == "*" else f"{path.resource} {path.name}"
    return Refusal(404, f"the server could not find the metric {path.metric} for {about}")


def _item(path: MetricPath, value: MetricValue) -> dict[str, Any]:
    if path.resource == PODS:
        kind = {"kind": "Pod", "apiVersion": "/v1"}
    else:
        kind = {"kind": "JointInferenceService", "apiVersion": "sedna.io/v1alpha1"}
    metric = {"metricName": path.metric} if path.version == "v1beta1" else {"metric": {"name": path.metric}}
    window = {} if value.window_s is None else {"windowSeconds": max(1, round(value.window_s))}
    return {
        "describedObject": {**kind, "namespace": path.namespace, "name": value.name},
        **metric,
        "timestamp": rfc3339(value.at),
        **window,
        "value": quantity_text(value.value),
    }
