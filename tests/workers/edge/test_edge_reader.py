"""The thread between a source and the buffer."""

from __future__ import annotations

import threading
import time

import pytest

from sedna_py.errors import SourceError
from tests.workers.edge.fakes import PATIENCE_S, FakeSource, number_of
from workers.edge.frames import BufferPolicy, FrameBuffer, LaneRule
from workers.edge.reader import FrameReader, SourceReaders, due_in


def read_all(source: FakeSource, **options: object) -> tuple[list[tuple[int, int]], FrameReader]:
    """Return (number, the number in the picture) of every frame that came through."""
    reader = FrameReader(source, FrameBuffer(100, BufferPolicy.WAIT, most_out=1), **options)
    reader.start()
    frames = []
    while (frame := reader.buffer.get(PATIENCE_S)) is not None:
        frames.append((frame.number, number_of(frame.picture)))
        reader.buffer.done()
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    assert source.closed.is_set()
    return frames, reader


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]),
        ({"stride": 2}, [(1, 1), (3, 3), (5, 5)]),
        ({"stride": 10}, [(1, 1)]),
        ({"repeat": 2}, [(n + 1, n % 5 + 1) for n in range(10)]),
        ({"repeat": 2, "stride": 3}, [(1, 1), (4, 4), (6, 1), (9, 4)]),
        ({"limit": 2}, [(1, 1), (2, 2)]),
        ({"limit": 2, "stride": 2}, [(1, 1), (3, 3)]),
        ({"limit": 7, "repeat": 0}, [(n + 1, n % 5 + 1) for n in range(7)]),
        ({"pace": 1000.0}, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]),
    ],
)
def test_stride_repeat_and_limit(options, expected):
    frames, reader = read_all(FakeSource(5), **options)
    assert frames == expected
    assert reader.error is None


def test_a_live_source_is_read_once_at_its_own_pace():
    # At one frame in 1000 s this would time out.
    frames, _ = read_all(FakeSource(5, live=True), pace=0.001, repeat=3)
    assert [number for number, _ in frames] == [1, 2, 3, 4, 5]


def test_a_source_without_frames_is_not_repeated_for_ever():
    source = FakeSource(0)
    assert read_all(source, repeat=0)[0] == []
    assert source.rounds == 1


@pytest.mark.parametrize(
    ("index", "pace", "elapsed_s", "due"),
    [(0, 25, 0.0, 0.0), (25, 25, 0.0, 1.0), (25, 25, 0.75, 0.25), (25, 25, 2.0, -1.0), (10, 5, 0.0, 2.0)],
)
def test_when_a_frame_is_due(index, pace, elapsed_s, due):
    assert due_in(index, pace, elapsed_s) == pytest.approx(due)


@pytest.mark.parametrize("stride", [1, 3])
def test_the_pace_is_the_cameras_so_a_stride_thins_it(monkeypatch, stride):
    asked = []
    monkeypatch.setattr("workers.edge.reader.due_in", lambda index, pace, _: asked.append(index / pace) or 0.0)
    read_all(FakeSource(7), pace=10.0, stride=stride)
    assert asked == [index / 10 for index in range(0, 7, stride)]


def test_stop_ends_a_wait_for_the_pace():
    source = FakeSource(5)
    reader = FrameReader(source, FrameBuffer(9, BufferPolicy.WAIT, most_out=9), pace=0.001)
    reader.start()
    assert reader.buffer.get(PATIENCE_S).number == 1
    reader.stop()
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    assert source.closed.is_set()


def test_stop_ends_a_wait_for_room():
    reader = FrameReader(FakeSource(5), FrameBuffer(1, BufferPolicy.WAIT, most_out=9))
    reader.start()
    reader.stop()
    reader.join(PATIENCE_S)
    assert not reader.is_alive()


def test_stop_before_the_start_reads_nothing():
    source = FakeSource(5)
    reader = FrameReader(source, FrameBuffer(9, BufferPolicy.WAIT, most_out=9))
    reader.stop()
    reader.start()
    reader.join(PATIENCE_S)
    assert (source.rounds, reader.read) == (0, 0)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (SourceError("the folder is gone"), "the folder is gone"),
        (ValueError("odd"), "fake cannot be read any more: ValueError: odd"),
        (MemoryError(), "fake cannot be read any more: MemoryError"),
        (SystemExit(3), "fake cannot be read any more: SystemExit: 3"),
        (KeyboardInterrupt(), "fake cannot be read any more: KeyboardInterrupt"),
    ],
)
def test_what_a_source_raises_is_kept_and_ends_the_frames(raised, message):
    frames, reader = read_all(FakeSource(2, raises=raised), repeat=3)
    assert frames == [(1, 1), (2, 2)]
    assert isinstance(reader.error, SourceError)
    assert message in str(reader.error)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_that_cannot_be_closed_still_ends_the_frames():
    class Stubborn(FakeSource):
        def close(self) -> None:
            super().close()
            raise OSError("busy")

    assert len(read_all(Stubborn(2))[0]) == 2


def test_frames_carry_times_of_both_clocks():
    source = FakeSource(2, gate=threading.Semaphore(2))
    reader = FrameReader(source, FrameBuffer(9, BufferPolicy.WAIT, most_out=9))
    reader.start()
    first, second = reader.buffer.get(PATIENCE_S), reader.buffer.get(PATIENCE_S)
    reader.join(PATIENCE_S)
    assert second.captured >= first.captured
    assert first.captured_at > 1_700_000_000
    assert (first.sequence, first.source) == (-1, "fake")


def named(name: str, count: int, **options: object) -> FakeSource:
    source = FakeSource(count, **options)
    source.name = name
    return source


def read_several(*sources: FakeSource, **options: object) -> tuple[dict[str, list[int]], SourceReaders]:
    """Return the numbers of each source's frames that came through."""
    lanes = {source.name: LaneRule(BufferPolicy.WAIT) for source in sources}
    readers = SourceReaders(sources, FrameBuffer(len(sources), BufferPolicy.WAIT, 9, lanes), **options)
    readers.start()
    numbers: dict[str, list[int]] = {source.name: [] for source in sources}
    while (frame := readers.buffer.get(PATIENCE_S)) is not None:
        numbers[frame.source].append(frame.number)
        readers.buffer.done()
    readers.join(PATIENCE_S)
    assert all(source.closed.is_set() for source in sources)
    return numbers, readers


def test_each_source_is_numbered_and_limited_by_itself():
    numbers, readers = read_several(named("a", 5), named("b", 2), named("c", 9), limit=3)
    assert numbers == {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2, 3]}
    assert readers.error is None


def test_a_source_that_fails_ends_no_other_and_is_told_of_at_the_end():
    gate = threading.Semaphore(0)
    failing, slow = named("a", 1, raises=SourceError("a is gone")), named("b", 3, gate=gate)
    opening = threading.Timer(0.05, lambda: [gate.release() for _ in range(3)])
    opening.start()
    numbers, readers = read_several(failing, named("c", 2, raises=OSError("c is odd")), slow)
    opening.join()
    assert numbers == {"a": [1], "b": [1, 2, 3], "c": [1, 2]}
    assert str(readers.error).startswith(
        "2 of 3 sources failed: a is gone; c cannot be read any more: OSError: c is odd"
    )


def test_stop_ends_every_source():
    sources = [named(name, 1000, gate=threading.Semaphore(1)) for name in "ab"]
    lanes = {source.name: LaneRule(BufferPolicy.WAIT) for source in sources}
    readers = SourceReaders(sources, FrameBuffer(2, BufferPolicy.WAIT, 9, lanes))
    readers.start()
    assert {readers.buffer.get(PATIENCE_S).source for _ in range(2)} == {"a", "b"}
    readers.stop()
    for source in sources:
        source._gate.release()
    readers.join(PATIENCE_S)
    assert all(source.closed.is_set() for source in sources)


def test_a_source_may_know_better_when_a_picture_was_taken():
    source = FakeSource(1)
    source.captured_at = 1_600_000_000.0
    reader = FrameReader(source, FrameBuffer(9, BufferPolicy.WAIT, most_out=9))
    reader.start()
    frame = reader.buffer.get(PATIENCE_S)
    reader.join(PATIENCE_S)
    assert frame.captured_at == 1_600_000_000.0
    assert time.monotonic() - frame.captured == pytest.approx(time.time() - 1_600_000_000.0, abs=PATIENCE_S)
