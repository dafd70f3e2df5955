"""What the cloud client did, as Prometheus metrics: read when somebody asks, so that a request pays nothing for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sedna_py.client.balancer import PodState
from sedna_py.client.route import OK, RetryCause, Route, RouteFigures
from sedna_py.metrics import names

NO_CLOUD = RouteFigures(Route.NONE, {}, {}, {})


class RouteCollector(Collector):
    """Renders the figures that `read` returns; until `watch` there is no cloud."""

    def __init__(self) -> None:
        self._read: Callable[[], RouteFigures] = lambda: NO_CLOUD

    def watch(self, read: Callable[[], RouteFigures]) -> None:
        """Render what `read` returns from now on."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        figures = self._read()
        attempts = CounterMetricFamily(
            names.EDGE_CLOUD_ATTEMPTS, "Requests sent to the cloud, repeated ones again", labels=["route", "outcome"]
        )
        always = {(route, OK): 0 for route in (Route.PODS, Route.SERVICE)}
        for (route, outcome), count in {**always, **figures.attempts}.items():
            attempts.add_metric([route.value, outcome], count)
        retries = CounterMetricFamily(names.EDGE_CLOUD_RETRIES, "Requests sent a second time", labels=["cause"])
        for cause in RetryCause:
            retries.add_metric([cause.value], figures.retries.get(cause, 0))
        current = GaugeMetricFamily(names.EDGE_CLOUD_ROUTE, "1 for the way to the cloud in use", labels=["route"])
        for route in Route:
            current.add_metric([route.value], route is figures.route)
        pods = GaugeMetricFamily(names.EDGE_CLOUD_PODS, "Pods of the cloud worker that DNS names", labels=["state"])
        for state in PodState:
            pods.add_metric([state.value], figures.pods.get(state, 0))
        yield from (attempts, retries, current, pods)
