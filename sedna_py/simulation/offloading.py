"""From edge to cloud in a simulation: the client's own window, circuit, balancer and budget, without its connections."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sedna_py.client.balancer import Balancer, BalancerPolicy, Pod, Verdict
from sedna_py.client.circuit_breaker import CircuitBreaker, Outcome, Permit
from sedna_py.client.offload_window import TOO_MUCH, OffloadWindow
from sedna_py.client.retry_budget import RetryBudget
from sedna_py.client.settings import ClientSettings
from sedna_py.protocol.causes import OffloadCause
from sedna_py.simulation.clock import Clock
from sedna_py.simulation.pods import CloudPods
from sedna_py.simulation.station import DONE, REFUSED, Work

# Told what became of it (None: the cloud has answered), and the seconds since it was sent.
Ended = Callable[[OffloadCause | None, float], None]
LOOKUP_S: Final = 1.0  # between two looks at which pods there are, a fifth more or less
_JITTER: Final = 0.2


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
    sent_at: float = 0.0
    permit: Permit | None = None  # once it is sent
    over: bool = False
    at: Pod | None = None  # where it is now
    tried: str | None = None  # where it was refused


class Offloader:
    """One edge worker's way to the cloud's pods. It knows of a pod that came or went at its next look."""

    def __init__(self, clock: Clock, cloud: CloudPods, link: Link, chance: random.Random) -> None:
        self._clock = clock
        self._cloud = cloud
        self._link = link
        self._chance = chance
        self._window = OffloadWindow(link.in_flight + link.waiting)
        settings = ClientSettings()
        self._breaker = CircuitBreaker(settings.breaker_policy(), chance)
        self._balancer = Balancer(BalancerPolicy(), chance)
        self._budget = RetryBudget.for_requests(settings.retry_ratio, link.in_flight)
        self._pending = 0
        self._sending = 0
        self._line: deque[_Request] = deque()
        self._look()

    def ask(self, ended: Ended) -> None:
        """Ask the cloud; `ended` is told once what became of it."""
        now = self._clock.now
        if self._breaker.would_refuse(now):
            ended(OffloadCause.CIRCUIT_OPEN, 0.0)
            return
        if self._pending >= self._window.places:
            ended(OffloadCause.QUEUE_FULL, 0.0)
            return
        request = _Request(now, ended)
        self._pending += 1
        self._clock.after(self._link.deadline_s, lambda: self._end(request, OffloadCause.DEADLINE_EXCEEDED))
        self._line.append(request)
        self._send_next()

    def _look(self) -> None:
        now = self._clock.now
        self._balancer.update([pod.name for pod in self._cloud.ready], now)
        self._probe()
        self._clock.after(LOOKUP_S * self._chance.uniform(1 - _JITTER, 1 + _JITTER), self._look)

    def _probe(self) -> None:
        for pod in self._balancer.due(self._clock.now):
            self._balancer.probed(pod, Verdict.ANSWERED, self._clock.now)

    def _send_next(self) -> None:
        while self._line and self._sending < self._link.in_flight:
            request = self._line.popleft()
            if request.over:
                continue
            permit = self._breaker.allow(self._clock.now)
            if not isinstance(permit, Permit):
                self._end(request, OffloadCause.CIRCUIT_OPEN)
                continue
            self._sending += 1
            request.permit, request.sent_at = permit, self._clock.now
            self._budget.deposit()
            self._send(request)

    def _send(self, request: _Request) -> None:
        self._probe()
        request.at = self._balancer.choose([request.tried] if request.tried is not None else [])
        if request.at is not None:
            name = request.at.address
        elif self._cloud.ready:
            name = self._chance.choice(self._cloud.ready).name
        else:
            self._end(request, OffloadCause.CONNECT_FAILED)
            return
        self._clock.after(self._link.round_trip_s / 2, lambda: self._arrive(request, name))

    def _arrive(self, request: _Request, name: str) -> None:
        until = request.began + self._link.deadline_s
        work = Work(self._clock.now, until, lambda how: self._came_back(request, how))
        self._cloud.station(name).offer(work)

    def _came_back(self, request: _Request, how: str) -> None:
        if request.over:
            return
        if how == DONE:
            self._clock.after(self._link.round_trip_s / 2, lambda: self._end(request, None))
        elif how == REFUSED and self._may_try_again(request):
            request.tried = self._settle(request, Verdict.ANSWERED)
            self._send(request)
        else:
            self._end(request, OffloadCause.OVERLOADED if how == REFUSED else OffloadCause.DEADLINE_EXCEEDED)

    def _may_try_again(self, request: _Request) -> bool:
        if request.tried is not None or request.at is None or not self._balancer.others(request.at):
            return False
        return self._budget.withdraw()

    def _settle(self, request: _Request, verdict: Verdict) -> str | None:
        """Tell the balancer how it went, once; return where the request was."""
        pod, request.at = request.at, None
        if pod is None:
            return None
        self._balancer.settle(pod, verdict, self._clock.now)
        return pod.address

    def _end(self, request: _Request, cause: OffloadCause | None) -> None:
        if request.over:
            return
        request.over = True
        now, took_s = self._clock.now, 0.0
        self._pending -= 1
        self._settle(request, Verdict.NO_ANSWER if cause is OffloadCause.DEADLINE_EXCEEDED else Verdict.ANSWERED)
        if request.permit is not None:
            self._sending -= 1
            took_s = now - request.sent_at
            # A refusal shows that the cloud lives.
            lives = cause is None or cause is OffloadCause.OVERLOADED
            self._breaker.resolve(request.permit, Outcome.SUCCESS if lives else Outcome.FAILURE, now)
        if cause is None:
            self._window.answered(now - request.began, self._link.deadline_s)
        elif cause in TOO_MUCH:
            self._window.missed(request.began, now)
        request.ended(cause, took_s)
        self._send_next()
