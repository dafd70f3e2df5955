"""Readings and the autoscaler over them, with pods that are only played."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from sedna_py.api.hpa import Hpa
from sedna_py.autoscaling.autoscaler import Autoscaler, Goals, Readings
from sedna_py.autoscaling.hpa import Reason
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from tests.sedna_py.autoscaling.readings import START, after


@dataclass
class PlayedPod:
    name: str
    created_at: float = 0.0
    ready_at: float = 0.0


@dataclass
class PlayedPods:
    """Pods whose counters a test writes."""

    pods: list[PlayedPod] = field(default_factory=lambda: [PlayedPod("a")])
    counters: dict[str, Snapshot] = field(default_factory=lambda: {"a": START})

    def sample(self) -> dict[str, Snapshot]:
        return dict(self.counters)

    def scale(self, count: int) -> None:
        self.pods = [*self.pods, *(PlayedPod(f"new-{n}", ready_at=1e9) for n in range(count - len(self.pods)))][:count]

    def work(self, span_s: float, requests: float) -> None:
        """Let the pod have so many requests inside for a while."""
        here = self.counters["a"]
        self.counters["a"] = after(
            here, span_s, present_s=requests * span_s, offered=requests, done=requests, busy_s=span_s
        )


def goals(metric: str = names.SIGNAL_CONCURRENCY, kind: str = "pods") -> Goals:
    source = {"metric": {"name": metric}, "target": {"type": "AverageValue", "averageValue": "1"}}
    if kind == "object":
        source["describedObject"] = {"kind": "JointInferenceService", "name": "s"}
    block = Hpa.model_validate({"maxReplicas": 5, "metrics": [{"type": kind.capitalize(), kind: source}]})
    return Goals(block, {metric: 1.0} if kind == "pods" else {})


def test_readings_span_a_window_or_what_there_is_of_it() -> None:
    pods = PlayedPods()
    readings = Readings(pods)
    readings.keep(60)
    readings.take()
    assert readings.values(names.SIGNAL_CONCURRENCY, 60) == {}  # one reading is none
    for _ in range(50):
        pods.work(2, requests=4)
        readings.take()
    readings.take()  # the same once more changes nothing
    earlier, later = readings.pairs(60)["a"]
    assert later.at - earlier.at == 60
    assert readings.values(names.SIGNAL_CONCURRENCY, 6)["a"] == pytest.approx(4)


def test_a_worker_that_began_anew_or_went_is_forgotten() -> None:
    pods = PlayedPods()
    readings = Readings(pods)
    readings.take()
    pods.work(2, requests=1)
    readings.take()
    assert readings.pairs(60)
    pods.counters["a"] = replace(pods.counters["a"], at=pods.counters["a"].at + 2, began=START.began + 50, done=0.0)
    readings.take()
    assert readings.pairs(60) == {}
    pods.counters = {}
    readings.take()
    assert readings.pairs(60) == {}


def test_it_scales_by_what_is_served_and_says_why() -> None:
    pods = PlayedPods()
    readings = Readings(pods)
    scaler = Autoscaler(pods, readings, goals())
    assert scaler.decide(0.0).reason is Reason.NO_METRICS
    for now in range(2, 20, 2):
        pods.work(2, requests=3)
        readings.take()
        scaler.look(float(now))
    decision = scaler.decide(20.0)
    assert (decision.replicas, decision.reason) == (3, Reason.ABOVE_TARGET)
    assert len(pods.pods) == 3
    assert scaler.decide(35.0).replicas == 3  # the new ones are not ready, so nothing is known of them


def test_a_metric_that_only_a_cluster_has_is_missing() -> None:
    pods = PlayedPods()
    for expected, replicas in ((2.4, 3), (None, 1)):
        pods.scale(1)
        metric = goals(names.SIGNAL_EXPECTED_CLOUD_LOAD, "object")
        scaler = Autoscaler(pods, Readings(pods), metric, lambda expected=expected: expected)
        assert scaler.decide(0.0).replicas == replicas
    other = Autoscaler(pods, Readings(pods), goals("queue_of_yours", "object"))
    assert other.decide(0.0).reason is Reason.NO_METRICS
