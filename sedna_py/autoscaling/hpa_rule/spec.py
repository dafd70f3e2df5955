"""What an autoscaler is told: its metrics, bounds and behavior, with Kubernetes' defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from sedna_py.api.hpa import Behavior, Hpa, MetricSpec, MetricTarget, ScalingRules
from sedna_py.autoscaling.quantity import milli, ratio

CPU: Final = "cpu"
_DEFAULT_CPU_PERCENT: Final = 80

Select: TypeAlias = Literal["Max", "Min", "Disabled"]


@dataclass(frozen=True, slots=True)
class Utilization:
    """Resource and ContainerResource in percent of what the pods request."""

    resource: str
    percent: int
    container: str = ""  # empty: all containers of the pod together


@dataclass(frozen=True, slots=True)
class PodsAverage:
    """Pods; and Resource or ContainerResource by an amount. Thousandths."""

    target: int
    resource: str = ""  # empty for Pods


@dataclass(frozen=True, slots=True)
class TotalValue:
    """Object and External by Value: the metric itself shall be this. Thousandths."""

    target: int


@dataclass(frozen=True, slots=True)
class TotalAverage:
    """Object and External by AverageValue: the metric, shared among the pods, shall be this. Thousandths."""

    target: int


Metric: TypeAlias = Utilization | PodsAverage | TotalValue | TotalAverage


@dataclass(frozen=True, slots=True)
class Policy:
    """At most so many pods, or percent of the pods, in one period."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_s: int


@dataclass(frozen=True, slots=True)
class Direction:
    """How fast and how steadily to scale in one direction."""

    policies: tuple[Policy, ...]
    select: Select = "Max"
    window_s: float | None = 0.0  # stabilization; None: as the controller's own setting says
    tolerance: float | None = None  # None: as the controller's own setting says

    @property
    def longest_period_s(self) -> int:
        """Seconds for which changes of this direction are remembered."""
        return max(policy.period_s for policy in self.policies)


_UP: Final = Direction((Policy("Pods", 4, 15), Policy("Percent", 100, 15)))
_DOWN: Final = Direction((Policy("Percent", 100, 15),), window_s=None)


@dataclass(frozen=True, slots=True)
class AutoscalerSpec:
    """One autoscaler. Without a behavior (`up` and `down` are None) Kubernetes uses an older, simpler rule of speed."""

    max_replicas: int
    metrics: tuple[Metric, ...]
    min_replicas: int = 1
    up: Direction | None = None
    down: Direction | None = None


def spec_of(block: Hpa) -> AutoscalerSpec:
    """Return what the `hpa` block of a worker means. No autoscaler takes the last replica: 0 as the least means 1 here."""
    up, down = _directions(block.behavior)
    metrics = tuple(_metric(one) for one in block.metrics or ())
    return AutoscalerSpec(
        max_replicas=block.max_replicas,
        metrics=metrics or (Utilization(CPU, _DEFAULT_CPU_PERCENT),),
        min_replicas=block.min_replicas or 1,
        up=up,
        down=down,
    )


def _directions(behavior: Behavior | None) -> tuple[Direction | None, Direction | None]:
    if behavior is None:
        return None, None
    return _direction(behavior.scale_up, _UP), _direction(behavior.scale_down, _DOWN)


def _direction(rules: ScalingRules | None, default: Direction) -> Direction:
    if rules is None:
        return default
    window_s = rules.stabilization_window_seconds
    policies = tuple(Policy(one.type, one.value, one.period_seconds) for one in rules.policies or ())
    return Direction(
        policies=policies or default.policies,
        select=rules.select_policy or default.select,
        window_s=default.window_s if window_s is None else float(window_s),
        tolerance=None if rules.tolerance is None else ratio(rules.tolerance),
    )


def _metric(one: MetricSpec) -> Metric:
    if one.container_resource is not None:
        return _resource(one.container_resource.name, one.container_resource.target, one.container_resource.container)
    if one.resource is not None:
        return _resource(one.resource.name, one.resource.target)
    if one.pods is not None:
        return PodsAverage(_average(one.pods.target))
    source = one.object or one.external
    if source is None:
        raise ValueError(f"a metric of type {one.type} has no block {one.type.lower()}")
    return _total(source.target)


def _resource(name: str, target: MetricTarget, container: str = "") -> Metric:
    if target.average_value is not None:
        return PodsAverage(milli(target.average_value), name)
    if target.average_utilization is None:
        raise ValueError(f"the target of {name} has neither averageUtilization nor averageValue")
    return Utilization(name, target.average_utilization, container)


def _average(target: MetricTarget) -> int:
    if target.average_value is None:
        raise ValueError("a metric of type Pods has no target.averageValue")
    return milli(target.average_value)


def _total(target: MetricTarget) -> Metric:
    if target.average_value is not None:
        return TotalAverage(milli(target.average_value))
    if target.value is None:
        raise ValueError("a metric of type Object or External has neither target.value nor target.averageValue")
    return TotalValue(milli(target.value))
