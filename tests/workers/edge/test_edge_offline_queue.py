"""The offline queue around real files: what waits, in which order it leaves, and what happens to what cannot."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from sedna_py.client.send_cap import SendCap
from sedna_py.decision_log import Emit, Path, closing
from sedna_py.errors import MalformedBody
from sedna_py.hard_example_mining.budget_text import parse_budget
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG
from tests.workers.edge.fakes import (
    CLOUD_BOXES,
    FakeCloud,
    FakePredictor,
    FakeSource,
    Rig,
    boom,
    metrics_match,
    number_of,
    unsure,
    until,
)
from workers.edge.decision import CloudAnswer, FrameResult
from workers.edge.offline_queue import backlog as backlog_module
from workers.edge.offline_queue import folder as disk
from workers.edge.offline_queue import queue as queue_module
from workers.edge.offline_queue.backlog import BLOCK, REST_S, Loss
from workers.edge.offline_queue.folder import HeldFolder
from workers.edge.offline_queue.queue import MAY_PASS, MOST_OFFERED
from workers.edge.offline_queue.stored_frame import HEAD_BYTES, Stored, StoredFrame, late_record, read_head, unpack
from workers.edge.packed import Packed
from workers.edge.sinks.upstream_folders import UpstreamFoldersSink
from workers.edge.sinks.video import VideoSink
from workers.edge.wire_format import WireFormat
from workers.inference.frame_need import Scale
from workers.inference.image_codec import encode_jpeg

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def doubts(shown):
    """Every frame is hard; each has a score of its own, which does not rise with its number."""
    return [[0, 0, 4, 4, score_of(number_of(shown)), 0]]


def score_of(number):
    return (number * 37 % 100) / 250


def away():
    cloud = FakeCloud()
    cloud.refuses = True
    return cloud


class Outage:
    """A pipeline whose source gives frames on demand, and stays open."""

    def __init__(self, folder, cloud=None, *, count=500, little=doubts, **options):
        self.gate = threading.Semaphore(0)
        self.cloud = cloud or away()
        source = FakeSource(count, live=True, gate=self.gate)
        self.rig = Rig(source, FakePredictor(little), self.cloud, offline=folder, **options).start()

    def take(self, frames):
        """Let so many frames through, one by one; each is stored, or lost, before the next."""
        for _ in range(frames):
            before = self.done
            self.gate.release()
            until(lambda before=before: self.done > before, "a frame to be stored or lost")

    @property
    def done(self):
        figures = self.rig.queue.figures()
        return figures.stored + sum(figures.lost.values())

    def late(self, count):
        """Wait for so many late answers, and for their files to be gone; return their records in the order of writing."""
        until(lambda: self.rig.queue.figures().sent >= count, f"{count} late answers")
        return [record for record in self.rig.sink.records if record.emit is Emit.LATE]

    def lost(self):
        return {cause: count for cause, count in self.rig.queue.figures().lost.items() if count}

    def end(self):
        self.rig.pipeline.stop()
        self.gate.release()
        return self.rig.join()


@pytest.fixture
def outage(tmp_path):
    """Starts outages whose queue is in this test's folder; they end with the test."""
    begun = []

    def start(*parts, **options):
        begun.append(Outage(tmp_path / "queue", *parts, **options))
        return begun[-1]

    yield start
    for one in begun:
        if not one.rig.sink.closed:
            one.end()


class Reducing(WireFormat):
    """Makes every picture smaller: by four across, by two down."""

    def pack(self, picture):
        return Packed(self.encode(picture), Scale(4.0, 2.0))


def files(tmp_path):
    return sorted((tmp_path / "queue").rglob("*.frame"))


# --- what waits, and how it leaves


@pytest.mark.parametrize("edge_first", [False, True])
def test_frames_wait_on_disk_and_leave_in_the_order_of_their_value(outage, tmp_path, edge_first):
    it = outage(edge_first=edge_first, threshold=0.5)
    it.take(20)
    assert len(files(tmp_path)) == 20
    assert {(r.path, r.cause) for r in it.rig.sink.records} == {(Path.FALLBACK, OffloadCause.CIRCUIT_OPEN)}
    it.cloud.refuses = False
    late = it.late(20)
    assert [record.score for record in late] == sorted(score_of(number) for number in range(1, 21))
    assert it.cloud.frames == [record.frame for record in late]
    assert set(it.cloud.urgent) == {False}
    assert files(tmp_path) == []
    closed = {record.frame: record for record in closing(it.rig.sink.records)}
    for record in late:
        was = closed[record.frame]
        assert (record.run, record.source, record.captured) == (was.run, was.source, was.captured)
        assert (record.edge, record.hard, record.score, record.reason) == (was.edge, True, was.score, was.reason)
        assert (record.path, record.cause, record.cloud, record.result) == (Path.CLOUD, None, CLOUD_BOXES, CLOUD_BOXES)
        assert record.bytes_sent == record.frame + 10  # the fake encoding's length: it is this frame's picture
        assert record.emitted >= was.emitted
        assert record.latency_ms.total == pytest.approx((record.emitted - record.captured) * 1000, abs=1)
    metric = it.rig.metric
    assert (metric(names.EDGE_OFFLINE_STORED), metric(names.EDGE_OFFLINE_SENT)) == (20, 20)
    assert (metric(names.EDGE_OFFLINE_FRAMES), metric(names.EDGE_OFFLINE_BYTES)) == (0, 0)
    assert metric(names.EDGE_BYTES_SENT) == sum(range(11, 31))
    assert it.end()
    assert {path: metric(names.EDGE_FRAMES, path=path) for path in Path} == {"edge": 0, "cloud": 0, "fallback": 20}


@pytest.mark.parametrize("cause", OffloadCause)
def test_which_causes_are_worth_waiting(outage, cause):
    failing = {"on": True}
    it = outage(FakeCloud(lambda _: cause if failing["on"] else None), waiting=40)
    it.gate.release(3)
    until(lambda: len(it.rig.sink.records) == 3, "the frames")
    assert {r.cause for r in it.rig.sink.records} == {cause}
    waits = cause in MAY_PASS
    until(lambda: it.rig.queue.figures().stored == 3 * waits, "the frames to be stored")
    it.end()
    stored = it.rig.queue.figures().stored
    assert stored == 3 * waits
    metrics_match(it.rig)


def test_the_picture_is_not_encoded_twice_where_the_cloud_was_asked(outage):
    encoded = []

    def encode(shown):
        encoded.append(number_of(shown))
        return bytes(5)

    it = outage(FakeCloud(lambda _: OffloadCause.OVERLOADED), encode=encode)
    it.take(3)
    assert encoded == [1, 2, 3]


def test_easy_frames_and_answered_ones_do_not_wait(outage, tmp_path):
    it = outage(FakeCloud(), little=lambda shown: [[0, 0, 4, 4, 0.9 if number_of(shown) % 2 else 0.1, 0]])
    it.gate.release(6)
    until(lambda: len(it.rig.sink.records) == 6, "the frames")
    it.end()
    assert files(tmp_path) == []
    assert it.done == 0


def test_a_frame_on_which_the_little_model_failed_goes_first(outage):
    it = outage(little=lambda shown: boom(shown) if number_of(shown) == 3 else doubts(shown))
    it.take(4)
    it.cloud.refuses = False
    late = it.late(4)
    assert (late[0].frame, late[0].edge, late[0].score) == (3, None, None)


# --- bounds


def test_the_most_uncertain_are_kept_within_the_bytes(outage, tmp_path):
    it = outage(offline_bytes=10 * BLOCK)
    for _ in range(60):
        it.take(1)
        assert len(files(tmp_path)) <= 10
    assert it.lost() == {Loss.EVICTED: 50}
    it.cloud.refuses = False
    assert [r.score for r in it.late(10)] == sorted(score_of(number) for number in range(1, 61))[:10]


def test_a_full_queue_does_not_encode_what_it_would_not_keep(outage):
    asked = []

    def encode(shown):
        asked.append(number_of(shown))
        return bytes(100)

    it = outage(offline_bytes=4 * BLOCK, little=lambda shown: [[0, 0, 4, 4, number_of(shown) / 1000, 0]], encode=encode)
    it.take(20)
    assert asked == [1, 2, 3, 4]
    assert it.lost() == {Loss.EVICTED: 16}


def test_what_is_too_old_is_not_sent(outage, tmp_path, monkeypatch):
    monkeypatch.setattr(queue_module, "TIDY_S", 0.02)
    it = outage(offline_age_s=0.3)
    it.take(3)
    until(lambda: it.lost() == {Loss.EXPIRED: 3}, "the frames to grow old")
    assert files(tmp_path) == []


def test_frames_that_come_faster_than_they_may_be_encoded_give_way_before_it(outage):
    """The encoder is held up: as many as may wait before it do, the most uncertain ones; nobody waits for it."""
    go_on = threading.Event()

    def encode(shown):
        go_on.wait(20)
        return bytes(number_of(shown) + 10)

    it = outage(encode=encode)
    it.gate.release(60)
    until(lambda: len(it.rig.sink.records) == 60, "the frames, none of which waits")
    lost = 60 - MOST_OFFERED - 1
    until(lambda: it.lost() == {Loss.TOO_FAST: lost}, "the others to give way")
    go_on.set()
    it.cloud.refuses = False
    kept = [record.score for record in it.late(MOST_OFFERED + 1)]
    assert set(sorted(map(score_of, range(2, 61)))[:MOST_OFFERED]) <= set(kept)


def test_encoding_takes_no_more_than_its_share_of_a_processor(outage, monkeypatch):
    monkeypatch.setattr(queue_module, "ENCODING_SHARE", 0.1)
    ends = []

    def encode(shown):
        time.sleep(0.01)
        ends.append(time.monotonic())
        return bytes(5)

    it = outage(encode=encode)
    it.take(4)
    gaps = np.diff(ends)
    assert gaps.min() >= 0.1


# --- a cloud that comes and goes


def test_live_frames_keep_a_place_and_stored_ones_wait_for_the_rest(outage):
    """Live frames have all places of a cloud that is slow: what they could not be sent for waits until they are answered."""
    it = outage(FakeCloud(lambda _: "hold"), in_flight=3, waiting=0)
    looks, look = [], it.rig.offloader.has_spare
    it.rig.offloader.has_spare = lambda: looks.append(look()) or looks[-1]
    it.gate.release(5)
    until(lambda: len(it.rig.sink.records) == 2, "the frames over the places")
    assert {record.cause for record in it.rig.sink.records} == {OffloadCause.QUEUE_FULL}
    until(lambda: it.rig.queue.figures().stored == 2, "those frames to be stored")
    seen = len(looks)
    until(lambda: len(looks) >= seen + 3, "looks for a place")
    assert not any(looks)
    assert it.cloud.frames == [1, 2, 3]
    it.cloud.release()
    assert {record.frame for record in it.late(2)} == {4, 5}
    assert it.cloud.urgent == [True] * 3 + [False] * 2


@pytest.mark.parametrize("places", [1, 2, 8])
def test_how_many_stored_frames_are_under_way(outage, places):
    cloud = away()
    it = outage(cloud, in_flight=places)
    it.take(6)
    cloud._script = lambda _: "hold"
    cloud.refuses = False
    expected = {1: 1, 2: 1, 8: queue_module.AT_ONCE}[places]
    until(lambda: cloud.holding == expected, "the requests")
    assert it.rig.offloader.pending == 0
    cloud.release()
    it.late(6)
    assert cloud.most_at_once == expected


def test_the_cap_holds_for_them_and_half_of_it_stays_free(outage):
    cloud = FakeCloud(cap=SendCap(parse_budget("20 fps")))
    cloud.refuses = True
    it = outage(cloud, in_flight=8)
    it.take(25)
    begun = time.monotonic()
    cloud.refuses = False
    it.late(25)
    # 10 in a second and a twentieth, as many again in the next, and then the rest.
    assert time.monotonic() - begun > 2.0
    assert len(cloud.bodies) == 25


def test_a_frame_that_the_cloud_will_never_take_is_given_up(outage, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(backlog_module, "REST_S", 0.01)
    monkeypatch.setattr(queue_module, "FIRST_PAUSE_S", 0.01)
    it = outage()
    it.take(3)
    it.cloud._script = lambda number: OffloadCause.REJECTED if number == 2 else None
    it.cloud.refuses = False
    assert {record.frame for record in it.late(2)} == {1, 3}
    until(lambda: it.lost() == {Loss.REJECTED: 1}, "the frame to be given up")
    assert files(tmp_path) == []
    assert it.cloud.frames.count(2) == queue_module.MOST_REJECTIONS
    assert "frame 2 of the offline queue is given up: rejected" in caplog.text


@pytest.mark.parametrize("cause", [OffloadCause.SERVER_ERROR, OffloadCause.CONNECTION_LOST])
def test_a_frame_that_fails_again_and_again_holds_up_no_other(outage, cause, monkeypatch):
    monkeypatch.setattr(queue_module, "FIRST_PAUSE_S", 0.01)
    it = outage(in_flight=1)
    it.take(6)
    first = min(range(1, 7), key=score_of)
    it.cloud._script = lambda number: cause if number == first else None
    it.cloud.refuses = False
    late = it.late(5)
    assert it.cloud.frames[0] == first
    assert [record.frame for record in late] == sorted(set(range(1, 7)) - {first}, key=score_of)
    assert it.rig.queue.figures().frames == 1


def test_one_that_got_no_answer_by_no_fault_of_its_own_does_not_rest(outage, monkeypatch):
    monkeypatch.setattr(queue_module, "FIRST_PAUSE_S", 0.01)
    answers = iter([OffloadCause.OVERLOADED, OffloadCause.CONNECT_FAILED, OffloadCause.CIRCUIT_OPEN])
    it = outage()
    it.take(1)
    it.cloud._script = lambda _: next(answers, None)
    it.cloud.refuses = False
    (late,) = it.late(1)
    assert it.cloud.frames == [1] * 4
    assert late.bytes_sent == 2 * 11  # the one that was sent in vain counts
    assert late.emitted - late.captured < REST_S


def test_a_cloud_that_sleeps_for_long_is_asked_at_the_same_pace_to_the_end(outage, monkeypatch):
    """Pauses of failures double; one that is waking shall not be awake for seconds before the queue notices."""
    monkeypatch.setattr(queue_module, "LOOK_S", 0.01)
    answers = iter([OffloadCause.CLOUD_ASLEEP] * 8)
    it = outage()
    it.take(1)
    it.cloud._script = lambda _: next(answers, None)
    it.cloud.refuses, it.cloud.sleeps = False, True
    (late,) = it.late(1)
    assert it.cloud.frames == [1] * 9
    assert late.emitted - late.captured < REST_S


# --- damage


@pytest.mark.parametrize("scale", [None, Scale(641 / 192, 479 / 143)])
def test_a_file_is_whole_or_recognisably_not(scale):
    record = Rig(predictor=FakePredictor(unsure)).run()[0]
    stored = Stored(record, "image/jpeg", Packed(bytes(range(256)) * 20, scale))
    data = stored.pack()
    assert unpack(data) == stored
    assert read_head(data[:HEAD_BYTES]).size == len(data)
    chance = np.random.default_rng(2)
    for place in chance.integers(0, len(data), 200).tolist():
        broken = bytearray(data)
        broken[place] ^= 1 << int(chance.integers(8))
        with pytest.raises(MalformedBody):
            unpack(bytes(broken))
    for cut in (0, 7, HEAD_BYTES - 1, HEAD_BYTES, len(data) - 1):
        with pytest.raises(MalformedBody):
            unpack(data[:cut])
    with pytest.raises(MalformedBody):
        unpack(data + b"x")


def test_damaged_files_are_counted_and_removed_and_the_others_are_sent(outage, tmp_path):
    it = outage()
    it.take(5)
    damaged, cut = files(tmp_path)[:2]
    damaged.write_bytes(damaged.read_bytes()[:-3] + b"abc")
    cut.write_bytes(cut.read_bytes()[:50])
    it.cloud.refuses = False
    assert len(it.late(3)) == 3
    until(lambda: it.lost() == {Loss.DAMAGED: 2}, "the damaged ones to be seen")
    assert files(tmp_path) == []


# --- restarts and replicas


def test_the_next_worker_takes_over_what_a_dead_one_left(outage, tmp_path):
    it = outage()
    it.take(10)
    it.end()
    (folder,) = (tmp_path / "queue").iterdir()
    (folder / "half.part").write_bytes(b"x" * 100)
    (folder / "torn.frame").write_bytes(files(tmp_path)[0].read_bytes()[:200])
    again = outage()
    assert again.rig.queue.figures().frames == 10
    assert again.lost() == {Loss.DAMAGED: 1}
    again.cloud.refuses = False
    late = again.late(10)
    assert [record.score for record in late] == sorted(score_of(number) for number in range(1, 11))
    again.end()
    assert list((tmp_path / "queue").iterdir()) == []  # the folders go when they are empty and nobody's


def test_what_is_taken_over_is_within_the_bound(outage, tmp_path):
    it = outage()
    it.take(12)
    it.end()
    again = outage(offline_bytes=5 * BLOCK)
    assert len(files(tmp_path)) == 5
    assert again.lost() == {Loss.EVICTED: 7}


def test_two_workers_never_have_the_same_frame(outage, tmp_path, monkeypatch):
    monkeypatch.setattr(queue_module, "TIDY_S", 0.02)
    dead = outage()
    dead.take(20)
    dead.end()
    one, other = outage(), outage()
    other.take(3)
    held = [it.rig.queue.figures().frames for it in (one, other)]
    assert held == [20, 3]
    for it in (one, other):
        it.cloud.refuses = False
    assert len(one.late(20)) == 20
    assert len(other.late(3)) == 3
    other.cloud.refuses = True
    other.take(2)
    other.end()  # with two frames left, which a living worker adopts while it runs
    assert len(one.late(22)) == 22


def test_a_folder_that_was_removed_while_it_was_being_locked_is_not_held(tmp_path):
    held = HeldFolder.create(tmp_path)
    assert list(disk.adopt(tmp_path, set())) == []
    held.close()
    assert list(tmp_path.iterdir()) == []
    assert disk._hold(held.path) is None


def test_a_worker_whose_model_cannot_be_loaded_lets_go(tmp_path):
    rig = Rig(predictor=FakePredictor(), cloud=FakeCloud(), offline=tmp_path / "queue")
    rig.queue.close()
    rig.queue.close()
    rig.offloader.close()
    assert list((tmp_path / "queue").iterdir()) == []


# --- sinks


def late_result(number, run, shown):
    height, width = shown.shape[:2]
    closed = Rig(predictor=FakePredictor(unsure)).run()[0]
    record = replace(closed, frame=number, run=run, hard=True, width=width, height=height)
    stored = Stored(record, "image/jpeg", Packed(encode_jpeg(shown, 95)))
    answer = CloudAnswer([[1, 1, 50, 50, 0.9, 1]], None, 7, None, 4.0)
    return FrameResult(StoredFrame(stored, "x"), late_record(stored, answer, 0.0, record.captured + 60, 7))


def test_the_folders_get_late_answers_and_no_frame_of_another_run_is_replaced(tmp_path):
    sink = UpstreamFoldersSink(str(tmp_path / "all"), str(tmp_path / "cloud"), str(tmp_path / "edge"))
    shown = np.full((60, 80, 3), 90, np.uint8)
    late = late_result(7, "now", shown)
    ours = replace(late.record, emit=Emit.FINAL, path=Path.FALLBACK, cloud=None, result=[])
    sink.write(FrameResult(late.frame, ours))
    before = (tmp_path / "all" / "7.jpeg").read_bytes()
    sink.write(late)
    assert (tmp_path / "all" / "7.jpeg").read_bytes() != before
    assert [path.name for path in (tmp_path / "cloud").iterdir()] == ["7.jpeg"]
    before = (tmp_path / "all" / "7.jpeg").read_bytes()
    sink.write(late_result(7, "before", shown))
    assert (tmp_path / "all" / "7.jpeg").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "cloud").iterdir()) == ["7.before.jpeg", "7.jpeg"]
    assert [path.name for path in (tmp_path / "edge").iterdir()] == ["7.jpeg"]


def test_the_video_has_no_place_for_late_answers(tmp_path):
    sink = VideoSink(tmp_path / "v.avi", 25.0)
    sink.write(late_result(7, "now", np.zeros((48, 64, 3), np.uint8)))
    sink.close()
    assert not (tmp_path / "v.avi").exists()


def test_the_picture_of_a_late_answer_is_decoded_when_it_is_looked_at(monkeypatch):
    late = late_result(1, "now", np.full((60, 80, 3), 90, np.uint8))
    assert late.frame.picture.shape == (60, 80, 3)
    assert abs(int(late.frame.picture[0, 0, 0]) - 90) <= 2
    broken = StoredFrame(Stored(late.record, "image/jpeg", Packed(b"no picture")), "x")
    with pytest.raises(OSError, match="cannot be decoded"):
        _ = broken.picture


def test_a_picture_that_was_made_smaller_for_the_cloud_comes_back_in_the_frames_size():
    record = replace(Rig(predictor=FakePredictor(unsure)).run()[0], width=80, height=60)
    small = Packed(encode_jpeg(np.full((15, 20, 3), 90, np.uint8), 95), Scale(4.0, 4.0))
    frame = StoredFrame(unpack(Stored(record, "image/jpeg", small).pack()), "x")
    assert frame.picture.shape == (60, 80, 3)
    assert abs(int(frame.picture[30, 40, 0]) - 90) <= 2


def test_the_boxes_of_a_stored_picture_that_was_made_smaller_are_in_pixels_of_the_frame(outage):
    it = outage()
    it.rig.offloader.packer = Reducing(JPEG, lambda _: b"small")
    it.take(1)
    it.cloud.refuses = False
    (late,) = it.late(1)
    assert [box[:4] for box in late.cloud] == [[4 * x0, 2 * y0, 4 * x1, 2 * y1] for x0, y0, x1, y1, *_ in CLOUD_BOXES]
