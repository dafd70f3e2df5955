"""The edge worker's counters."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import generate_latest

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


def test_what_is_watched_is_read_when_somebody_asks():
    metrics, lengths = EdgeMetrics(), [3, 5, 7]
    metrics.watch(*(lambda i=i: lengths[i] for i in range(3)))
    metrics.collect()
    assert value(metrics, names.EDGE_FRAMES_WAITING) == 3
    assert value(metrics, names.EDGE_OFFLOADS_WAITING) == 5
    assert value(metrics, names.EDGE_FRAMES_LOST, cause="buffer_full") == 7
    lengths[:] = [0, 1, 9]
    metrics.collect()
    assert value(metrics, names.EDGE_FRAMES_WAITING) == 0
    assert value(metrics, names.EDGE_OFFLOADS_WAITING) == 1
    assert value(metrics, names.EDGE_FRAMES_LOST, cause="buffer_full") == 9


def test_two_pipelines_fit_into_one_process():
    EdgeMetrics().watch(int, int, int)
    EdgeMetrics().watch(int, int, int)


def test_dropped_frames_are_counted_once_when_two_ask_at_the_same_time():
    metrics = EdgeMetrics()
    both = threading.Barrier(2)

    def dropped() -> int:
        # The second asker may not come in while the first one reads: then this barrier breaks, which is fine.
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.05)
        return 4

    metrics.watch(int, int, dropped)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: metrics.collect(), range(2)))
    assert value(metrics, names.EDGE_FRAMES_LOST, cause="buffer_full") == 4


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
