"""What is served: values of pods and services out of their workers' readings. No IO; the time is an argument.

A pod's value is the mean over the stable window. Where the autoscaler has a target for it and the sum over the pods means
something, the sum follows Knative's windows (sedna_py.autoscaling.windows) and each pod has its share of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from controller.metrics_api.catalogue import ADDITIVE
from controller.metrics_api.wishes import Wish
from controller.metrics_api.worker_pods import WorkerKey, WorkerPod
from controller.store import ServiceKey
from sedna_py.api.child_names import Role
from sedna_py.autoscaling.signals import hard_rate, pods_worth, service_s, signals
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.autoscaling.windows import PanicState, WindowSettings, shared_out
from sedna_py.autoscaling.worker_history import History

FRESH_S: Final = 5.0
"""A value whose last reading is older is none."""

EARLY_S: Final = 10.0
"""The window of the early warning: two reports at least, and no longer than that."""

TOGETHER_S: Final = 0.5
"""Readings of one worker's pods that are no further apart are of one moment."""

MEASURE_S: Final = 6.0
"""Between two measurements of how long a request takes, which changes slowly."""

MOST: Final = 1e6
"""A higher value of a pod is a lie, and none: no worker has a million requests, nor does that many in a second.

Nor may it be served: kube-controller-manager counts pods in 32 bits, and what asks for 2^31 of them gets the fewest.
"""


@dataclass(frozen=True, slots=True)
class Value:
    """A value at a moment of the monotonic clock, and over how many seconds."""

    value: float
    at: float
    span_s: float


@dataclass(frozen=True, slots=True)
class _Service:
    """How long a request takes the cloud, in stream-seconds, and how many streams a pod has: measured last."""

    service_s: float
    streams: float


@dataclass
class _Worker:
    """One side of a service."""

    pods: dict[str, WorkerPod] = field(default_factory=dict)  # by uid
    wish: Wish = field(default_factory=Wish)
    panics: dict[str, PanicState] = field(default_factory=dict)  # by metric
    measured_at: float = -math.inf  # how long its requests take

    @property
    def windows(self) -> WindowSettings:
        return self.wish.windows

    def want(self, wish: Wish) -> None:
        """Take a wish; a panic goes on where windows and the metric stay."""
        if wish is self.wish:
            return
        if wish.windows != self.windows:
            self.panics.clear()
        self.wish = wish
        self.panics = {metric: state for metric, state in self.panics.items() if metric in wish.targets}


class Values:
    """The readings of all pods; bounded by the pods that `see` names."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}  # by the pod's uid
        self._workers: dict[WorkerKey, _Worker] = {}
        self._worker_of: dict[str, WorkerKey] = {}
        self._measured: dict[ServiceKey, _Service] = {}

    def see(self, pods: Iterable[WorkerPod], services: Iterable[ServiceKey]) -> None:
        """Say which pods and services there are; what was known of others is forgotten."""
        workers: dict[WorkerKey, dict[str, WorkerPod]] = {}
        for pod in pods:
            workers.setdefault(pod.worker, {})[pod.uid] = pod
        for key in [key for key in self._workers if key not in workers]:
            del self._workers[key]
        for key, found in workers.items():
            self._workers.setdefault(key, _Worker()).pods = found
        self._worker_of = {uid: key for key, found in workers.items() for uid in found}
        for uid in [uid for uid in self._histories if uid not in self._worker_of]:
            del self._histories[uid]
        kept = set(services)
        self._measured = {key: measured for key, measured in self._measured.items() if key in kept}

    def want(self, worker: WorkerKey, wish: Wish) -> None:
        """Say what a worker's autoscaler wants."""
        found = self._workers.get(worker)
        if found is not None:
            found.want(wish)

    def workers(self) -> list[WorkerKey]:
        """Return the workers that have pods."""
        return list(self._workers)

    def pods(self) -> list[WorkerPod]:
        """Return the pods that were seen."""
        return [pod for worker in self._workers.values() for pod in worker.pods.values()]

    def take(self, uid: str, snapshot: Snapshot, taken_at: float) -> None:
        """Take a reading of a pod; one of a pod that is not there is left.

        `taken_at` is of our clock. The reading's own time may be of the worker's: rates are then exact, however long it took.
        """
        key = self._worker_of.get(uid)
        if key is not None:
            self._histories.setdefault(uid, History()).add(snapshot, taken_at, self._workers[key].windows.stable_s)

    def latest(self, uid: str) -> Snapshot | None:
        """Return the newest reading of a pod, however old, with our time of it; None where there is none."""
        history = self._histories.get(uid)
        newest = history.latest if history is not None else None
        return replace(newest, at=history.taken_at) if history is not None and newest is not None else None

    def readings(self) -> int:
        """Return how many readings are kept."""
        return sum(len(history) for history in self._histories.values())

    def look(self, now: float) -> None:
        """Let the panic windows see the moment: autoscalers ask too rarely for that."""
        for key, worker in self._workers.items():
            for metric in ADDITIVE.intersection(worker.wish.targets):
                self.pod_values(key, metric, now)
            if key.role is Role.CLOUD and now - worker.measured_at >= MEASURE_S:
                worker.measured_at = now
                self._measure(key, now)

    def pod_values(self, key: WorkerKey, metric: str, now: float) -> dict[str, Value]:
        """Return the values of a worker's pods by uid; pods that are not ready or were not read lately have none."""
        worker = self._workers.get(key)
        if worker is None:
            return {}
        stable = self._means(worker, metric, now, worker.windows.stable_s)
        target = worker.wish.targets.get(metric)
        if not stable or target is None or metric not in ADDITIVE:
            return stable
        # Sums are of one moment: work that moves from one pod to another is else counted twice for a while.
        until = min(value.at for value in stable.values()) + TOGETHER_S
        together = all(value.at <= until for value in stable.values())
        same = stable if together else self._means(worker, metric, now, worker.windows.stable_s, until)
        panic = self._means(worker, metric, now, worker.windows.panic_s, until)
        state = worker.panics.setdefault(metric, PanicState(worker.windows))
        ready = sum(pod.ready for pod in worker.pods.values())
        served = min(state.served(now, _total(same), _total(panic), ready, target), MOST)
        shares = shared_out({uid: value.value for uid, value in stable.items()}, served)
        return {uid: replace(stable[uid], value=share) for uid, share in shares.items()}

    def expected_load(self, service: ServiceKey, now: float) -> Value | None:
        """Return how many cloud pods' worth of work the edges' hard frames are; None while that cannot be told.

        That is their rate, times the stream-seconds of one, over the streams of a cloud pod as last measured.
        """
        measured = self._measured.get(service)
        edge = self._workers.get(WorkerKey(service, Role.EDGE))
        if measured is None or edge is None:
            return None
        rates = []
        for pod in edge.pods.values():
            pair = self._pair(pod, now, EARLY_S)
            rate = hard_rate(*pair) if pair is not None else None
            if pair is not None and rate is not None:
                rates.append(Value(rate, self._histories[pod.uid].taken_at, pair[1].at - pair[0].at))
        load = pods_worth([rate.value for rate in rates], [(measured.service_s, measured.streams)])
        if load is None:
            return None
        return Value(min(load, MOST), max(rate.at for rate in rates), max(rate.span_s for rate in rates))

    def _means(
        self, worker: _Worker, metric: str, now: float, window_s: float, until: float = math.inf
    ) -> dict[str, Value]:
        """Return the means of ready pods over the window that ends with their last reading, or the last one until then."""
        found: dict[str, Value] = {}
        for uid, pod in worker.pods.items():
            pair = self._pair(pod, now, window_s, until) if pod.ready else None
            if pair is None:
                continue
            value = signals(*pair).get(metric)
            if value is not None and 0 <= value <= MOST:
                earlier, later = pair
                found[uid] = Value(value, self._histories[uid].taken_at, later.at - earlier.at)
        return found

    def _pair(
        self, pod: WorkerPod, now: float, window_s: float, until: float = math.inf
    ) -> tuple[Snapshot, Snapshot] | None:
        history = self._histories.get(pod.uid)
        if history is None or now - history.taken_at > FRESH_S:
            return None
        later = history.until(until)
        earlier = history.since(later.at - window_s) if later is not None else None
        return None if later is None or earlier is None or earlier.at >= later.at else (earlier, later)

    def _measure(self, key: WorkerKey, now: float) -> None:
        worker = self._workers[key]
        pairs = [self._pair(pod, now, worker.windows.stable_s) for pod in worker.pods.values()]
        taken = [(seconds, pair[1].streams) for pair in pairs if pair and (seconds := service_s(*pair))]
        usable = [(seconds, streams) for seconds, streams in taken if streams > 0]
        if usable:
            count = len(usable)
            self._measured[key.service] = _Service(
                sum(seconds for seconds, _ in usable) / count, sum(streams for _, streams in usable) / count
            )


def _total(values: Mapping[str, Value]) -> float:
    """Return the sum over the pods; one that is half as old as the oldest has half its weight: others had its work before."""
    longest = max((value.span_s for value in values.values()), default=0.0)
    return sum(value.value * value.span_s / longest for value in values.values()) if longest > 0 else 0.0
