"""An autoscaler outside of Kubernetes: readings of the pods, Knative's windows over them, and Kubernetes' rule.

Whose pods they are does not matter: those of a simulation, or processes of this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sedna_py.api.hpa import Hpa, MetricSpec
from sedna_py.autoscaling.hpa import Decision, HorizontalRule, Missing, Pod, Reading, Sample, Scale, milli, spec_of
from sedna_py.autoscaling.signals import hard_rate, pods_worth, service_s, signals
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.autoscaling.windows import PanicState, WindowSettings, shared_out
from sedna_py.autoscaling.worker_history import History
from sedna_py.metrics import names

READ_S: Final = 2.0  # between two readings of a pod, as the controller reads them
CPU_WINDOW_S: Final = 15.0  # metrics-server's
EARLY_S: Final = 10.0  # of the early warning
CONTAINER: Final = "worker"


class ScaledPod(Protocol):
    """One of the pods; times by the clock that decisions are made by, `ready_at` infinite while that is not known."""

    name: str
    created_at: float
    ready_at: float


class Pods(Protocol):
    """What is scaled."""

    @property
    def pods(self) -> Sequence[ScaledPod]:
        """All that there are to be."""

    def sample(self) -> dict[str, Snapshot]:
        """Return the latest counters of those that are ready, by name."""

    def scale(self, count: int) -> None:
        """Have so many from now on."""


@dataclass(frozen=True, slots=True)
class Goals:
    """What an autoscaler is told: its block, the targets by signal that the windows aim at, and the windows."""

    block: Hpa
    targets: Mapping[str, float] = field(default_factory=dict)
    windows: WindowSettings = field(default_factory=WindowSettings)
    cpu_request: int = 0  # thousandths of a cpu that a pod requests; 0: none
    cpu_limit: int = 0  # ... and uses with all its streams at work; 0: as many as it requests


class Readings:
    """The latest readings of each pod, over the longest window."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods
        self._keep_s = CPU_WINDOW_S
        self._of: dict[str, History] = {}

    @property
    def window_s(self) -> float:
        """The longest window there are readings for."""
        return self._keep_s

    def keep(self, window_s: float) -> None:
        """Keep what a window of so many seconds needs."""
        self._keep_s = max(self._keep_s, window_s)

    def take(self) -> None:
        """Read all pods that are ready, and forget those that are not there."""
        now = self._pods.sample()
        self._of = {name: self._of.get(name, History()) for name in now}
        for name, snapshot in now.items():
            self._of[name].add(snapshot, snapshot.at, self._keep_s)

    def pairs(self, window_s: float) -> dict[str, tuple[Snapshot, Snapshot]]:
        """Return for each pod the readings that begin and end a window, or as much of it as there is."""
        found = {}
        for name, history in self._of.items():
            latest = history.latest
            earlier = history.since(latest.at - window_s) if latest is not None else None
            if latest is not None and earlier is not None and earlier.at < latest.at:
                found[name] = (earlier, latest)
        return found

    def values(self, signal: str, window_s: float) -> dict[str, float]:
        """Return a signal of each pod that has it."""
        values = {name: signals(*pair).get(signal) for name, pair in self.pairs(window_s).items()}
        return {name: value for name, value in values.items() if value is not None}


class Autoscaler:
    """One HorizontalPodAutoscaler with the metrics that sedna-py serves to it."""

    def __init__(
        self, pods: Pods, readings: Readings, goals: Goals, expected_load: Callable[[], float | None] = lambda: None
    ) -> None:
        self._pods = pods
        self._readings = readings
        self._goals = goals
        self._expected_load = expected_load
        self._rule = HorizontalRule(spec_of(goals.block))
        self._panics = {signal: PanicState(goals.windows) for signal in goals.targets}
        readings.keep(goals.windows.stable_s)

    def look(self, now: float) -> None:
        """Look at the readings; often, so that a panic is noticed."""
        for signal in self._panics:
            self._served(signal, now)

    def decide(self, now: float) -> Decision:
        """Scale, as Kubernetes does every 15 s, and tell why."""
        readings: Sequence[Reading] = [self._reading(metric, now) for metric in self._goals.block.metrics or ()]
        pods = [self._pod(pod, now) for pod in self._pods.pods]
        decision = self._rule.decide(now, Scale(len(pods), len(pods)), pods, readings or [self._cpu(now)])
        self._pods.scale(decision.replicas)
        return decision

    def _pod(self, pod: ScaledPod, now: float) -> Pod:
        requests = {CONTAINER: {"cpu": self._goals.cpu_request} if self._goals.cpu_request else {}}
        ready = pod.ready_at <= now
        changed_at = pod.ready_at if ready else pod.created_at
        return Pod(pod.name, ready=ready, ready_changed_at=changed_at, started_at=pod.created_at, requests=requests)

    def _reading(self, metric: MetricSpec, now: float) -> Reading:
        if metric.pods is not None:
            served = self._served(metric.pods.metric.name, now)
            return {name: Sample(round(value * 1000), now) for name, value in served.items()} or Missing()
        resource = metric.resource or metric.container_resource
        if resource is not None and resource.name == "cpu":
            return self._cpu(now)
        if metric.object is not None and metric.object.metric.name == names.SIGNAL_EXPECTED_CLOUD_LOAD:
            load = self._expected_load()
            return Missing() if load is None else [milli(load)]
        return Missing("a simulation does not have it")

    def _served(self, signal: str, now: float) -> dict[str, float]:
        windows = self._goals.windows
        stable = self._readings.values(signal, windows.stable_s)
        state = self._panics.get(signal)
        if state is None or not stable:
            return stable
        total = sum(stable.values())
        panic = sum(self._readings.values(signal, windows.panic_s).values())
        served = state.served(
            now, total, panic, sum(pod.ready_at <= now for pod in self._pods.pods), self._goals.targets[signal]
        )
        return shared_out(stable, served)

    def _cpu(self, now: float) -> Reading:
        most = self._goals.cpu_limit or self._goals.cpu_request
        used = {}
        for name, (earlier, later) in self._readings.pairs(CPU_WINDOW_S).items():
            busy = (later.busy_s - earlier.busy_s) / (later.at - earlier.at) / later.streams
            used[name] = Sample(round(busy * most), now, CPU_WINDOW_S)
        return used or Missing()


def expected_load(edges: Readings, cloud: Readings) -> float | None:
    """Return how many cloud pods' worth of work the edges' hard frames are, None while that cannot be told."""
    rates = [rate for pair in edges.pairs(EARLY_S).values() if (rate := hard_rate(*pair)) is not None]
    pairs = cloud.pairs(cloud.window_s).values()
    return pods_worth(rates, [(seconds, pair[1].streams) for pair in pairs if (seconds := service_s(*pair))])
