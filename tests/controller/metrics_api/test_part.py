"""The part as a whole: pods of a store, workers on loopback, values by path."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from controller.metrics import ControllerMetrics
from controller.metrics_api.part import MetricsApi
from controller.metrics_api.paths import MetricPath, metric_path
from controller.metrics_api.registration import SERVICE
from controller.metrics_api.selectors import Selector, parse_selector
from controller.settings import ControllerSettings
from controller.store import Store
from sedna_py.api.child_names import Role
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from sedna_py.protocol.reported_signals import write_signals
from tests.controller.fakes import FakeCluster, until
from tests.controller.metrics_api.test_worker_pods import pod, store_with
from tests.controller.one_service import helmet
from tests.refused_documents import changed

ALL = MetricPath("v1beta2", "shop", "pods", "*", names.SIGNAL_CONCURRENCY)
LOAD = MetricPath("v1beta2", "shop", "jointinferenceservices.sedna.io", "helmet", names.SIGNAL_EXPECTED_CLOUD_LOAD)


def counted(at: float, present_s: float, hard: float | None = None) -> Snapshot:
    return Snapshot(at, 1.0, present_s * 10, present_s * 10, 0, present_s, 0, present_s, 1.0, hard=hard)


class Site:
    """The part with a store; `server` answers for each worker with 2 requests inside, by its own clock."""

    def __init__(self, store: Store, **settings: Any) -> None:
        self.cluster = FakeCluster()
        self.registry = CollectorRegistry()
        self.store = store
        self.settings = ControllerSettings(http_host="127.0.0.1", metrics_api_port=0, **settings)

    async def __aenter__(self) -> Site:
        self.server = await asyncio.start_server(self.answer, "0.0.0.0", 0)
        port = self.server.sockets[0].getsockname()[1]
        metrics = ControllerMetrics(self.registry)
        self.part = MetricsApi(self.cluster, self.store, self.settings, metrics, port=port)
        self.running = asyncio.create_task(self.part.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        self.server.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                now = time.monotonic() + 5000
                body = json.dumps(write_signals(counted(now, now * 2))).encode()
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    def values(self, path: MetricPath = ALL, selector: str = "") -> dict[str, float]:
        return {one.name: one.value for one in self.part.find(path, parse_selector(selector))}


def play(scenario: Callable[[Site], Awaitable[None]], *pods: dict[str, Any], **settings: Any) -> Site:
    site = Site(store_with(*pods), **settings)

    async def main() -> None:
        async with site:
            await scenario(site)

    asyncio.run(main())
    return site


def at(number: int) -> dict[str, Any]:
    return pod(f"p{number}", podIP=f"127.0.2.{number}")


def test_pods_are_read_and_found_by_their_names_and_labels():
    async def scenario(site: Site) -> None:
        await until(lambda: len(site.values()) == 2, 15)
        assert site.values() == {"p1": pytest.approx(2.0), "p2": pytest.approx(2.0)}
        assert set(site.values(MetricPath("v1beta2", "shop", "pods", "p2", names.SIGNAL_CONCURRENCY))) == {"p2"}
        assert site.values(MetricPath("v1beta2", "elsewhere", "pods", "*", names.SIGNAL_CONCURRENCY)) == {}
        assert site.values(MetricPath("v1beta2", "shop", "nodes", "*", names.SIGNAL_CONCURRENCY)) == {}
        assert site.values(MetricPath("v1beta2", "shop", "pods", "*", "sedna_nothing")) == {}
        assert len(site.values(selector="jointinferenceservice.sedna.io/worker-type=cloud")) == 2
        assert site.values(selector="jointinferenceservice.sedna.io/worker-type=edge") == {}
        page = generate_latest(site.registry).decode()
        assert "sedna_controller_scraped_pods 2.0" in page
        assert 'sedna_controller_metrics_api{state="no_service"} 1.0' in page
        [value] = site.part.find(MetricPath("v1beta2", "shop", "pods", "p1", names.SIGNAL_CONCURRENCY), Selector())
        assert abs(time.time() - value.at.timestamp()) < 5

    play(scenario, at(1), at(2))


def test_the_edges_reports_make_the_early_warning():
    async def scenario(site: Site) -> None:
        await until(lambda: len(site.values()) == 1, 15)
        now = time.monotonic()
        for later, hard in ((-4.0, 0.0), (-2.0, 20.0), (0.0, 40.0)):
            site.part.take("shop", "edge", counted(9 + later, 1.0, hard), now + later)
        site.part.take("shop", "nobody", counted(9, 1.0, 7.0), now)
        await until(lambda: site.values(LOAD) != {}, 15)
        # 10 hard frames a second, each a tenth of a second of one stream
        assert site.values(LOAD) == {"helmet": pytest.approx(1.0)}
        assert site.values(_named("other")) == {}
        assert site.values(_named("*")) == site.values(LOAD)

    play(scenario, at(1), pod("edge", role=Role.EDGE))


def _named(name: str) -> MetricPath:
    return MetricPath(LOAD.version, LOAD.namespace, LOAD.resource, name, LOAD.metric)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"metrics_api": False}, "METRICS_API is false"),
        ({"namespaces": ("shop",)}, "only some namespaces are served"),
    ],
)
def test_it_is_off_with_a_reason(settings, reason, caplog):
    caplog.set_level("INFO")

    async def scenario(site: Site) -> None:
        await until(lambda: 'state="off"' in generate_latest(site.registry).decode())
        await asyncio.sleep(0)
        assert reason in caplog.text
        assert site.values() == {}
        assert SERVICE not in str(site.cluster.calls)

    site = play(scenario, at(1), **settings)
    if "namespaces" in settings:
        assert site.cluster.calls == []


@pytest.mark.parametrize("settings", [{"metrics_api": False}, {"namespaces": ("shop",)}, {}])
def test_a_worker_that_may_sleep_is_read_even_where_nobody_is_served_with_our_time_of_the_reading(settings):
    """The clock of its counters is another machine's; that of `latest` decides whether it is known to be idle."""

    async def scenario(site: Site) -> None:
        block = {"minReplicas": 0, "maxReplicas": 3}
        site.store.put_service(
            changed(changed(helmet(), "spec.cloudWorker.hpa", block), "metadata.resourceVersion", "9")
        )
        await until(lambda: site.part.values.latest("uid-p1") is not None, 15)
        newest = site.part.values.latest("uid-p1")
        assert newest is not None
        assert 0 <= time.monotonic() - newest.at < 10
        assert site.part.values.latest("nobody") is None

    play(scenario, at(1), **settings)


def test_one_that_may_not_sleep_is_not_read_where_nobody_is_served():
    async def scenario(site: Site) -> None:
        await until(lambda: 'state="off"' in generate_latest(site.registry).decode())
        site.part._look()
        assert len(site.part.scraper) == 0

    play(scenario, at(1), metrics_api=False)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/%2A/m",
            MetricPath("v1beta2", "shop", "pods", "*", "m"),
        ),
        (
            "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/a.b/x/m/",
            MetricPath("v1beta1", "shop", "a.b", "x", "m"),
        ),
        ("/apis/custom.metrics.k8s.io/v1beta3/namespaces/shop/pods/x/m", None),
        ("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/x", None),
        ("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/x/m/n", None),
        ("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop//x/m", None),
        ("/apis/metrics.k8s.io/v1beta2/namespaces/shop/pods/x/m", None),
        ("/apis/custom.metrics.k8s.io/v1beta2", None),
        ("/", None),
    ],
)
def test_paths(path, found):
    assert metric_path(path) == found
