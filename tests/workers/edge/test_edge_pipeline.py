"""The frame loop: whatever happens, each frame that leaves the buffer reaches the sinks exactly once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from sedna_py.decision_log import Path
from sedna_py.hard_example_mining import BaseFilter, Decision, make_filter
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import (
    CLOUD_BOXES,
    FakeCloud,
    FakePredictor,
    FakeSource,
    Rig,
    boom,
    frames_of,
    metrics_match,
    number_of,
    sure,
    unsure,
    unsure_of_even,
    until,
)

THREADS = [0, 3]  # the little model answers in the frame loop's thread, or in three of its own
CAUSES_OF_THE_CLIENT = [cause for cause in OffloadCause if cause is not OffloadCause.NO_CLOUD]
pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def fails_on(*numbers):
    def answer(shown):
        return boom(shown) if number_of(shown) in numbers else sure(shown)

    return answer


@pytest.mark.parametrize("threads", THREADS)
def test_easy_frames_keep_the_edges_answer(threads):
    rig = Rig(FakeSource(20), FakePredictor(sure, threads=threads), FakeCloud())
    records = rig.run()
    assert frames_of(records) == list(range(1, 21))
    assert {(r.path, r.hard, r.cause, r.bytes_sent) for r in records} == {(Path.EDGE, False, None, 0)}
    assert all(r.result == r.edge == [[0, 0, 4, 4, 0.9, 0]] and r.cloud is None for r in records)
    assert all(r.latency_ms.edge is not None and r.latency_ms.encode is None for r in records)
    assert rig.cloud.bodies == []
    assert (rig.pipeline.frames, rig.pipeline.hard) == (20, 0)
    assert rig.sink.closed
    assert rig.predictor.closed
    metrics_match(rig)


@pytest.mark.parametrize("threads", THREADS)
def test_hard_frames_get_the_clouds_answer(threads):
    rig = Rig(FakeSource(20), FakePredictor(unsure_of_even, threads=threads), FakeCloud(), waiting=40)
    records = rig.run()
    assert frames_of(records) == list(range(1, 21))
    for record in records:
        hard = record.frame % 2 == 0
        assert (record.hard, record.path) == (hard, Path.CLOUD if hard else Path.EDGE)
        assert record.cloud == (CLOUD_BOXES if hard else None)
        assert record.result == (CLOUD_BOXES if hard else record.edge)
        assert record.bytes_sent == (record.frame + 10 if hard else 0)  # the fake encoding's length
        assert record.score == (0.1 if hard else 0.9)
        assert (record.latency_ms.cloud, record.cause) == (4.0 if hard else None, None)
        assert (record.filter, record.source) == ("Doubt", "fake")
    assert rig.pipeline.hard == 10
    metrics_match(rig)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("mine_first", [False, True])
@pytest.mark.parametrize("cause", CAUSES_OF_THE_CLIENT)
def test_each_cause_leaves_the_edges_answer(cause, mine_first, threads):
    cloud = FakeCloud(lambda _: cause)
    little = FakePredictor(unsure_of_even, threads=threads)
    rig = Rig(FakeSource(12), little, cloud, mine_first=mine_first, waiting=40)
    records = rig.run()
    assert frames_of(records) == list(range(1, 13))
    for record in records:
        hard = record.frame % 2 == 0
        assert (record.path, record.cause) == ((Path.FALLBACK, cause) if hard else (Path.EDGE, None))
        assert record.result == record.edge == [[0, 0, 4, 4, 0.1 if hard else 0.9, 0]]
    assert sorted(little.asked) == list(range(1, 13))
    metrics_match(rig)


def test_an_open_circuit_is_seen_before_encoding():
    cloud = FakeCloud()
    cloud.refuses = True
    rig = Rig(FakeSource(5), FakePredictor(unsure), cloud, encode=boom)
    assert [(r.cause, r.latency_ms.encode) for r in rig.run()] == [(OffloadCause.CIRCUIT_OPEN, None)] * 5


def test_a_frame_that_cannot_be_encoded():
    rig = Rig(FakeSource(3), FakePredictor(unsure), FakeCloud(), encode=boom)
    assert {(r.cause, r.bytes_sent) for r in rig.run()} == {(OffloadCause.ENCODE_FAILED, 0)}


@pytest.mark.parametrize("mine_first", [False, True])
def test_without_a_cloud_hard_frames_say_so(mine_first):
    rig = Rig(FakeSource(6), FakePredictor(unsure_of_even), None, mine_first=mine_first)
    records = rig.run()
    assert [r.cause for r in records] == [None, OffloadCause.NO_CLOUD] * 3
    assert all(r.result == r.edge != [] for r in records)
    metrics_match(rig)


def test_without_a_filter_no_frame_is_hard():
    rig = Rig(FakeSource(4), FakePredictor(unsure), FakeCloud(), filter=None)
    assert {(r.hard, r.reason, r.path) for r in rig.run()} == {(False, "no filter", Path.EDGE)}


@pytest.mark.parametrize("mine_first", [False, True])
def test_a_cloud_that_never_answers_does_not_slow_the_frame_loop(mine_first):
    """A cloud that holds every request: all frames over its places leave while it still holds them."""
    cloud = FakeCloud(lambda _: "hold")
    held = 4
    little = FakePredictor(unsure)
    rig = Rig(FakeSource(200), little, cloud, filter=make_filter("CloudOnly", {}), mine_first=mine_first).start()
    until(lambda: len(rig.sink.results) == 200 - held, "the frames that are not held")
    until(lambda: cloud.holding == 2, "the requests to arrive")
    assert rig.offloader.pending == held
    assert {r.cause for r in rig.sink.records} == {OffloadCause.QUEUE_FULL}
    assert all(r.edge is not None for r in rig.sink.records)
    cloud.release()
    records = rig.join()
    assert frames_of(records) == list(range(1, 201))
    assert [r.path for r in records].count(Path.CLOUD) == held
    assert rig.pipeline.hard == 200
    metrics_match(rig)


def test_the_measuring_mode_asks_the_cloud_for_every_hard_frame():
    rig = Rig(FakeSource(60), FakePredictor(unsure), FakeCloud(), in_flight=1, waiting=0, when_full_wait=True)
    assert {r.path for r in rig.run()} == {Path.CLOUD}
    assert rig.cloud.most_at_once == 1


@pytest.mark.parametrize("threads", THREADS)
def test_a_model_that_fails_on_some_frames_leaves_them_to_the_cloud(threads, caplog):
    little = FakePredictor(fails_on(2, 5), threads=threads)
    rig = Rig(FakeSource(6), little, FakeCloud(lambda n: OffloadCause.OVERLOADED if n == 5 else None))
    records = rig.run()
    assert [r.path for r in records] == [Path.EDGE, Path.CLOUD, Path.EDGE, Path.EDGE, Path.FALLBACK, Path.EDGE]
    failed = records[1]
    assert (failed.edge, failed.result, failed.reason) == (None, CLOUD_BOXES, "the little model failed: RuntimeError")
    assert failed.score is None
    assert (records[4].edge, records[4].result, records[4].cause) == (None, [], OffloadCause.OVERLOADED)
    assert rig.metric(names.EDGE_FRAMES_LOST, cause="model_failed") == 2
    assert caplog.text.count("the little model failed on frame") == 1
    metrics_match(rig)


@pytest.mark.parametrize("answer", [lambda _: [[0, 0, 1, 1, np.nan, 0]], lambda _: [object()]])
def test_an_answer_that_is_no_json_is_a_failure_of_the_model(answer):
    rig = Rig(FakeSource(3), FakePredictor(answer), None)
    assert {(r.reason, r.cause) for r in rig.run()} == {
        ("the little model failed: EstimatorError", OffloadCause.NO_CLOUD)
    }


def test_a_model_that_answers_none_saw_nothing():
    rig = Rig(FakeSource(2), FakePredictor(lambda _: None), None, filter=None)
    assert [(r.edge, r.path) for r in rig.run()] == [([], Path.EDGE)] * 2


class Broken(BaseFilter):
    def __call__(self, infer_result=None):
        raise KeyError("no such class")


@pytest.mark.parametrize("mine_first", [False, True])
def test_a_filter_that_raises_makes_frames_easy_and_is_logged_once(mine_first, caplog):
    rig = Rig(FakeSource(5), FakePredictor(unsure), FakeCloud(), filter=Broken(), mine_first=mine_first)
    assert {(r.hard, r.path, r.reason) for r in rig.run()} == {(False, Path.EDGE, "the filter failed: KeyError")}
    assert caplog.text.count("its frames count as easy") == 1


def test_a_filter_with_numpy_answers():
    class Numpy(BaseFilter):
        def __call__(self, infer_result=None):
            return Decision(np.float32(infer_result[0][4]) < 0.5, "numpy", np.float32(np.nan))

    records = Rig(FakeSource(2), FakePredictor(unsure), None, filter=Numpy()).run()
    assert [(r.hard, r.score) for r in records] == [(True, None)] * 2
    assert all(r.to_line().endswith("\n") for r in records)


def test_a_filter_is_asked_by_one_thread_at_a_time():
    class Alone(BaseFilter):
        inside = 0

        def __call__(self, infer_result=None):
            Alone.inside += 1
            alone = Alone.inside == 1
            threading.Event().wait(0.001)
            Alone.inside -= 1
            return Decision(not alone, "alone")

    rig = Rig(FakeSource(60), FakePredictor(sure, threads=4), None, filter=Alone())
    assert not any(r.hard for r in rig.run())


def test_mining_first_judges_the_raw_frame_in_rgb():
    seen = []

    class Look(BaseFilter):
        def __call__(self, infer_result=None):
            seen.append((infer_result[0, 0].tolist(), infer_result.flags["C_CONTIGUOUS"], infer_result.shape))
            return Decision(False, "seen")

    class Blue(FakeSource):
        def __iter__(self):
            yield np.full((2, 3, 3), (255, 100, 7), np.uint8)  # BGR

    rig = Rig(Blue(1), FakePredictor(sure), None, filter=Look(), mine_first=True)
    rig.run()
    assert seen == [([7, 100, 255], True, (2, 3, 3))]
    assert rig.predictor.asked == [255]  # the model still gets BGR


@pytest.mark.parametrize("threads", THREADS)
def test_mining_first_asks_one_model_only_when_the_cloud_answers(threads):
    little = FakePredictor(sure, threads=threads)
    rig = Rig(FakeSource(20), little, FakeCloud(), mine_first=True, waiting=40)
    records = rig.run()
    for record in records:
        even = record.frame % 2 == 0
        assert (record.path, record.edge is None) == ((Path.CLOUD, True) if even else (Path.EDGE, False))
        assert (record.latency_ms.edge is None) == even
    assert sorted(little.asked) == list(range(1, 21, 2))
    assert frames_of(records) == list(range(1, 21))
    metrics_match(rig)


@pytest.mark.parametrize("cloud", [None, FakeCloud(lambda _: OffloadCause.OVERLOADED)])
def test_mining_first_asks_a_failing_model_only_once(cloud):
    little = FakePredictor(boom)
    rig = Rig(FakeSource(4), little, cloud, mine_first=True)
    records = rig.run()
    assert sorted(little.asked) == [1, 2, 3, 4]
    assert {(r.path, r.hard, tuple(r.result)) for r in records} == {(Path.FALLBACK, True, ())}
    assert [r.reason for r in records] == ["the little model failed: RuntimeError", "even"] * 2
    assert rig.metric(names.EDGE_FRAMES_LOST, cause="model_failed") == 4
    assert rig.pipeline.hard == 4
    metrics_match(rig)
