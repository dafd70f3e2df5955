"""Which metric an autoscaler misses, since when, and what to do: from the words of its own controller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from controller.status.live import LiveObject, kept_time, text
from controller.status.wording import joined, one_line
from sedna_py.api.child_names import Role
from sedna_py.api.hpa import MetricSpec
from sedna_py.autoscaling.scale_metric import SIGNALS

CUSTOM: Final = "custom.metrics.k8s.io"
EXTERNAL: Final = "external.metrics.k8s.io"
_API_MISSING: Final = (
    "could not find the requested resource",
    "unable to handle the request",
    "no matches for kind",
    "no custom metrics API",
)
_RESOURCE_FAILURES: Final = frozenset({"FailedGetResourceMetric", "FailedGetContainerResourceMetric"})
_NAME_OF: Final[Mapping[str, Callable[[MetricSpec], str]]] = {
    "FailedGetResourceMetric": lambda metric: metric.resource.name if metric.resource else "",
    "FailedGetContainerResourceMetric": lambda metric: (
        metric.container_resource.name if metric.container_resource else ""
    ),
    "FailedGetPodsMetric": lambda metric: metric.pods.metric.name if metric.pods else "",
    "FailedGetObjectMetric": lambda metric: metric.object.metric.name if metric.object else "",
    "FailedGetExternalMetric": lambda metric: metric.external.metric.name if metric.external else "",
}


def missing_metric_words(role: Role, metrics: Sequence[MetricSpec], inactive: LiveObject, replicas: int) -> str:
    """Return what is to be said of an autoscaler that cannot compute; `inactive` is its condition ScalingActive.

    `replicas` is how many pods the worker has, and keeps meanwhile.
    """
    reason, said = text(inactive, "reason"), text(inactive, "message")
    names = _missing(metrics, reason, said)
    return joined((_gone(names, inactive, replicas), failure_words(inactive), _hint(role, names, reason, said)))


def failure_words(found: LiveObject) -> str:
    """Return the reason and the message of a condition of an autoscaler."""
    said = one_line(text(found, "message"))
    return f"the autoscaler says {one_line(text(found, 'reason')) or 'nothing'}{f': {said}' if said else ''}"


def _missing(metrics: Sequence[MetricSpec], reason: str, said: str) -> list[str]:
    """Return the names of the metrics that it may be: those of the kind that failed, and of these the ones that are named."""
    name_of = _NAME_OF.get(reason)
    if name_of is None:
        return []
    if not metrics and reason == "FailedGetResourceMetric":
        return ["cpu"]  # what Kubernetes takes where none is written
    names = list(dict.fromkeys(name for metric in metrics if (name := name_of(metric))))
    return [name for name in names if name in said.split()] or names


def _gone(names: Sequence[str], inactive: LiveObject, replicas: int) -> str:
    if not names:
        return ""
    # When the autoscaler's own condition changed: it stays the same as long as the metric is away.
    since = kept_time(inactive, "lastTransitionTime")
    what = one_line(" or ".join(names))
    return f"no value of {what}{f' since {since}' if since else ''}; replicas hold at {replicas}"


def _hint(role: Role, names: Sequence[str], reason: str, said: str) -> str:
    unserved = any(sign in said for sign in _API_MISSING)
    if reason in _RESOURCE_FAILURES:
        return _resource_hint(role, unserved)
    ours = [name for name in names if name in SIGNALS]
    if ours and reason != "FailedGetExternalMetric":
        return _own_hint(role, ours[0], reason, unserved)
    if unserved:
        return f"no server answers {EXTERNAL if reason == 'FailedGetExternalMetric' else CUSTOM}; install one that has the metric"
    return ""


def _resource_hint(role: Role, unserved: bool) -> str:
    if unserved:
        return "install metrics-server; `kubectl top pods` must answer"
    hint = "`kubectl top pods` must show the worker's pods"
    if role is Role.EDGE:
        hint += (
            "; for nodes of KubeEdge switch on cloudStream and edgeStream and give metrics-server"
            " --kubelet-use-node-status-port"
        )
    return hint


def _own_hint(role: Role, name: str, reason: str, unserved: bool) -> str:
    if unserved:
        return (
            f"no server answers {CUSTOM}, where sedna-py's controller has {one_line(name)}; apply deploy/ of its version, and"
            f" look at its log where `kubectl get apiservice v1beta2.{CUSTOM}` is not True"
        )
    if role is Role.EDGE or reason == "FailedGetObjectMetric":
        return "an edge pod tells it by way of the cloud worker: see CloudReachable"
    return "the controller reads it from the pods' own /metrics: see its log"
