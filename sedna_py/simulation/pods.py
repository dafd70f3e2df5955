"""The pods of each worker: they start, take a while to be ready, and go."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.simulation.clock import Clock
from sedna_py.simulation.station import Shape, Station, Work


@dataclass(eq=False, slots=True)
class SimulatedPod:
    """One pod; times in seconds of the simulation."""

    name: str
    created_at: float
    ready_at: float


class _Pods:
    """As many pods as are wanted. A new one is ready after as many seconds as `starts_s` has next; the youngest goes first."""

    def __init__(self, clock: Clock, name: str, starts_s: Iterator[float]) -> None:
        self._clock = clock
        self._name = name
        self._starts_s = starts_s
        self._numbers = itertools.count()
        self.pods: list[SimulatedPod] = []
        self.history: list[tuple[float, int]] = []  # when there were to be how many

    @property
    def wanted(self) -> int:
        """How many there are to be."""
        return len(self.pods)

    @property
    def ready(self) -> list[SimulatedPod]:
        """Those that work."""
        return [pod for pod in self.pods if pod.ready_at <= self._clock.now]

    def begin(self, count: int) -> None:
        """Have the first pods, ready at once."""
        for _ in range(count):
            self._add(0.0)
        self.history.append((self._clock.now, count))

    def scale(self, count: int) -> None:
        """Have so many pods from now on."""
        if count == self.wanted:
            return
        while len(self.pods) < count:
            self._add(next(self._starts_s))
        gone, self.pods = self.pods[count:], self.pods[:count]
        for pod in gone:
            self._removed(pod)
        self.history.append((self._clock.now, count))

    def _add(self, start_s: float) -> None:
        now = self._clock.now
        pod = SimulatedPod(f"{self._name}-{next(self._numbers)}", now, now + start_s)
        self.pods.append(pod)
        self._clock.at(pod.ready_at, lambda: self._became_ready(pod))

    def _became_ready(self, pod: SimulatedPod) -> None:
        """Do what follows from a pod that works now."""

    def _removed(self, pod: SimulatedPod) -> None:
        """Do what follows from a pod that goes."""


class CloudPods(_Pods):
    """Pods with a line each. One that goes ends what it has."""

    def __init__(self, clock: Clock, starts_s: Iterator[float], shape: Shape) -> None:
        super().__init__(clock, "cloud", starts_s)
        self.shape = shape
        self._stations: dict[str, Station] = {}

    def station(self, name: str) -> Station:
        """Return what the pod of that name works with, or worked with: it ends what it has, and what was on its way to it."""
        return self._stations[name]

    def sample(self) -> dict[str, Snapshot]:
        """Return the counters of the pods that are ready."""
        return {pod.name: self._stations[pod.name].snapshot() for pod in self.ready}

    def _became_ready(self, pod: SimulatedPod) -> None:
        self._stations[pod.name] = Station(self._clock, self.shape)


class EdgePods(_Pods):
    """Pods that share their sources: one buffer, from which whoever has a free stream takes the next frame."""

    def __init__(self, clock: Clock, starts_s: Iterator[float], shape: Shape) -> None:
        super().__init__(clock, "edge", starts_s)
        self._shape = shape
        self._station = Station(clock, shape)
        self._shares: dict[str, Snapshot] = {}
        self._shared = self._station.snapshot()

    def offer(self, work: Work) -> None:
        """Take a frame."""
        self._station.offer(work)

    def sample(self) -> dict[str, Snapshot]:
        """Return the counters of the pods that are ready: each did its share of what all did since the last time."""
        before, self._shared = self._shared, self._station.snapshot()
        names = [pod.name for pod in self.ready]
        for name in names:
            share = self._shares.get(name) or self._empty()
            self._shares[name] = _add_share(share, before, self._shared, len(names))
        self._shares = {name: self._shares[name] for name in names}
        return dict(self._shares)

    def _empty(self) -> Snapshot:
        return replace(Station(self._clock, self._shape).snapshot(), at=self._shared.at)

    def _became_ready(self, pod: SimulatedPod) -> None:
        self._resize()

    def _removed(self, pod: SimulatedPod) -> None:
        self._resize()

    def _resize(self) -> None:
        count = max(len(self.ready), 1)
        self._station.resize(
            replace(self._shape, streams=self._shape.streams * count, inside=self._shape.inside * count)
        )


def _add_share(mine: Snapshot, before: Snapshot, after: Snapshot, count: int) -> Snapshot:
    def part(total: Callable[[Snapshot], float]) -> float:
        return total(mine) + (total(after) - total(before)) / count

    gained = [(new - old) / count for old, new in zip(before.latency, after.latency, strict=True)]
    return replace(
        mine,
        at=after.at,
        offered=part(lambda one: one.offered),
        done=part(lambda one: one.done),
        dropped=part(lambda one: one.dropped),
        present_s=part(lambda one: one.present_s),
        waiting_s=part(lambda one: one.waiting_s),
        busy_s=part(lambda one: one.busy_s),
        hard=part(lambda one: one.hard or 0.0),
        latency=tuple(old + more for old, more in zip(mine.latency, gained, strict=True)),
    )
