"""The edge worker's counters."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import generate_latest

from sedna_py.client.balancer import PodState
from sedna_py.client.route import RetryCause, Route, RouteFigures
from sedna_py.metrics import names
from tests.workers.edge.fakes import make_frame
from workers.edge.metrics import EdgeMetrics


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_it_can_be_asked_before_there_is_anything_to_watch():
    metrics = EdgeMetrics()
    metrics.collect()
    text = generate_latest(metrics.registry).decode()
    for name in (names.EDGE_FRAMES_WAITING, names.EDGE_OFFLOADS_WAITING):
        assert f"\n{name} 0.0\n" in text
    for path in ("edge", "cloud", "fallback"):
        assert f'{names.EDGE_FRAMES}{{path="{path}"}} 0.0' in text


class Buffer:
    """The counters of a FrameBuffer."""

    taken_in, dropped, too_old, discarded, lost, waiting = 20, 7, 5, 2, 0, 3

    def __len__(self) -> int:
        return self.waiting


def test_what_is_watched_is_read_when_somebody_asks():
    metrics, buffer, others = EdgeMetrics(), Buffer(), [5, 1]
    metrics.watch(buffer, lambda: others[0], lambda: others[1])

    def look():
        metrics.collect()
        return [
            value(metrics, names.EDGE_FRAMES_WAITING),
            value(metrics, names.EDGE_OFFLOADS_WAITING),
            value(metrics, names.EDGE_FRAMES_READ),
            value(metrics, names.EDGE_FRAMES_LOST, cause="buffer_full"),
            value(metrics, names.EDGE_FRAMES_LOST, cause="too_old"),
            value(metrics, names.EDGE_FRAMES_LOST, cause="shutdown"),
            value(metrics, names.EDGE_SOURCE_OUTAGES),
        ]

    assert look() == [3, 5, 20, 7, 5, 2, 1]
    assert look() == [3, 5, 20, 7, 5, 2, 1]
    buffer.waiting, buffer.taken_in, buffer.dropped, buffer.too_old, buffer.discarded = 0, 30, 9, 6, 4
    others[:] = [1, 2]
    assert look() == [0, 1, 30, 9, 6, 4, 2]


def test_two_pipelines_fit_into_one_process():
    EdgeMetrics().watch(Buffer())
    EdgeMetrics().watch(Buffer())


def test_dropped_frames_are_counted_once_when_two_ask_at_the_same_time():
    metrics = EdgeMetrics()
    both = threading.Barrier(2)

    class Slow(Buffer):
        @property
        def dropped(self) -> int:
            # The second asker may not come in while the first one reads: then this barrier breaks, which is fine.
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.05)
            return 4

    metrics.watch(Slow())
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: metrics.collect(), range(2)))
    assert value(metrics, names.EDGE_FRAMES_LOST, cause="buffer_full") == 4


def test_without_a_cloud_the_route_is_none():
    metrics = EdgeMetrics()
    assert value(metrics, names.EDGE_CLOUD_ROUTE, route="none") == 1
    assert value(metrics, names.EDGE_CLOUD_ATTEMPTS, route="service", outcome="ok") == 0


def test_the_clients_figures_are_read_when_somebody_asks():
    metrics = EdgeMetrics()
    attempts = {(Route.PODS, "ok"): 5, (Route.SERVICE, "overloaded"): 2}
    pods = {PodState.READY: 3, PodState.QUARANTINED: 1}
    metrics.route.watch(lambda: RouteFigures(Route.PODS, attempts, {RetryCause.NOT_READY: 4}, pods))
    assert [value(metrics, names.EDGE_CLOUD_ROUTE, route=r) for r in ("pods", "service", "none")] == [1, 0, 0]
    assert value(metrics, names.EDGE_CLOUD_ATTEMPTS, route="pods", outcome="ok") == 5
    assert value(metrics, names.EDGE_CLOUD_ATTEMPTS, route="service", outcome="overloaded") == 2
    assert value(metrics, names.EDGE_CLOUD_RETRIES, cause="not_ready") == 4
    assert value(metrics, names.EDGE_CLOUD_RETRIES, cause="overloaded") == 0
    assert value(metrics, names.EDGE_CLOUD_PODS, state="ready") == 3
    assert value(metrics, names.EDGE_CLOUD_PODS, state="draining") == 0


def test_failures_of_the_model_are_counted_from_many_threads_and_logged_once(caplog):
    metrics = EdgeMetrics()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: metrics.model_failed(make_frame(n), ValueError("odd")), range(400)))
    assert value(metrics, names.EDGE_FRAMES_LOST, cause="model_failed") == 400
    assert caplog.text.count("the little model failed") == 1
    assert "ValueError: odd" in caplog.text


@pytest.mark.parametrize("sink", ["decisions", "video"])
def test_sink_errors_are_counted_by_sink(sink):
    metrics = EdgeMetrics()
    metrics.sink_failed(sink)
    assert value(metrics, names.EDGE_SINK_ERRORS, sink=sink) == 1
