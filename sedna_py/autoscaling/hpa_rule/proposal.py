"""How many replicas one metric asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from sedna_py.autoscaling.hpa_rule.pods import Patience, Pod, PodGroups, Sample, group
from sedna_py.autoscaling.hpa_rule.spec import Metric, PodsAverage, TotalAverage, TotalValue, Utilization

# No more replicas are ever proposed. (Kubernetes does so for Object and External; a Pods metric beyond it makes a negative
# number there on amd64, so that an absurd value scales down.)
MOST: Final = 2**31 - 1


class _Untold(Exception):
    """A metric cannot tell how many replicas it wants; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What stands in for a metric that could not be read, and for what it would have asked for."""

    why: str = "no value"


# Samples by pod for Utilization and PodsAverage; the values, in thousandths, of an Object (one) or External metric (any number).
Reading: TypeAlias = Mapping[str, Sample] | Sequence[int] | Missing


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much a metric may be below and above its target before anything is done, as shares of the target."""

    down: float = 0.1
    up: float = 0.1

    def bears(self, ratio: float) -> bool:
        """Return whether a use so many times the target is near enough."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a proposal is made of, besides the metric."""

    now: float
    replicas: int  # wanted now
    replicas_there: int  # as the Deployment's status counts them
    pods: Sequence[Pod]
    tolerance: Tolerance
    patience: Patience


@dataclass(frozen=True, slots=True)
class Proposal:
    """How many replicas a metric wants, and its value now: percent for Utilization, else thousandths."""

    replicas: int
    current: int


def propose(metric: Metric, reading: Reading, around: Circumstances) -> Proposal | Missing:
    """Return what the metric asks for; TypeError when the reading is not of the metric's kind."""
    if isinstance(reading, Missing):
        return reading
    try:
        return _read(metric, reading, around)
    except _Untold as error:
        return Missing(str(error))


def _read(metric: Metric, reading: Mapping[str, Sample] | Sequence[int], around: Circumstances) -> Proposal:
    if not reading:
        raise _Untold("no values")
    if isinstance(metric, Utilization | PodsAverage):
        if not isinstance(reading, Mapping):
            raise TypeError(f"a {type(metric).__name__} metric needs samples by pod, not {type(reading).__name__}")
        return _of_pods(metric, reading, around)
    if isinstance(reading, Mapping):
        raise TypeError(f"a {type(metric).__name__} metric needs a list of values, not samples by pod")
    total = sum(reading)
    if isinstance(metric, TotalValue):
        return Proposal(_by_total(total / metric.target, around), total)
    return _shared(metric, total, around)


def _of_pods(metric: Utilization | PodsAverage, samples: Mapping[str, Sample], around: Circumstances) -> Proposal:
    if not around.pods:
        raise _Untold("no pods")
    groups = group(around.pods, samples, metric.resource, around.patience, around.now)
    values = groups.counted(samples)
    if not values:
        raise _Untold("no value of a pod that counts; they may not be ready")
    gauge = _Gauge.of(metric, around.pods)
    ratio, current = gauge.read(values)
    return Proposal(_by_pods(ratio, values, groups, gauge, around), current)


def _by_pods(ratio: float, values: dict[str, int], groups: PodGroups, gauge: _Gauge, around: Circumstances) -> int:
    """Return the replicas for a ratio of the pods' use to the target.

    What is not known of a pod is assumed against the change: nothing is used by it on the way up, all on the way down.
    """
    grows_with_unready = bool(groups.unready) and ratio > 1.0
    if not grows_with_unready and not groups.missing:
        return around.replicas if around.tolerance.bears(ratio) else _whole(ratio * groups.ready)
    assumed = dict(values)
    if ratio < 1.0:
        assumed.update({name: gauge.full_use(name) for name in groups.missing})
    elif ratio > 1.0:
        assumed.update(dict.fromkeys(groups.missing, 0))
    if grows_with_unready:
        assumed.update(dict.fromkeys(groups.unready, 0))
    cautious, _ = gauge.read(assumed)
    proposed = _whole(cautious * len(assumed))
    turned_round = (ratio < 1.0 < cautious) or (cautious < 1.0 < ratio)
    against_itself = (cautious < 1.0 and proposed > around.replicas) or (cautious > 1.0 and proposed < around.replicas)
    if around.tolerance.bears(cautious) or turned_round or against_itself:
        return around.replicas
    return proposed


@dataclass(frozen=True, slots=True)
class _Gauge:
    """Reads what pods use against the target: by an amount each, or by percent of what they request."""

    target: int
    requests: Mapping[str, int] | None  # None: by amount

    @classmethod
    def of(cls, metric: Utilization | PodsAverage, pods: Sequence[Pod]) -> _Gauge:
        if isinstance(metric, PodsAverage):
            return cls(metric.target, None)
        return cls(metric.percent, {pod.name: _request(pod, metric) for pod in pods})

    def read(self, values: Mapping[str, int]) -> tuple[float, int]:
        """Return the use as so many times the target, and the use itself, rounded down as Kubernetes does."""
        if self.requests is None:
            current = sum(values.values()) // len(values)
        else:
            requested = sum(self.requests.get(name, 0) for name in values)
            if requested == 0:
                raise _Untold("no value belongs to a known pod")
            current = sum(value for name, value in values.items() if name in self.requests) * 100 // requested
        return current / self.target, current

    def full_use(self, name: str) -> int:
        """Return what a pod is assumed to use when nothing is known and others use less than the target."""
        if self.requests is None:
            return self.target
        return self.requests[name] * max(100, self.target) // 100


def _request(pod: Pod, metric: Utilization) -> int:
    if metric.container and metric.container not in pod.requests:
        raise _Untold(f"pod {pod.name} has no container {metric.container}")
    wanted = [metric.container] if metric.container else list(pod.requests)
    for container in wanted:
        if metric.resource not in pod.requests[container]:
            raise _Untold(f"container {container} of pod {pod.name} requests no {metric.resource}")
    return sum(pod.requests[container][metric.resource] for container in wanted)


def _by_total(ratio: float, around: Circumstances) -> int:
    """Return the replicas for a metric of the whole that is so many times its target."""
    if around.tolerance.bears(ratio):
        return around.replicas
    if not around.pods:
        raise _Untold("no pods")
    return _whole(ratio * sum(pod.serves for pod in around.pods))


def _shared(metric: TotalAverage, total: int, around: Circumstances) -> Proposal:
    there = around.replicas_there
    if there == 0:  # nobody shares it, so no tolerance either
        return Proposal(_whole(total / metric.target), MOST if total else 0)
    bears = around.tolerance.bears(total / (metric.target * there))
    return Proposal(there if bears else _whole(total / metric.target), math.ceil(total / there))


def _whole(replicas: float) -> int:
    return min(math.ceil(replicas), MOST)
