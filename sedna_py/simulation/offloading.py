"""From edge to cloud in a simulation: the same windows, budgets and choices as the client's, without its connections."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sedna_py.client.offload_window import OffloadWindow
from sedna_py.client.retry_budget import RetryBudget
from sedna_py.protocol.causes import OffloadCause
from sedna_py.simulation.clock import Clock
from sedna_py.simulation.pods import CloudPods, SimulatedPod
from sedna_py.simulation.station import DONE, REFUSED, Work

Ended = Callable[[OffloadCause | None], None]  # None: the cloud has answered
RETRY_RATIO: Final = 0.2
RETRY_RESERVE: Final = 16.0


@dataclass(frozen=True, slots=True)
class Link:
    """The way to the cloud: seconds there and back, seconds for an answer, requests at once and those that may wait."""

    round_trip_s: float = 0.002
    deadline_s: float = 2.0
    in_flight: int = 8
    waiting: int = 8


@dataclass(eq=False, slots=True)
class _Request:
    began: float
    ended: Ended
    sent: bool = False
    over: bool = False
    again: bool = False  # it was sent a second time
    tried: SimulatedPod | None = None


class Offloader:
    """One edge worker's way to the cloud's pods."""

    def __init__(self, clock: Clock, cloud: CloudPods, link: Link, chance: random.Random) -> None:
        self._clock = clock
        self._cloud = cloud
        self._link = link
        self._chance = chance
        self._window = OffloadWindow(link.in_flight + link.waiting)
        self._budget = RetryBudget(RETRY_RATIO, RETRY_RESERVE)
        self._on_their_way = 0
        self._sending = 0
        self._line: deque[_Request] = deque()
        self._at: Counter[str] = Counter()

    def ask(self, ended: Ended) -> None:
        """Ask the cloud; `ended` is told once what became of it."""
        if self._on_their_way >= self._window.places:
            ended(OffloadCause.QUEUE_FULL)
            return
        request = _Request(self._clock.now, ended)
        self._on_their_way += 1
        self._clock.after(self._link.deadline_s, lambda: self._end(request, OffloadCause.DEADLINE_EXCEEDED))
        self._line.append(request)
        self._send_next()

    def _send_next(self) -> None:
        while self._line and self._sending < self._link.in_flight:
            request = self._line.popleft()
            if not request.over:
                self._sending += 1
                request.sent = True
                self._budget.deposit()
                self._send(request)

    def _send(self, request: _Request) -> None:
        ready = [pod for pod in self._cloud.ready if pod is not request.tried]
        if not ready:
            self._end(request, OffloadCause.CONNECT_FAILED if request.tried is None else OffloadCause.OVERLOADED)
            return
        pair = self._chance.sample(ready, min(2, len(ready)))
        pod = min(pair, key=lambda one: self._at[one.name])
        self._at[pod.name] += 1
        request.tried = pod
        self._clock.after(self._link.round_trip_s / 2, lambda: self._arrive(request, pod))

    def _arrive(self, request: _Request, pod: SimulatedPod) -> None:
        if pod not in self._cloud.ready:
            self._came_back(request, pod, REFUSED)
            return
        until = request.began + self._link.deadline_s
        work = Work(self._clock.now, until, lambda how: self._came_back(request, pod, how))
        self._cloud.station(pod).offer(work)

    def _came_back(self, request: _Request, pod: SimulatedPod, how: str) -> None:
        self._at[pod.name] -= 1
        if request.over:
            return
        if how == DONE:
            self._clock.after(self._link.round_trip_s / 2, lambda: self._end(request, None))
        elif how == REFUSED and not request.again and len(self._cloud.ready) > 1 and self._budget.withdraw():
            request.again = True
            self._send(request)
        else:
            self._end(request, OffloadCause.OVERLOADED if how == REFUSED else OffloadCause.DEADLINE_EXCEEDED)

    def _end(self, request: _Request, cause: OffloadCause | None) -> None:
        if request.over:
            return
        request.over = True
        self._on_their_way -= 1
        self._sending -= request.sent
        if cause is None:
            self._window.answered(self._clock.now - request.began, self._link.deadline_s)
        elif cause is OffloadCause.DEADLINE_EXCEEDED:
            self._window.missed(request.began, self._clock.now)
        request.ended(cause)
        self._send_next()
