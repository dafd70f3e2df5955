"""Random autoscalers with random pods and values, once in the shapes of Kubernetes and once in those of the rule: pure.

All times are in seconds since the epoch, and whole where Kubernetes keeps whole seconds only.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from sedna_py.autoscaling.hpa import ControllerSettings, Missing, Patience, Phase, Pod, Reading, Sample, milli
from tests.integration.played_metric_apis import SyncPoint, external_key, object_key, pods_key, resource_key
from tests.integration.service_on_cluster import Object

STEP_S: Final = 6.0
# Halfway between two steps, so that it does not matter how long within a step the controller takes.
SPANS_S: Final = (3, 9, 15, 21)
SETTINGS: Final = ControllerSettings(down_window_s=9, patience=Patience(3600, 600))
PODS: Final = 3
LATELY_S, LONG_AGO_S = 900, 7200  # within the initialization, and after it
FINALIZER: Final = "sedna.test/stays"
_KINDS: Final = ("pods", "resource", "amount", "object value", "object average", "external value", "external average")
_OF_PODS: Final = ("pods", "resource", "amount")
_NEED_PODS: Final = (*_OF_PODS, "object value", "external value")


@dataclass(frozen=True)
class RandomMetric:
    """One metric: which it is, and the target of one pod in thousandths or percent."""

    kind: str
    name: str
    target: int
    resource: str = ""
    container: str = ""

    @property
    def of_pods(self) -> bool:
        return self.kind in _OF_PODS


@dataclass
class RandomAutoscaler:
    """One autoscaler, its Deployment and its pods, as they are now."""

    name: str
    chance: random.Random
    metrics: list[RandomMetric]
    spec: Object
    replicas: int
    there: int  # as the status of the Deployment has it
    found: int  # as it had it when the sync began that waits now
    pods: list[Pod] = field(default_factory=list)

    @property
    def key_of_first(self) -> str:
        return self.key(self.metrics[0])

    def key(self, metric: RandomMetric) -> str:
        if metric.kind == "pods":
            return pods_key(metric.name)
        if metric.of_pods:
            return resource_key(f"app={self.name}")
        return (object_key if metric.kind.startswith("object") else external_key)(metric.name)

    def point(self) -> SyncPoint:
        return SyncPoint(self.key_of_first)

    @property
    def spans_s(self) -> set[float]:
        """Ages at which something is forgotten."""
        behavior = self.spec.get("behavior")
        if behavior is None:
            return {SETTINGS.down_window_s}
        spans: set[float] = {15.0}
        for side in ("scaleUp", "scaleDown"):
            rules = behavior.get(side, {})
            spans.add(rules.get("stabilizationWindowSeconds", SETTINGS.down_window_s if side == "scaleDown" else 0))
            spans.update(policy["periodSeconds"] for policy in rules.get("policies", ()))
        return spans - {0}

    def change_pods(self, now: float) -> list[Pod]:
        """Let something happen to some pods and return those."""
        changed = []
        for place, pod in enumerate(self.pods):
            if not pod.deleted and self.chance.random() < 0.2:
                self.pods[place] = random_state(self.chance, pod, now)
                changed.append(self.pods[place])
        return changed

    def read(self, now: float) -> tuple[list[Reading], dict[str, list[Object] | None]]:
        """Return new values of all metrics, for the rule and for the APIs."""
        readings: list[Reading] = []
        answers: dict[str, list[Object] | None] = {}
        for metric in self.metrics:
            if self.chance.random() < 0.08:
                readings.append(Missing())
                answers[self.key(metric)] = None
                continue
            load = self._load()
            reading, items = self._pods_read(metric, load, now) if metric.of_pods else self._total_read(metric, load)
            readings.append(reading)
            answers[self.key(metric)] = items
        return readings, answers

    def _load(self) -> float:
        """Return how many pods' worth of work there is."""
        level = self.chance.choice((self.replicas, self.chance.uniform(0, 14), self.chance.uniform(0, 14)))
        return level * self.chance.choice((1, 1, 0.5, 1.1, 0.9, 1.05, 1.5, 2.2, self.chance.uniform(0.8, 1.25)))

    def _pods_read(self, metric: RandomMetric, load: float, now: float) -> tuple[Reading, list[Object]]:
        samples: dict[str, Sample] = {}
        items = []
        names = [pod.name for pod in self.pods if self.chance.random() < 0.88]
        if self.chance.random() < 0.08:
            names.append(f"{self.name}-gone")
        target = metric.target * 10 if metric.kind == "resource" else metric.target  # of requests of 1000
        for name in names:
            noise = self.chance.choice((1.0, 1.0, self.chance.uniform(0.5, 1.5)))
            value = int(load / max(self.replicas, 1) * target * noise)
            sample = Sample(value, at=float(int(now) - self.chance.choice((0, 10, 880))), window_s=60.0)
            samples[name] = sample
            items.append(self.pod_item(metric, name, sample))
        return samples, items

    def pod_item(self, metric: RandomMetric, name: str, sample: Sample) -> Object:
        at, amount = stamp(sample.at), f"{sample.value}m"
        if metric.kind == "pods":
            about = {"kind": "Pod", "namespace": "default", "name": name, "apiVersion": "/v1"}
            return {"describedObject": about, "metric": {"name": metric.name}, "timestamp": at, "value": amount}
        own, other = (amount, "0") if metric.container in ("", "main") else ("7", amount)
        containers = [
            {"name": "main", "usage": {metric.resource: own}},
            {"name": "side", "usage": {metric.resource: other}},
        ]
        return {"metadata": {"name": name}, "timestamp": at, "window": "60s", "containers": containers}

    def _total_read(self, metric: RandomMetric, load: float) -> tuple[Reading, list[Object]]:
        # By Value the target is that of the whole, whatever the number of pods.
        times = load / max(self.replicas, 1) if metric.kind.endswith("value") else load
        total = int(times * metric.target)
        if metric.kind.startswith("object"):
            about = {"kind": "Deployment", "namespace": "default", "name": self.name, "apiVersion": "apps/v1"}
            item = {
                "describedObject": about,
                "metric": {"name": metric.name},
                "timestamp": stamp(0),
                "value": f"{total}m",
            }
            return [total], [item]
        parts = [total // 3, total - total // 3] if self.chance.random() < 0.5 else [total]
        return parts, [
            {"metricName": metric.name, "metricLabels": {}, "timestamp": stamp(0), "value": f"{part}m"}
            for part in parts
        ]


def random_autoscaler(number: int, chance: random.Random, now: float) -> RandomAutoscaler:
    """Make one up."""
    name = f"s{number}"
    metrics = _random_metrics(name, chance)
    least = chance.choice((None, 1, 1, 2, 3))
    most = chance.randint(5, 14)
    spec: Object = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "maxReplicas": most,
        "metrics": [_metric_spec(metric, name) for metric in metrics],
    }
    if least is not None:
        spec["minReplicas"] = least
    behavior = _random_behavior(chance)
    if behavior is not None:
        spec["behavior"] = behavior
    replicas = chance.choice((1, 2, 3, 4, 5, most, most + 2))
    made = RandomAutoscaler(name, chance, metrics, spec, replicas, replicas, replicas)
    if any(metric.kind in _NEED_PODS for metric in metrics):
        lacks_request = chance.random() < 0.04
        request = {} if lacks_request else {"cpu": 500, "memory": 500}
        requests = {"main": request, "side": {"cpu": 500, "memory": 500}}
        for place in range(chance.randint(2, PODS)):
            fresh = Pod(f"{name}-{place}", requests=requests, deleted=chance.random() < 0.06)
            made.pods.append(random_state(chance, fresh, now))
    return made


def random_state(chance: random.Random, pod: Pod, now: float) -> Pod:
    """Return the pod in another state."""
    began = float(int(now) - chance.choice((LATELY_S, LONG_AGO_S)))
    kinds = {
        "ready": {"ready": True, "ready_changed_at": began + 20},
        "ready again": {"ready": True, "ready_changed_at": float(int(now) - 30)},
        "never ready": {"ready": False, "ready_changed_at": began + 2},
        "once ready": {"ready": False, "ready_changed_at": began + 700},
        "unknown": {"ready": None, "ready_changed_at": began + 30},
        "no condition": {"ready_changed_at": None},
        "pending": {"phase": Phase.PENDING, "ready": False, "ready_changed_at": began},
        "not started": {"phase": Phase.PENDING, "ready_changed_at": None, "started_at": None},
        "failed": {"phase": Phase.FAILED, "ready": False, "ready_changed_at": began + 50},
        "over": {"phase": Phase.SUCCEEDED, "ready": False, "ready_changed_at": began + 50},
    }
    weights = (12, 2, 1, 1, 1, 1, 2, 1, 1, 1)
    kind = chance.choices(tuple(kinds), weights)[0]
    plain = replace(pod, phase=Phase.RUNNING, ready=True, started_at=began)
    changes = {
        key: value if value is None or key != "ready_changed_at" else min(value, float(int(now) - 5))
        for key, value in kinds[kind].items()
    }
    return replace(plain, **changes)  # type: ignore[arg-type]


def pod_object(pod: Pod, app: str) -> Object:
    """Return the pod as it is made; its status is written afterwards."""
    containers = [
        {"name": name, "image": "i", "resources": {"requests": {key: f"{value}m" for key, value in requests.items()}}}
        for name, requests in pod.requests.items()
    ]
    metadata: Object = {"name": pod.name, "labels": {"app": app}}
    if pod.deleted:
        metadata["finalizers"] = [FINALIZER]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers, "automountServiceAccountToken": False},
    }


def status_of(pod: Pod) -> Object:
    """Return the status that says the same as the rule's pod."""
    words = {True: "True", False: "False", None: "Unknown"}
    conditions = (
        []
        if pod.ready_changed_at is None
        else [{"type": "Ready", "status": words[pod.ready], "lastTransitionTime": stamp(pod.ready_changed_at)}]
    )
    return {
        "phase": pod.phase.value,
        "conditions": conditions,
        "startTime": None if pod.started_at is None else stamp(pod.started_at),
    }


def stamp(at: float) -> str:
    """Return a whole second as Kubernetes writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def current_of(status: Object, metric: RandomMetric) -> int | None:
    """Return the value that an autoscaler's status has for a metric, as the rule's proposals have it; None if none."""
    source = {"pods": "pods", "resource": "resource", "amount": "resource"}.get(metric.kind, metric.kind.split()[0])
    found = status.get("containerResource" if metric.container else source)
    if found is None:
        return None
    current = found["current"]
    if metric.kind == "resource":
        percent: int = current["averageUtilization"]
        return percent
    return milli(current["value"] if metric.kind.endswith("value") else current["averageValue"])


def _random_metrics(name: str, chance: random.Random) -> list[RandomMetric]:
    metrics: list[RandomMetric] = []
    for place in range(chance.choices((1, 2, 3), (6, 3, 1))[0]):
        kinds = [kind for kind in _KINDS if not (kind in ("resource", "amount") and _has_resource(metrics))]
        kind = chance.choice(kinds)
        resource = chance.choice(("cpu", "cpu", "memory")) if kind in ("resource", "amount") else ""
        container = chance.choice(("", "", "main", "side")) if resource else ""
        target = chance.choice((50, 80, 120)) if kind == "resource" else chance.choice((7, 1000, 2500, 333333))
        metrics.append(RandomMetric(kind, f"{name}-{place}", target, resource, container))
    return metrics


def _has_resource(metrics: Sequence[RandomMetric]) -> bool:
    return any(metric.resource for metric in metrics)


def _metric_spec(metric: RandomMetric, target: str) -> Object:
    if metric.resource:
        source: Object = {"name": metric.resource, "target": _target(metric)}
        if metric.container:
            source["container"] = metric.container
            return {"type": "ContainerResource", "containerResource": source}
        return {"type": "Resource", "resource": source}
    source = {"metric": {"name": metric.name}, "target": _target(metric)}
    if metric.kind.startswith("object"):
        source["describedObject"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
        return {"type": "Object", "object": source}
    if metric.kind == "pods":
        return {"type": "Pods", "pods": source}
    return {"type": "External", "external": source}


def _target(metric: RandomMetric) -> Object:
    if metric.kind == "resource":
        return {"type": "Utilization", "averageUtilization": metric.target}
    if metric.kind.endswith("value"):
        return {"type": "Value", "value": f"{metric.target}m"}
    return {"type": "AverageValue", "averageValue": f"{metric.target}m"}


def _random_behavior(chance: random.Random) -> Object | None:
    if chance.random() < 0.3:
        return None
    return {side: _random_rules(chance) for side in ("scaleUp", "scaleDown") if chance.random() < 0.8}


def _random_rules(chance: random.Random) -> Object:
    rules: Object = {}
    if chance.random() < 0.7:
        rules["policies"] = [
            {
                "type": chance.choice(("Pods", "Percent")),
                "value": chance.choice((1, 2, 3, 25, 50, 100)),
                "periodSeconds": chance.choice(SPANS_S),
            }
            for _ in range(chance.randint(1, 3))
        ]
    if chance.random() < 0.5:
        rules["selectPolicy"] = chance.choice(("Max", "Min", "Max", "Min", "Disabled"))
    if chance.random() < 0.6:
        rules["stabilizationWindowSeconds"] = chance.choice((0, *SPANS_S))
    if chance.random() < 0.4:
        rules["tolerance"] = chance.choice(("0", "50m", "0.2", "333m"))
    return rules
