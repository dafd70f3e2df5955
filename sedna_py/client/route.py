"""Which way requests take to the cloud, for metrics and for one line when it changes: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sedna_py.client.balancer import PodState

OK: Final = "ok"  # the outcome of an attempt that was answered; else it is the cause of its failure


class Route(StrEnum):
    """The ways, best first."""

    PODS = "pods"  # straight to a pod that DNS names
    SERVICE = "service"  # by the Service's address
    NONE = "none"  # nobody answers: the edge's own answers stand


class RetryCause(StrEnum):
    """Why a request was sent a second time."""

    CONNECT_FAILED = "connect_failed"
    CONNECTION_LOST = "connection_lost"
    NOT_READY = "not_ready"  # 503
    OVERLOADED = "overloaded"  # 429


@dataclass(frozen=True, slots=True)
class RouteFigures:
    """What a client did so far. `attempts` counts by route and by OK or the cause of a failure."""

    route: Route
    attempts: Mapping[tuple[Route, str], int]
    retries: Mapping[RetryCause, int]
    pods: Mapping[PodState, int]


class RouteCounts:
    """The counters behind RouteFigures; written by one thread, read by any."""

    def __init__(self) -> None:
        self.attempts: Counter[tuple[Route, str]] = Counter()
        self.retries: Counter[RetryCause] = Counter()
        self.trouble = ""  # the last failure, for people

    def figures(self, route: Route, pods: Mapping[PodState, int]) -> RouteFigures:
        """Return a copy of the figures."""
        return RouteFigures(route, dict(self.attempts), dict(self.retries), pods)


class RouteNews:
    """Says that the route changed, once and not at every flicker.

    `service` and `pods` are names for people; `pods` is empty where none are configured. In the first `settle_s` seconds DNS
    may not have answered yet; between two lines there are at least `quiet_s` seconds.
    """

    def __init__(self, service: str, pods: str, now: float, *, settle_s: float = 3.0, quiet_s: float = 5.0) -> None:
        self._service = service
        self._pods = pods
        self._quiet_s = quiet_s
        self._said = Route.PODS if pods else Route.SERVICE
        self._said_at = now + settle_s - quiet_s

    def look(self, route: Route, trouble: str, now: float, *, asleep: bool = False) -> str | None:
        """Return the line to log now, None if there is nothing new; `trouble` is the last failure.

        `asleep`: no way, as the cloud is scaled to zero.
        """
        if route is self._said or now - self._said_at < self._quiet_s:
            return None
        self._said, self._said_at = route, now
        why = f" ({trouble})" if trouble else ""
        if route is Route.NONE and asleep:
            return f"cloud: {self._service} is asleep and was asked to wake, the edge's own answers stand until then"
        if route is Route.NONE:
            return f"cloud: {self._service} does not answer{why}, the edge's own answers stand"
        if route is Route.PODS:
            return f"cloud: the pods of {self._pods} answer, using them"
        if self._pods:
            return f"cloud: the pods of {self._pods} are unreachable{why}, using the Service {self._service}"
        return f"cloud: {self._service} answers again"
