"""The rule of Kubernetes' HorizontalPodAutoscaler (autoscaling/v2): pure; the time is an argument.

It does what kube-controller-manager 1.36 does, with its feature gates as they are by default, which
tests/integration/test_hpa_rule.py holds against the real one. docs/autoscaling/hpa-rule.md tells the rule in words. This module
puts the parts in `hpa_rule` together and names what users of the rule need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sedna_py.autoscaling.hpa_rule.limits import Limit, Limiter
from sedna_py.autoscaling.hpa_rule.pods import Patience, Phase, Pod, Sample
from sedna_py.autoscaling.hpa_rule.proposal import (
    Circumstances,
    Missing,
    Proposal,
    Reading,
    Tolerance,
    propose,
)
from sedna_py.autoscaling.hpa_rule.spec import AutoscalerSpec, spec_of
from sedna_py.autoscaling.quantity import milli

__all__ = [
    "AutoscalerSpec",
    "ControllerSettings",
    "Decision",
    "HorizontalRule",
    "Limit",
    "Missing",
    "Patience",
    "Phase",
    "Pod",
    "Proposal",
    "Reading",
    "Reason",
    "Sample",
    "Scale",
    "milli",
    "spec_of",
]


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """What kube-controller-manager's flags say, for all autoscalers."""

    tolerance: float = 0.1  # --horizontal-pod-autoscaler-tolerance
    down_window_s: float = 300.0  # --horizontal-pod-autoscaler-downscale-stabilization
    patience: Patience = field(
        default_factory=Patience
    )  # --...-cpu-initialization-period and --...-initial-readiness-delay


@dataclass(frozen=True, slots=True)
class Scale:
    """The replicas of what is scaled: as many as are wanted, and as many as its status counts."""

    wanted: int
    there: int


class Reason(StrEnum):
    """Why the replicas are what they are to be."""

    STEADY = "the metrics ask for no change"
    ABOVE_TARGET = "a metric is above its target"
    BELOW_TARGET = "all metrics are below their targets"
    HELD = "stabilization or a limit of the speed allows no change yet"
    ABOVE_MAX = "there were more than maxReplicas"
    BELOW_MIN = "there were fewer than minReplicas"
    NO_METRICS = "what the metrics ask for cannot be told"
    DISABLED = "there are no replicas, so nothing is scaled"


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas there shall be, and why. `proposals` are in the order of the metrics; empty if none was needed."""

    replicas: int
    reason: Reason
    limit: Limit = Limit.NONE
    proposals: tuple[Proposal | Missing, ...] = ()


class HorizontalRule:
    """One autoscaler, from its first look at its target on. It remembers what Kubernetes' remembers, for as long."""

    def __init__(self, spec: AutoscalerSpec, settings: ControllerSettings | None = None) -> None:
        self._spec = spec
        self._settings = settings or ControllerSettings()
        self._tolerance = _tolerance(spec, self._settings.tolerance)
        self._limiter = Limiter(spec, self._settings.down_window_s)

    def decide(self, now: float, scale: Scale, pods: Sequence[Pod], readings: Sequence[Reading]) -> Decision:
        """Decide once; `readings` has one for each metric of the spec, in its order.

        `now` never falls. The decision is taken to be carried out at once. Kubernetes decides every 15 s.
        """
        if len(readings) != len(self._spec.metrics):
            raise ValueError(f"there are {len(self._spec.metrics)} metrics, but {len(readings)} readings")
        self._limiter.begin(scale.wanted, now)
        if scale.wanted == 0:
            return Decision(0, Reason.DISABLED)
        bounded = self._into_bounds(scale.wanted)
        decision = bounded or self._by_metrics(now, scale, pods, readings)
        if decision.replicas != scale.wanted:
            self._limiter.changed(scale.wanted, decision.replicas, now)
        return decision

    def _into_bounds(self, wanted: int) -> Decision | None:
        if wanted > self._spec.max_replicas:
            return Decision(self._spec.max_replicas, Reason.ABOVE_MAX)
        if wanted < self._spec.min_replicas:
            return Decision(self._spec.min_replicas, Reason.BELOW_MIN)
        return None

    def _by_metrics(self, now: float, scale: Scale, pods: Sequence[Pod], readings: Sequence[Reading]) -> Decision:
        around = Circumstances(now, scale.wanted, scale.there, pods, self._tolerance, self._settings.patience)
        proposals = tuple(
            propose(metric, reading, around) for metric, reading in zip(self._spec.metrics, readings, strict=True)
        )
        asked = _most(proposals, scale.wanted)
        if asked is None:
            return Decision(scale.wanted, Reason.NO_METRICS, proposals=proposals)
        limited = self._limiter.apply(scale.wanted, asked, now)
        return Decision(limited.replicas, _reason(scale.wanted, asked, limited.replicas), limited.limit, proposals)


def _tolerance(spec: AutoscalerSpec, everywhere: float) -> Tolerance:
    down = spec.down.tolerance if spec.down else None
    up = spec.up.tolerance if spec.up else None
    return Tolerance(everywhere if down is None else down, everywhere if up is None else up)


def _most(proposals: Sequence[Proposal | Missing], replicas: int) -> int | None:
    """Return the most that a metric asks for; None if none does, or if one is unknown and the others ask for fewer than now."""
    known = [one.replicas for one in proposals if isinstance(one, Proposal)]
    if not known or (len(known) < len(proposals) and max(known) < replicas):
        return None
    return max(known)


def _reason(before: int, asked: int, after: int) -> Reason:
    if asked == before:
        return Reason.STEADY if after == before else (Reason.ABOVE_TARGET if after > before else Reason.BELOW_TARGET)
    if after == before:
        return Reason.HELD
    return Reason.ABOVE_TARGET if after > before else Reason.BELOW_TARGET
