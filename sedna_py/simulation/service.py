"""One service under a load, from the first arrival to the last: the simulation itself."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sedna_py.api.child_names import Role
from sedna_py.autoscaling.autoscaler import READ_S, Autoscaler, Goals, Pods, Readings, expected_load
from sedna_py.protocol.causes import OffloadCause
from sedna_py.simulation.clock import Clock
from sedna_py.simulation.offloading import Link, Offloader
from sedna_py.simulation.outcome import Outcome
from sedna_py.simulation.pods import CloudPods, EdgePods
from sedna_py.simulation.station import DONE, PUSHED_OUT, Shape, Work
from sedna_py.simulation.trace import Arrival, Trace

EDGE, CLOUD, FALLBACK = "edge", "cloud", "fallback"
BUFFER_FULL, TOO_OLD = "buffer_full", "too_old"
_LOST: Final = {PUSHED_OUT: BUFFER_FULL}
# What a reading takes, at most. Not nothing: three periods are then a little more than three times READ_S, and who looks back by
# that finds the reading before. Not always the same: whether a policy's period is over at a look that comes just as much later is
# decided by it, in `sedna run` as on a cluster.
READING_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class WorkerSize:
    """What each pod of a worker has, and how long a request takes a stream (seconds; `spread` as a part of it)."""

    streams: int = 1
    inside: int = 1  # requests in the model at once
    line: int = 64  # places for those that wait
    service_s: float = 0.0
    spread: float = 0.1
    start_s: float = 5.0  # from the decision until a new pod is ready
    first_starts_s: Sequence[float] = ()  # ... of the first ones that are started, where each is known
    replicas: int = 1  # at the beginning


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a simulation is told besides the load."""

    edge: WorkerSize
    cloud: WorkerSize
    goals: Mapping[Role, Goals] = field(default_factory=dict)  # whose autoscalers run
    link: Link = field(default_factory=Link)
    max_age_s: float = 1.0  # after which a frame that waits at the edge is dropped; 0: never
    request_timeout_s: float = 30.0  # of requests that go straight to the cloud worker
    sync_s: float = 15.0  # between two looks of an autoscaler


def simulate(trace: Trace, around: Surroundings, seed: int) -> Outcome:
    """Return what becomes of the load; the same for the same seed."""
    return _Service(trace, around, random.Random(seed)).run()


class _Service:
    def __init__(self, trace: Trace, around: Surroundings, chance: random.Random) -> None:
        self._trace = trace
        self._around = around
        self._chance = chance
        self._clock = Clock()
        self._cloud = CloudPods(self._clock, _starts(around.cloud), self._shape(around.cloud))
        self._edge = EdgePods(self._clock, _starts(around.edge), self._shape(around.edge, drops_oldest=True))
        self._offloaders: list[Offloader] = []
        self._turn = 0
        self._scalers: dict[Role, Autoscaler] = {}
        self._edge_readings, self._cloud_readings = Readings(self._edge), Readings(self._cloud)
        self._outcome = Outcome(seconds=trace.seconds, straight=not trace.edge)

    def run(self) -> Outcome:
        """Play the trace, and wait for what is under way at its end."""
        self._cloud.begin(self._around.cloud.replicas)
        self._edge.begin(self._around.edge.replicas)
        self._clock.run(0.0)
        self._make_scalers()
        arrivals = iter(self._trace.arrivals)
        self._next_arrival(arrivals.__next__)
        self._look(self._around.sync_s)
        self._clock.run(self._trace.seconds)
        grace_s = self._around.link.deadline_s if self._trace.edge else self._around.request_timeout_s
        self._clock.run(self._trace.seconds + grace_s + self._around.max_age_s)
        self._outcome.replicas[Role.CLOUD] = self._cloud.history
        if self._trace.edge:
            self._outcome.replicas[Role.EDGE] = self._edge.history
        return self._outcome

    def _make_scalers(self) -> None:
        for role, goals in self._around.goals.items():
            pods: Pods = self._edge if role is Role.EDGE else self._cloud
            readings = self._edge_readings if role is Role.EDGE else self._cloud_readings
            self._scalers[role] = Autoscaler(pods, readings, goals, self._expected_load)

    def _expected_load(self) -> float | None:
        return expected_load(self._edge_readings, self._cloud_readings)

    def _shape(self, size: WorkerSize, *, drops_oldest: bool = False) -> Shape:
        return Shape(size.streams, size.inside, size.line, partial(_service_time, size, self._chance), drops_oldest)

    def _look(self, due: float) -> None:
        """Read all pods and, where that is due, decide; and so on, as the loop of `sedna run` does it."""
        now = self._clock.now
        self._edge_readings.take()
        self._cloud_readings.take()
        for scaler in self._scalers.values():
            scaler.look(now)
        if now >= due:
            due += self._around.sync_s
            for scaler in self._scalers.values():
                scaler.decide(now)
        following = min(now + READ_S, due) + self._chance.uniform(0.1, 1.0) * READING_S
        if following <= self._trace.seconds:
            self._clock.at(following, lambda: self._look(due))

    def _next_arrival(self, following: Callable[[], Arrival]) -> None:
        try:
            arrival = following()
        except StopIteration:
            return

        def come() -> None:
            self._outcome.arrived += 1
            (self._frame if self._trace.edge else self._request)(arrival)
            self._next_arrival(following)

        self._clock.at(max(arrival.at, self._clock.now), come)

    def _frame(self, arrival: Arrival) -> None:
        came = self._clock.now
        until = came + self._around.max_age_s if self._around.max_age_s else math.inf
        self._edge.offer(Work(came, until, lambda how: self._seen(came, arrival, how), arrival.hard))

    def _seen(self, came: float, arrival: Arrival, how: str) -> None:
        """Go on with a frame that the edge is done with."""
        if how != DONE:
            self._outcome.lose(_LOST.get(how, TOO_OLD), self._clock.now)
        elif arrival.hard:
            self._offloader().ask(lambda cause, took_s: self._answered(came, cause, took_s))
        else:
            self._outcome.answer(EDGE, self._clock.now - came)

    def _answered(self, came: float, cause: OffloadCause | None, took_s: float) -> None:
        now = self._clock.now
        if cause is None:
            self._outcome.cloud_s.append(took_s)
            self._outcome.answer(CLOUD, now - came)
        else:
            self._outcome.fall_back(cause.value, now)
            self._outcome.answer(FALLBACK, now - came)

    def _offloader(self) -> Offloader:
        """Return the way of the edge pod whose turn it is."""
        count = max(len(self._edge.ready), 1)
        while len(self._offloaders) < count:
            self._offloaders.append(Offloader(self._clock, self._cloud, self._around.link, self._chance))
        self._turn = (self._turn + 1) % count
        return self._offloaders[self._turn]

    def _request(self, _: Arrival) -> None:
        came, ready = self._clock.now, self._cloud.ready
        if not ready:
            self._outcome.lose(OffloadCause.CONNECT_FAILED.value, came)
            return
        pod = self._chance.choice(ready)
        work = Work(came, came + self._around.request_timeout_s, lambda how: self._served(came, how))
        self._cloud.station(pod.name).offer(work)

    def _served(self, came: float, how: str) -> None:
        now = self._clock.now
        if how == DONE:
            self._outcome.cloud_s.append(now - came)
            self._outcome.answer(CLOUD, now - came)
        else:
            late = how != DONE and now - came >= self._around.request_timeout_s
            self._outcome.lose((OffloadCause.DEADLINE_EXCEEDED if late else OffloadCause.OVERLOADED).value, now)


def _starts(size: WorkerSize) -> Iterator[float]:
    return itertools.chain(size.first_starts_s, itertools.repeat(size.start_s))


def _service_time(size: WorkerSize, chance: random.Random) -> float:
    """Draw how long a request takes: log-normal, of the size's mean and spread."""
    if not size.spread:
        return size.service_s
    sigma = math.sqrt(math.log1p(size.spread**2))
    return size.service_s * chance.lognormvariate(-(sigma**2) / 2, sigma)
