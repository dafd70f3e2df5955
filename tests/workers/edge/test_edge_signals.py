"""What an edge worker counts for autoscalers: of the little model's work, frame by frame."""

from __future__ import annotations

import threading
import time

import pytest

from sedna_py.autoscaling.exposition import parse_snapshot
from sedna_py.autoscaling.signals import signals
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import (
    PATIENCE_S,
    FakeCloud,
    FakePredictor,
    FakeSource,
    Rig,
    make_frame,
    metrics_match,
    number_of,
    sure,
    unsure,
    until,
)
from tests.workers.edge.programs import free_port, pictures, wait_ready
from tests.workers.edge.test_edge_process import THRESHOLD, get
from workers.edge.frame_load import FrameLoad, take_snapshot
from workers.edge.frames import BufferPolicy, FrameBuffer, LaneRule


def look(rig: Rig) -> Snapshot:
    return take_snapshot(rig.buffer, rig.pipeline.load, rig.metrics.load.latency, began=1.0)


def test_frames_are_timed_at_the_model_and_its_streams_while_they_have_work():
    now = 0.0
    load = FrameLoad(streams=2, clock=lambda: now)
    for _ in range(3):
        load.begun()
    now = 1.0
    load.left()
    load.left()
    now = 1.5
    load.left(again=True)
    now = 9.0
    assert load.read() == pytest.approx((3.5, 2.5))
    assert load.done == 2


def test_waiting_in_the_buffer_is_summed_and_the_oldest_is_told_of_all_lanes():
    lanes = {name: LaneRule(BufferPolicy.DROP_OLDEST) for name in ("one", "other")}
    buffer = FrameBuffer(4, BufferPolicy.WAIT, 9, lanes)
    assert (buffer.backlog().waiting_s, buffer.backlog().age_s) == (0.0, 0.0)
    begun = time.monotonic()
    for number, source in enumerate(("one", "other", "one", "one", "one"), start=1):
        frame = make_frame(number)
        frame.source, frame.captured = source, begun - (60 - 10 * number)
        buffer.put(frame)
    put = time.monotonic()
    time.sleep(0.05)
    got = buffer.get(0)
    told, end = buffer.backlog(), time.monotonic()
    assert got is not None
    assert buffer.dropped == 1
    assert told.waiting_s >= 4 * 0.05
    assert told.waiting_s <= 5 * (put - begun) + 4 * (end - put)
    assert 40 <= told.age_s <= 40 + end - begun  # the other lane's: the first of the longer one has been dropped
    buffer.close()
    still = buffer.backlog()
    time.sleep(0.02)
    assert buffer.backlog() == still
    assert still.age_s == 0


@pytest.mark.parametrize("mine_first", [False, True])
def test_every_frame_is_done_once_whoever_answers_it(mine_first: bool):
    causes = {0: None, 1: OffloadCause.OVERLOADED, 2: OffloadCause.CONNECT_FAILED}
    rig = Rig(
        FakeSource(40),
        FakePredictor(lambda shown: (sure if number_of(shown) % 3 else unsure)(shown), threads=2),
        FakeCloud(lambda number: causes[number % 3]),
        mine_first=mine_first,
        when_full_wait=True,
    )
    rig.run()
    metrics_match(rig)
    read = look(rig)
    assert (read.offered, read.done, read.dropped) == (40, 40, 0)
    assert read.hard == sum(record.hard for record in rig.records)
    assert read.streams == 2
    assert read.latency[-1] == sum(record.edge is not None for record in rig.records)
    assert 0 < read.busy_s <= read.present_s - read.waiting_s


def test_a_frame_with_the_cloud_is_no_work_for_the_little_model():
    rig = Rig(FakeSource(2), FakePredictor(unsure), FakeCloud(lambda _: "hold")).start()
    until(lambda: rig.cloud.holding == rig.pipeline.load.done == 2, "both frames to be with the cloud alone")
    first = look(rig)
    time.sleep(0.05)
    second = look(rig)
    assert (second.offered, second.done, second.hard) == (2, 2, 2)
    assert (second.present_s, second.busy_s) == (first.present_s, first.busy_s)
    rig.cloud.release()
    rig.join()


def test_a_busy_model_shows_in_demand_and_a_full_buffer_in_drops():
    gate, turns = threading.Semaphore(0), threading.Semaphore(0)

    def slow(shown):
        turns.acquire(timeout=PATIENCE_S)
        return sure(shown)

    rig = Rig(
        FakeSource(60, live=True, gate=gate),
        FakePredictor(slow, threads=1),
        policy=BufferPolicy.DROP_OLDEST,
        capacity=2,
    ).start()
    gate.release()
    until(lambda: rig.predictor.asked, "a frame at the model, which has one from now on")
    begun, first = time.monotonic(), look(rig)
    for came in range(2, 61):  # four times what it can
        gate.release()
        until(lambda came=came: rig.buffer.taken_in == came, f"frame {came}")
        if came % 4 == 0:
            turns.release()
            until(lambda done=came // 4: rig.pipeline.load.done == done, "the model")
    second, ended = look(rig), time.monotonic()
    turns.release(60)
    rig.join()
    found = signals(first, second)
    assert second.dropped > 10
    assert found[names.SIGNAL_DEMAND] > 2
    assert found[names.SIGNAL_DROP_FPS] > found[names.SIGNAL_INFER_FPS] > 0
    assert second.busy_s - first.busy_s <= ended - begun
    last = look(rig)
    assert last.offered == last.done + last.dropped == 60


@pytest.mark.processes
def test_a_running_worker_tells_what_its_decision_log_does(programs, tmp_path):
    port, log = free_port(), tmp_path / "d.jsonl"
    edge = programs.edge(
        video_url=pictures(tmp_path / "in", [20, 230, 20, 240]),
        SOURCE_REPEAT=0,
        SOURCE_PACE=100,
        EDGE_HTTP_PORT=port,
        DECISIONS_FILE=log,
        **THRESHOLD,
    )
    wait_ready(edge, port)
    earlier = until(lambda: _page(port) if _page(port).done > 5 else None, "frames")
    later = until(lambda: _page(port) if _page(port).done > earlier.done + 50 else None, "more frames")
    found = signals(earlier, later)
    assert found[names.SIGNAL_HARD_SHARE] == pytest.approx(0.5, abs=0.05)
    assert found[names.SIGNAL_FRAMES] == pytest.approx(found[names.SIGNAL_INFER_FPS], rel=0.2)
    assert 0 < found[names.SIGNAL_DEMAND] < 1
    assert found[names.SIGNAL_SCALE_RATIO] == 1
    assert found[names.SIGNAL_LATENCY_P95] > 0
    assert later.hard == pytest.approx(later.done / 2, abs=2)


def _page(port: int) -> Snapshot:
    return parse_snapshot(get(port, "/metrics").text, time.monotonic())
