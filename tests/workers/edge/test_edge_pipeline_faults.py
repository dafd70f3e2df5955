"""The frame loop when parts stop, fail, are slow or stuck: each frame inside still leaves exactly once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from sedna_py.decision_log import Path
from sedna_py.errors import SednaError, SourceError
from sedna_py.hard_example_mining import make_filter
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import (
    PATIENCE_S,
    FakeCloud,
    FakePredictor,
    FakeSource,
    MemorySink,
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
from workers.edge.frames import BufferPolicy

CAUSES_OF_THE_CLIENT = [cause for cause in OffloadCause if cause is not OffloadCause.NO_CLOUD]
pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.mark.parametrize("mine_first", [False, True])
def test_stop_in_the_middle_lets_what_is_inside_leave(mine_first):
    gate = threading.Semaphore(10)
    cloud = FakeCloud(lambda _: "hold")
    rig = Rig(
        FakeSource(1000, gate=gate),
        FakePredictor(unsure),
        cloud,
        filter=make_filter("CloudOnly", {}),
        mine_first=mine_first,
        in_flight=3,
        waiting=3,
    ).start()
    until(lambda: len(rig.sink.results) == 4 and cloud.holding == 3, "the frames that are held, and those that are not")
    rig.pipeline.stop()
    cloud.release()
    gate.release(1000)
    records = rig.join()
    assert frames_of(records) == list(range(1, 11))
    assert [r.path for r in records].count(Path.CLOUD) == 6
    assert rig.buffer.out == 0


@pytest.mark.parametrize("live", [False, True])
def test_frames_that_were_read_before_a_stop_are_answered(live):
    go_on, looked = threading.Event(), threading.Event()

    def slow(shown):
        looked.set()
        go_on.wait()
        return unsure_of_even(shown)

    policy = BufferPolicy.DROP_OLDEST if live else BufferPolicy.WAIT
    gate = threading.Semaphore(4)
    rig = Rig(FakeSource(100, live=live, gate=gate), FakePredictor(slow), FakeCloud(), policy=policy)
    rig.metrics.watch(rig.buffer)
    rig.start()
    until(lambda: looked.is_set() and rig.buffer.taken_in == 4, "frames in the buffer")
    rig.pipeline.stop()
    go_on.set()
    gate.release(100)
    assert frames_of(rig.join()) == [1, 2, 3, 4]
    rig.metrics.collect()
    assert rig.metric(names.EDGE_FRAMES_READ) == 4
    assert rig.metric(names.EDGE_FRAMES_LOST, cause="shutdown") == 0


def test_frames_for_which_a_stop_has_no_time_are_counted_as_lost(monkeypatch):
    monkeypatch.setattr("workers.edge.reader.STOP_S", 0.0)
    go_on, looked = threading.Event(), threading.Event()

    def slow(shown):
        looked.set()
        go_on.wait()
        return sure(shown)

    rig = Rig(FakeSource(100), FakePredictor(slow), None)
    rig.metrics.watch(rig.buffer)
    rig.start()
    until(lambda: looked.is_set() and rig.buffer.taken_in == 6, "a full buffer, and one more at its door")
    rig.pipeline.stop()
    go_on.set()
    assert frames_of(rig.join()) == [1]
    rig.metrics.collect()
    assert rig.metric(names.EDGE_FRAMES_READ) == 6
    assert rig.metric(names.EDGE_FRAMES_LOST, cause="shutdown") == 5


@pytest.mark.parametrize("policy", BufferPolicy)
def test_every_frame_read_is_answered_or_lost_by_a_cause(policy):
    """Stopped at any moment: what was read is in the log or in a counter, and the gaps in the log are the counted ones."""
    for moment in (1, 5, 50):
        rig = Rig(
            FakeSource(10**6, live=policy is BufferPolicy.DROP_OLDEST), FakePredictor(sure, threads=2), policy=policy
        )
        rig.metrics.watch(rig.buffer)
        rig.start()
        until(lambda rig=rig, moment=moment: len(rig.sink.results) >= moment, "some frames")
        rig.pipeline.stop()
        numbers = frames_of(rig.join())
        rig.metrics.collect()
        lost = {cause: rig.metric(names.EDGE_FRAMES_LOST, cause=cause) for cause in ("buffer_full", "shutdown")}
        assert rig.metric(names.EDGE_FRAMES_READ) == len(numbers) + sum(lost.values())
        assert len(set(numbers)) == len(numbers)
        assert lost["shutdown"] == 0
        assert numbers[-1] - len(numbers) == lost["buffer_full"]


def test_stop_while_the_model_is_busy_waits_for_it():
    begun, go_on = threading.Event(), threading.Event()

    def slow(shown):
        begun.set()
        go_on.wait()
        return sure(shown)

    rig = Rig(FakeSource(50), FakePredictor(slow, threads=1), None).start()
    begun.wait()
    rig.pipeline.stop()
    go_on.set()
    records = rig.join()
    assert frames_of(records) == list(range(1, rig.pipeline.frames + 1))
    assert 1 <= len(records) < 50


def test_a_model_slower_than_the_end_limit_still_gets_its_cloud_answer(monkeypatch):
    """Only the cloud and the sinks have a limit at the end; giving up a slow model's last frames would be wrong."""
    monkeypatch.setattr("workers.edge.pipeline.END_SLACK_S", 0.01)
    go_on, looked = threading.Event(), threading.Event()

    def slow(shown):
        go_on.wait()
        return unsure(shown)

    rig = Rig(FakeSource(1), FakePredictor(slow, threads=1), FakeCloud(), deadline_s=0.01)
    limited = rig.buffer.get

    def get(limit):
        frame = limited(PATIENCE_S if looked.is_set() else limit)  # once is enough: the cloud's answer has time
        if frame is None:
            looked.set()
        return frame

    rig.buffer.get = get
    object.__setattr__(rig.offloader._options, "deadline_s", 30.0)
    rig.start()
    assert looked.wait(PATIENCE_S), "the end limit never passed"
    monkeypatch.setattr("workers.edge.pipeline.END_SLACK_S", PATIENCE_S)  # the writer's end has this limit, too
    go_on.set()
    assert [r.path for r in rig.join()] == [Path.CLOUD]


@pytest.mark.parametrize("mine_first", [False, True])
def test_a_cloud_that_forgets_its_deadline_is_given_up_at_the_end(monkeypatch, mine_first):
    monkeypatch.setattr("workers.edge.pipeline.END_SLACK_S", 0.1)
    monkeypatch.setattr("workers.edge.offload.CLOSE_S", 0.1)
    cloud = FakeCloud(lambda _: "hold for ever")

    async def never() -> None:
        await cloud._open.wait()

    cloud.aclose = never
    rig = Rig(
        FakeSource(3),
        FakePredictor(unsure),
        cloud,
        filter=make_filter("CloudOnly", {}),
        mine_first=mine_first,
        deadline_s=0.05,
    )
    object.__setattr__(rig.offloader._options, "deadline_s", 30.0)
    finish = rig.pipeline._writer.finish
    rig.pipeline._writer.finish = lambda _: finish(PATIENCE_S)  # the limit is the cloud's; the sinks have time
    records = rig.run()
    assert frames_of(records) == [1, 2, 3]
    assert OffloadCause.SHUTDOWN in {r.cause for r in records}
    assert all(r.edge == [[0, 0, 4, 4, 0.1, 0]] for r in records)
    metrics_match(rig)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a bug"), SystemExit(1)])
def test_a_sink_that_fails_for_a_while_is_told_once_and_comes_back(error, caplog):
    caplog.set_level("INFO")
    broken = MemorySink(lambda n: error if 3 <= n <= 6 else None, name="broken")
    rig = Rig(FakeSource(10), FakePredictor(sure), None, sinks=[broken])
    records = rig.run()
    assert frames_of(records) == list(range(1, 11))  # the other sink is not touched by it
    assert frames_of(broken.records) == [1, 2, 7, 8, 9, 10]
    assert rig.metric(names.EDGE_SINK_ERRORS, sink="broken") == 4
    assert caplog.text.count("sink broken cannot write") == 1
    assert caplog.text.count("sink broken can write again") == 1
    assert ("Traceback" in caplog.text) == (not isinstance(error, OSError))


@pytest.mark.parametrize("error", [OSError(5, "I/O error"), RuntimeError("odd")])
def test_a_sink_that_cannot_be_closed_keeps_no_other_from_closing(error, caplog):
    class Stubborn(MemorySink):
        def close(self):
            raise error

    last = MemorySink(name="last")
    rig = Rig(FakeSource(2), FakePredictor(sure), None, sinks=[Stubborn(name="stubborn"), last])
    rig.run()
    assert last.closed
    assert "sink stubborn could not be closed properly" in caplog.text


def test_a_sink_that_is_stuck_ends_the_run_with_an_error(monkeypatch):
    monkeypatch.setattr("workers.edge.pipeline.END_SLACK_S", 0.05)
    go_on = threading.Event()

    class Stuck(MemorySink):
        def write(self, result):
            go_on.wait()

    rig = Rig(FakeSource(5), FakePredictor(sure), None, sinks=[Stuck()], deadline_s=0.05)
    try:
        with pytest.raises(SednaError, match="5 frames did not leave"):
            rig.run()
    finally:
        go_on.set()


def test_frames_inside_are_bounded_while_a_sink_is_slow():
    go_on = threading.Event()

    class Slow(MemorySink):
        def write(self, result):
            go_on.wait()
            super().write(result)

    rig = Rig(FakeSource(300), FakePredictor(sure), None, sinks=[Slow()], in_flight=1, waiting=0).start()
    most = 1 + 1 + 32
    read = most + rig.capacity + 1  # the last one waits at the buffer's door
    until(lambda: (rig.pipeline.frames, rig.reader.read) == (most, read), "the buffer to be full")
    assert rig.buffer.out == most
    assert len(rig.buffer) == rig.capacity
    go_on.set()
    assert frames_of(rig.join()) == list(range(1, 301))


def test_a_live_source_loses_old_frames_only_and_counts_them():
    go_on, looked = threading.Event(), threading.Event()

    def slow(shown):
        looked.set()
        go_on.wait()
        return sure(shown)

    gate = threading.Semaphore(1)
    source = FakeSource(100, live=True, gate=gate)
    rig = Rig(source, FakePredictor(slow), None, policy=BufferPolicy.DROP_OLDEST)
    rig.metrics.watch(rig.buffer)
    rig.start()
    looked.wait()
    gate.release(99)
    until(lambda: rig.reader.read == 100 and not rig.reader.is_alive(), "the source's end")
    go_on.set()
    records = rig.join()
    assert frames_of(records) == [1, 97, 98, 99, 100]
    rig.metrics.collect()
    assert rig.metric(names.EDGE_FRAMES_LOST, cause="buffer_full") == 95
    assert rig.metric(names.EDGE_FRAMES_READ) == 100
    assert records[1].frames_waiting == 3


def test_a_source_that_fails_raises_after_its_frames_were_answered():
    rig = Rig(FakeSource(5, raises=SourceError("the stream is gone")), FakePredictor(sure), None)
    with pytest.raises(SourceError, match="the stream is gone"):
        rig.run()
    assert frames_of(rig.records) == [1, 2, 3, 4, 5]
    assert rig.sink.closed


def test_a_model_that_breaks_the_loop_ends_every_part():
    class Dead(FakePredictor):
        def submit(self, data, answer):
            if number_of(data) == 3:
                raise SystemExit("the driver is gone")
            super().submit(data, answer)

    rig = Rig(FakeSource(1000), Dead(sure), FakeCloud())
    with pytest.raises(SystemExit):
        rig.run()
    assert frames_of(rig.records) == [1, 2]
    assert rig.sink.closed
    assert rig.source.closed.is_set()
    assert rig.predictor.closed


def test_frames_of_different_sizes():
    class Mixed(FakeSource):
        def __iter__(self):
            for height, width in ((4, 6), (10, 20), (1, 1)):
                yield np.zeros((height, width, 3), np.uint8)

    records = Rig(Mixed(3), FakePredictor(sure), None).run()
    assert [(r.width, r.height) for r in records] == [(6, 4), (20, 10), (1, 1)]


def test_display_threshold_hides_boxes_after_the_filter_saw_them():
    rig = Rig(FakeSource(1), FakePredictor(unsure), None, threshold=0.5)
    record = rig.run()[0]
    assert (record.hard, record.result, record.edge) == (True, [], [[0, 0, 4, 4, 0.1, 0]])


@pytest.mark.parametrize("mine_first", [False, True])
def test_nothing_is_lost_or_doubled_in_a_long_mixed_run(mine_first):
    """Everything at once: three model threads that sometimes fail, a cloud that does a bit of everything, a flaky sink."""
    causes = [None, *CAUSES_OF_THE_CLIENT, ValueError("a bug")]
    little = FakePredictor(lambda shown: (boom if number_of(shown) % 11 == 0 else unsure_of_even)(shown), threads=3)
    flaky = MemorySink(lambda n: OSError(28, "full") if n % 5 == 0 else None, name="flaky")
    rig = Rig(
        FakeSource(1500),
        little,
        FakeCloud(lambda n: causes[n % len(causes)]),
        sinks=[flaky],
        mine_first=mine_first,
        in_flight=3,
        waiting=3,
    )
    records = rig.run()
    assert frames_of(records) == list(range(1, 1501))
    assert sorted(result.frame.sequence for result in rig.sink.results) == list(range(1500))
    assert rig.pipeline.hard == sum(r.hard for r in records)
    assert rig.offloader.pending == 0
    assert len(flaky.results) == 1200
    metrics_match(rig)
