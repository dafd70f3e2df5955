"""Answer now, amend later: who gets which answers when, and that each frame is closed once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sedna_py.decision_log import Emit, Path, closing
from sedna_py.hard_example_mining import Decision, make_filter
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
    make_result,
    metrics_match,
    number_of,
    sure,
    unsure,
    unsure_of_even,
    until,
)
from workers.edge.decision import CloudAnswer
from workers.edge.sinks import video as video_module
from workers.edge.sinks.upstream_folders import UpstreamFoldersSink
from workers.edge.sinks.video import VideoSink

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
EMITS_OF_HARD = [Emit.FIRST, Emit.CORRECTION]
HARD = Decision(True, "hard", 0.1)


def edge_first(*parts, **options):
    return Rig(*parts, edge_first=True, **options)


def emits(rig, frame):
    return [record.emit for record in rig.sink.records if record.frame == frame]


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize("mine_first", [False, True])
@pytest.mark.parametrize("cause", [None, OffloadCause.OVERLOADED, OffloadCause.CONNECTION_LOST])
def test_a_hard_frame_has_a_first_answer_and_then_one_that_closes_it(cause, mine_first, threads, monkeypatch):
    # All are asked about: an overloaded cloud is not given fewer, as it may be before the last of them come.
    monkeypatch.setattr("workers.edge.offload.TOO_MUCH", frozenset())
    little = FakePredictor(unsure_of_even, threads=threads)
    rig = edge_first(FakeSource(20), little, FakeCloud(lambda _: cause), mine_first=mine_first, waiting=40)
    rig.run()
    assert frames_of(sorted(closing(rig.records), key=lambda record: record.frame)) == list(range(1, 21))
    for record in rig.records:
        assert emits(rig, record.frame) == ([Emit.FINAL] if record.frame % 2 else EMITS_OF_HARD)
        if record.emit is Emit.FIRST:
            assert (record.path, record.cause, record.cloud, record.hard) == (Path.EDGE, None, None, True)
            assert (record.result, record.bytes_sent) == (record.edge, 0)
        elif record.emit is Emit.CORRECTION:
            assert (record.path, record.cause) == (Path.CLOUD if cause is None else Path.FALLBACK, cause)
            assert record.result == (CLOUD_BOXES if cause is None else record.edge)
    firsts = {record.frame: record for record in rig.records if record.emit is Emit.FIRST}
    for record in rig.records:
        if record.emit is Emit.CORRECTION:
            first = firsts[record.frame]
            assert (record.run, record.source, record.captured) == (first.run, first.source, first.captured)
            assert record.edge == first.edge is not None  # also where the frame was judged before it was inferred
    assert sorted(little.asked) == list(range(1, 21))  # once, also where the cloud fails
    metrics_match(rig)
    what = "changed" if cause is None else "no_answer"
    assert rig.metric(names.EDGE_CORRECTIONS, change=what) == 10
    assert rig.metric(f"{names.EDGE_STAGE_SECONDS}_count", stage="first") == 20


def test_the_first_answer_does_not_wait_for_the_cloud():
    cloud = FakeCloud(lambda _: "hold")
    rig = edge_first(FakeSource(4), FakePredictor(unsure), cloud).start()
    until(lambda: len(rig.sink.records) == 4, "the first answers")
    assert {record.emit for record in rig.sink.records} == {Emit.FIRST}
    assert (rig.buffer.out, rig.metric(names.EDGE_FRAMES, path="edge")) == (
        4,
        0,
    )  # they are inside until they are closed
    until(lambda: cloud.holding == 2, "the requests to arrive")
    cloud.release()
    rig.join()
    assert [emits(rig, frame) for frame in range(1, 5)] == [EMITS_OF_HARD] * 4
    assert rig.buffer.out == 0


def test_a_frame_that_the_cloud_is_not_even_asked_about_has_one_answer():
    cloud = FakeCloud()
    cloud.refuses = True
    refused, without = (
        edge_first(FakeSource(3), FakePredictor(unsure), cloud),
        edge_first(predictor=FakePredictor(unsure)),
    )
    for rig, cause in ((refused, OffloadCause.CIRCUIT_OPEN), (without, OffloadCause.NO_CLOUD)):
        assert {(r.emit, r.path, r.cause) for r in rig.run()} == {(Emit.FINAL, Path.FALLBACK, cause)}
        metrics_match(rig)


@pytest.mark.parametrize("mine_first", [False, True])
def test_where_the_little_model_failed_there_is_no_first_answer(mine_first):
    hard = make_filter("CloudOnly", {})
    rig = edge_first(FakeSource(4), FakePredictor(boom), FakeCloud(), filter=hard, mine_first=mine_first)
    assert {(r.emit, r.path, r.edge is None) for r in rig.run()} == {(Emit.FINAL, Path.CLOUD, True)}
    metrics_match(rig)


def test_what_is_under_way_at_the_end_is_closed():
    cloud = FakeCloud(lambda _: "hold for ever")
    rig = edge_first(FakeSource(3, live=True), FakePredictor(unsure), cloud, deadline_s=0.05).start()
    until(lambda: len(rig.sink.records) == 3 and cloud.holding == 2, "the first answers, and the requests to arrive")
    rig.pipeline.stop()
    rig.offloader.close()
    rig.join()
    assert frames_of(closing(rig.records)) == frames_of([r for r in rig.records if r.emit is Emit.FIRST]) == [1, 2, 3]


@pytest.mark.parametrize(("cloud", "change"), [([[0, 0, 4, 4, 0.8, 0]], "same"), ([], "changed")])
def test_corrections_that_change_nothing_are_counted_apart(cloud, change, monkeypatch):
    monkeypatch.setattr("tests.workers.edge.fakes.CLOUD_BOXES", cloud)
    rig = edge_first(FakeSource(2), FakePredictor(unsure), FakeCloud())
    rig.run()
    assert rig.metric(names.EDGE_CORRECTIONS, change=change) == 2


# --- sinks


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folders_get_the_first_answer_and_then_what_replaces_it(tmp_path):
    shown = np.zeros((80, 100, 3), np.uint8)
    edge, cloud = [[10, 20, 40, 50, 0.4, 0]], [[60, 30, 90, 70, 0.9, 3]]
    folders = [tmp_path / name for name in ("all", "cloud", "edge")]
    sink = UpstreamFoldersSink(*map(str, folders))

    def result(**progress):
        return make_result(1, shown=shown, decision=HARD, edge=edge, **progress)

    sink.write(result())
    first = [written(folder) for folder in folders]
    assert [list(pictures) for pictures in first] == [["1.jpeg"], [], ["1.jpeg"]]
    sink.write(result(amends=True, answer=CloudAnswer(None, OffloadCause.OVERLOADED)))
    assert [written(folder) for folder in folders] == first  # the edge's answer stands
    sink.write(result(amends=True, answer=CloudAnswer(cloud, None)))
    all_, from_cloud, from_edge = (written(folder) for folder in folders)
    assert from_edge == first[2]
    assert all_ == from_cloud != first[0]


def boxes_drawn(monkeypatch):
    """Return what is drawn on each frame, by its number, as the video is written."""
    drawn = []

    def draw(picture, boxes, labels=()):
        drawn.append((number_of(picture), boxes))
        return picture

    monkeypatch.setattr(video_module, "draw_boxes", draw)
    return drawn


def test_the_video_goes_on_without_the_cloud_and_carries_its_word_to_later_frames(tmp_path, monkeypatch):
    drawn, path = boxes_drawn(monkeypatch), tmp_path / "v.avi"
    sink = VideoSink(path, 25.0)
    edge, cloud = [[0, 0, 8, 8, 0.1, 0]], [[0, 0, 8, 8, 0.99, 1]]

    def write(number, **progress):
        sink.write(make_result(number, shown=np.full((48, 64, 3), number, np.uint8), edge=edge, **progress))

    write(1, decision=HARD)
    write(2, decision=HARD)
    write(3)
    assert [number for number, _ in drawn] == [1, 2, 3]
    write(1, decision=HARD, amends=True, answer=CloudAnswer(cloud, None))
    write(2, decision=HARD, amends=True, answer=CloudAnswer(None, OffloadCause.OVERLOADED))  # says nothing
    write(4)
    write(5, decision=HARD, answer=CloudAnswer(None, OffloadCause.CIRCUIT_OPEN))
    sink.close()
    assert drawn == [(1, edge), (2, edge), (3, edge), (4, cloud), (5, cloud)]
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    capture.release()


def test_a_correction_that_is_there_before_its_frame_is_drawn_is_drawn_on_it(tmp_path, monkeypatch):
    drawn, sink = boxes_drawn(monkeypatch), VideoSink(tmp_path / "v.avi", 25.0)
    cloud = [[0, 0, 8, 8, 0.99, 1]]
    shown = np.full((48, 64, 3), 2, np.uint8)
    sink.write(make_result(2, shown=shown, edge=[], decision=HARD))
    sink.write(make_result(2, shown=shown, edge=[], decision=HARD, amends=True, answer=CloudAnswer(cloud, None)))
    sink.write(make_result(1, shown=shown - 1, edge=[]))
    sink.close()
    assert [number for number, _ in drawn] == [1, 2]
    assert drawn[1] == (2, cloud)


def test_the_display_threshold_holds_for_corrections_too(tmp_path, monkeypatch):
    drawn, sink = boxes_drawn(monkeypatch), VideoSink(tmp_path / "v.avi", 25.0, threshold=0.5)
    shown = np.full((48, 64, 3), 1, np.uint8)
    weak = [[0, 0, 8, 8, 0.2, 0]]
    sink.write(make_result(1, shown=shown, edge=weak, decision=HARD, amends=True, answer=CloudAnswer([], None)))
    sink.write(make_result(1, shown=shown, edge=[[0, 0, 8, 8, 0.9, 0]]))  # what was not shown was not denied
    sink.close()
    assert drawn == [(1, [[0, 0, 8, 8, 0.9, 0]])]


def test_final_is_the_default_and_has_one_answer_a_frame():
    rig = Rig(FakeSource(10), FakePredictor(unsure_of_even), FakeCloud(), waiting=40)
    assert {record.emit for record in rig.run()} == {Emit.FINAL}
    assert Rig(predictor=FakePredictor(sure)).run()[0].emit is Emit.FINAL
