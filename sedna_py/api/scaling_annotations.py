"""The annotations of Knative and KServe that say how the cloud worker scales: what they mean here, and what they do not.

Ranges and defaults are those of Knative's autoscaler (knative.dev/docs/serving/autoscaling). An annotation that cannot be used
is left out, and a finding says so: no schema of a CRD can refuse it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from sedna_py.api.finding import Finding, Place, warning
from sedna_py.api.hpa import (
    AUTOSCALER_CLASSES,
    METRICS_WITHOUT_DEFAULT,
    SCALE_METRICS,
    WHOLE_METRICS,
    AutoscalerClass,
    Hpa,
    ScaleMetric,
)
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.wording import did_you_mean, plain, show

KNATIVE: Final = "autoscaling.knative.dev/"
METRIC: Final = f"{KNATIVE}metric"
TARGET: Final = f"{KNATIVE}target"
WINDOW: Final = f"{KNATIVE}window"
PANIC_WINDOW: Final = f"{KNATIVE}panic-window-percentage"
PANIC_THRESHOLD: Final = f"{KNATIVE}panic-threshold-percentage"
RETENTION: Final = f"{KNATIVE}scale-to-zero-pod-retention-period"
KNATIVE_CLASS: Final = f"{KNATIVE}class"
KSERVE_CLASS: Final = "serving.kserve.io/autoscalerClass"
READ: Final = frozenset({METRIC, TARGET, WINDOW, PANIC_WINDOW, PANIC_THRESHOLD, RETENTION, KNATIVE_CLASS, KSERVE_CLASS})

DEFAULT_WINDOW_S: Final = 60.0
DEFAULT_PANIC_PERCENT: Final = 10.0
DEFAULT_THRESHOLD_PERCENT: Final = 200.0

_WINDOW_S: Final = (6.0, 3600.0)
_RETENTION_S: Final = (0.0, 3600.0)
_PANIC_PERCENT: Final = (1.0, 100.0)
_THRESHOLD_PERCENT: Final = (110.0, 1000.0)
_TARGET: Final = (0.01, 1e6)
_NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_DURATION: Final = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)
_KNATIVE_CLASSES: Final[Mapping[str, AutoscalerClass]] = {
    "kpa.autoscaling.knative.dev": "hpa",
    "hpa.autoscaling.knative.dev": "hpa",
}
_WRITE_INSTEAD: Final[Mapping[str, str]] = {
    f"{KNATIVE}min-scale": "minReplicas in spec.cloudWorker.hpa",
    f"{KNATIVE}max-scale": "maxReplicas in spec.cloudWorker.hpa",
    f"{KNATIVE}target-utilization-percentage": "the target itself: it is used as it is written",
    f"{KNATIVE}scale-down-delay": "behavior.scaleDown.stabilizationWindowSeconds in spec.cloudWorker.hpa",
}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScalingAnnotations:
    """What the annotations say; None where one is absent or cannot be used."""

    metric: ScaleMetric | None = None
    target: float | None = None
    autoscaler_class: AutoscalerClass | None = None
    window_s: float | None = None
    panic_percent: float | None = None
    threshold_percent: float | None = None
    retention_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Why an annotation is left out."""

    message: str


def scaling_annotations(annotations: Mapping[str, str] | None) -> ScalingAnnotations:
    """Return what can be used of a service's annotations; raises nothing."""
    return _read(annotations or {})[0]


def annotation_findings(service: JointInferenceService) -> Iterator[Finding]:
    """Say which annotations about scaling are left out, and why."""
    written = service.metadata.annotations or {}
    found, problems = _read(written)
    problems |= _without_effect(written, found, service.spec.cloud_worker.hpa)
    for name in sorted(written):
        if name.startswith(KNATIVE) and name not in READ:
            instead = _WRITE_INSTEAD.get(name)
            yield _left_out(
                name, f"has no meaning here; write {instead}" if instead else "has no meaning here; remove it"
            )
        elif name in problems:
            yield _left_out(name, problems[name])


def _left_out(name: str, message: str) -> Finding:
    place: Place = ("metadata", "annotations", name)
    return warning(place, message)


def _read(written: Mapping[str, str]) -> tuple[ScalingAnnotations, dict[str, str]]:
    """Return what can be used, and by name what is wrong with the rest."""
    problems: dict[str, str] = {}

    def taken(name: str, result: T | _Unusable | None) -> T | None:
        if isinstance(result, _Unusable):
            problems[name] = f"is {show(written[name])}, which is left out; {result.message}"
            return None
        return result

    metric: ScaleMetric | None = taken(METRIC, _metric(written.get(METRIC), has_target=TARGET in written))
    target = taken(TARGET, _target(written.get(TARGET), metric))
    if metric is None and METRIC in written:
        target = None  # of a metric that is left out
    if target is None and metric in METRICS_WITHOUT_DEFAULT:
        metric = None  # its target has a finding
    found = ScalingAnnotations(
        metric=metric,
        target=target,
        autoscaler_class=taken(KSERVE_CLASS, _class(written.get(KSERVE_CLASS)))
        or taken(KNATIVE_CLASS, _knative_class(written.get(KNATIVE_CLASS))),
        window_s=taken(WINDOW, _window(written.get(WINDOW))),
        panic_percent=taken(PANIC_WINDOW, _number(written.get(PANIC_WINDOW), _PANIC_PERCENT)),
        threshold_percent=taken(PANIC_THRESHOLD, _number(written.get(PANIC_THRESHOLD), _THRESHOLD_PERCENT)),
        retention_s=taken(RETENTION, _retention(written.get(RETENTION))),
    )
    return found, problems


def _without_effect(written: Mapping[str, str], found: ScalingAnnotations, hpa: Hpa | None) -> dict[str, str]:
    """Return by name why an annotation that could be used is not."""
    named = [name for name in (METRIC, TARGET) if name in written]
    if hpa is None:
        return dict.fromkeys(named, "does nothing without an autoscaler; write spec.cloudWorker.hpa with maxReplicas")
    if hpa.metrics:
        return dict.fromkeys(named, "is left out, as spec.cloudWorker.hpa.metrics is written; remove one of them")
    if hpa.scale_metric is None:
        return {}
    problems = {}
    field = "spec.cloudWorker.hpa.scaleMetric"
    other = found.metric is not None and found.metric != hpa.scale_metric
    if other:
        problems[METRIC] = f"is left out, as {field} is {hpa.scale_metric}; remove one of them"
    if found.target is not None and (other or hpa.scale_target not in {None, found.target}):
        problems[TARGET] = f"is left out, as {field} and its scaleTarget come first; remove one of them"
    return problems


def _metric(text: str | None, *, has_target: bool) -> ScaleMetric | _Unusable | None:
    if text is None:
        return None
    found = next((metric for metric in SCALE_METRICS if metric == text), None)
    if found is None:
        return _Unusable(f"write one of {', '.join(SCALE_METRICS)}{did_you_mean(text, SCALE_METRICS)}")
    if found in METRICS_WITHOUT_DEFAULT and not has_target:
        return _Unusable(f"write its target in {TARGET} as well")
    return found


def _target(text: str | None, metric: ScaleMetric | None) -> float | _Unusable | None:
    found = _number(text, _TARGET)
    if isinstance(found, float) and metric in WHOLE_METRICS and not found.is_integer():
        return _Unusable(f"write a whole number for {metric}")
    return found


def _class(text: str | None) -> AutoscalerClass | _Unusable | None:
    if text is None:
        return None
    found = next((known for known in AUTOSCALER_CLASSES if known == text), None)
    if found is not None:
        return found
    hint = ", and a ScaledObject of your own beside it" if text == "keda" else ""
    return _Unusable(f"write hpa, none or external{hint}")


def _knative_class(text: str | None) -> AutoscalerClass | _Unusable | None:
    if text is None:
        return None
    return _KNATIVE_CLASSES.get(text) or _Unusable(
        "write hpa.autoscaling.knative.dev, or class: external in the hpa block"
    )


def _number(text: str | None, bounds: tuple[float, float]) -> float | _Unusable | None:
    if text is None:
        return None
    least, most = bounds
    found = float(text) if _NUMBER.fullmatch(text.strip()) else -1.0
    if least <= found <= most:
        return found
    return _Unusable(f"write a number from {plain(least)} to {plain(most)}")


def _window(text: str | None) -> float | _Unusable | None:
    return _duration(text, _WINDOW_S, "from 6s to 1h, such as 60s or 2m")


def _retention(text: str | None) -> float | _Unusable | None:
    return _duration(text, _RETENTION_S, "from 0s to 1h, such as 30s or 5m")


def _duration(text: str | None, bounds: tuple[float, float], advice: str) -> float | _Unusable | None:
    if text is None:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match[0]:
        return _Unusable(f"write whole seconds {advice}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    found = float(hours * 3600 + minutes * 60 + seconds)
    least, most = bounds
    return found if least <= found <= most else _Unusable(f"write whole seconds {advice}")
