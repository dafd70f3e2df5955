"""The bounded buffer between reader and frame loop."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.workers.edge.fakes import PATIENCE_S, make_frame, until
from workers.edge.frames import BufferPolicy, FrameBuffer

WAIT, DROP = BufferPolicy.WAIT, BufferPolicy.DROP_OLDEST


def taken(buffer: FrameBuffer) -> list[int]:
    """Take and finish frames until the buffer is empty and ended."""
    numbers = []
    while (frame := buffer.get(PATIENCE_S)) is not None:
        numbers.append(frame.number)
        buffer.done()
    return numbers


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.mark.parametrize("policy", BufferPolicy)
def test_frames_leave_in_the_order_in_which_they_came(policy):
    buffer = FrameBuffer(4, policy, most_out=9)
    assert all(buffer.put(make_frame(n)) for n in range(1, 5))
    buffer.end()
    assert taken(buffer) == [1, 2, 3, 4]
    assert (buffer.dropped, buffer.discarded, buffer.out, len(buffer)) == (0, 0, 0, 0)


def test_drop_oldest_keeps_the_newest_and_counts():
    buffer = FrameBuffer(3, DROP, most_out=9)
    for number in range(1, 11):
        assert buffer.put(make_frame(number))
        assert len(buffer) <= 3
    buffer.end()
    assert taken(buffer) == [8, 9, 10]
    assert buffer.dropped == 7


def test_wait_makes_the_source_wait_for_room(threads):
    buffer = FrameBuffer(1, WAIT, most_out=9)
    buffer.put(make_frame(1))
    second = threads.submit(buffer.put, make_frame(2))
    assert not second.done()
    assert buffer.get(PATIENCE_S).number == 1
    assert second.result(PATIENCE_S) is True
    assert buffer.dropped == 0


def test_a_frame_knows_how_many_waited_behind_it():
    buffer = FrameBuffer(4, WAIT, most_out=9)
    for number in (1, 2, 3):
        buffer.put(make_frame(number))
    assert [buffer.get(PATIENCE_S).frames_waiting for _ in range(3)] == [2, 1, 0]


def test_no_more_than_most_out_are_worked_on(threads):
    buffer = FrameBuffer(8, WAIT, most_out=2)
    for number in range(1, 5):
        buffer.put(make_frame(number))
    assert [buffer.get(PATIENCE_S).number, buffer.get(PATIENCE_S).number] == [1, 2]
    third = threads.submit(buffer.get, PATIENCE_S)
    assert not third.done()
    assert buffer.out == 2
    buffer.done()
    assert third.result(PATIENCE_S).number == 3


def test_a_frame_that_was_put_back_is_next_whatever_else_is_out():
    buffer = FrameBuffer(8, WAIT, most_out=1)
    buffer.put(make_frame(1))
    buffer.put(make_frame(2))
    first = buffer.get(PATIENCE_S)
    buffer.put_back(first)
    assert buffer.get(PATIENCE_S) is first
    assert buffer.out == 1
    buffer.done()
    assert buffer.get(PATIENCE_S).number == 2


def test_after_the_end_it_waits_for_what_is_out_and_may_come_back(threads):
    buffer = FrameBuffer(8, WAIT, most_out=4)
    buffer.put(make_frame(1))
    frame = buffer.get(PATIENCE_S)
    buffer.end()
    after = threads.submit(buffer.get, PATIENCE_S)
    assert not after.done()
    buffer.put_back(frame)
    assert after.result(PATIENCE_S) is frame
    last = threads.submit(buffer.get, PATIENCE_S)
    buffer.done()
    assert last.result(PATIENCE_S) is None


def test_after_the_end_it_does_not_wait_for_ever():
    buffer = FrameBuffer(8, WAIT, most_out=4)
    buffer.put(make_frame(1))
    buffer.get(PATIENCE_S)
    buffer.end()
    assert buffer.get(0.01) is None
    assert buffer.out == 1


def test_after_stop_what_was_read_still_leaves():
    buffer = FrameBuffer(2, WAIT, most_out=9)
    for number in (1, 2):
        assert buffer.put(make_frame(number))
    buffer.stop(PATIENCE_S)
    assert buffer.put(make_frame(3)) is False  # in the reader's hand at that moment; no more is wanted
    buffer.end()
    assert taken(buffer) == [1, 2, 3]
    assert (buffer.taken_in, buffer.dropped, buffer.discarded) == (3, 0, 0)


@pytest.mark.parametrize("policy", BufferPolicy)
def test_what_still_waits_after_the_limit_is_discarded_and_counted(policy):
    buffer = FrameBuffer(8, policy, most_out=1)
    for number in (1, 2, 3):
        buffer.put(make_frame(number))
    frame = buffer.get(PATIENCE_S)
    buffer.stop(0.01)
    assert buffer.get(0.05) is None  # 1 is still out
    assert (len(buffer), buffer.discarded) == (0, 2)
    assert buffer.put(make_frame(4)) is False
    assert (buffer.taken_in, buffer.discarded) == (4, 3)
    buffer.put_back(frame)
    assert buffer.get(PATIENCE_S) is frame
    buffer.done()
    assert buffer.get(PATIENCE_S) is None


def test_a_reader_that_never_ends_holds_a_stop_no_longer_than_its_limit():
    buffer = FrameBuffer(8, WAIT, most_out=1)
    buffer.stop(0.02)
    assert buffer.get(PATIENCE_S) is None


def test_a_second_stop_does_not_move_the_limit():
    buffer = FrameBuffer(8, WAIT, most_out=1)
    buffer.stop(0.02)
    buffer.stop(3600)
    assert buffer.get(3600) is None


def test_closed_it_takes_nothing_and_keeps_count():
    buffer = FrameBuffer(8, WAIT, most_out=4)
    buffer.put(make_frame(1))
    buffer.close()
    assert buffer.put(make_frame(2)) is False
    assert (buffer.taken_in, buffer.discarded, len(buffer)) == (2, 2, 0)
    assert buffer.get(PATIENCE_S) is None


@pytest.mark.parametrize("policy", BufferPolicy)
def test_stop_wakes_who_waits(threads, policy):
    full, empty = FrameBuffer(1, policy, most_out=1), FrameBuffer(1, policy, most_out=1)
    full.put(make_frame(1))
    putting = threads.submit(full.put, make_frame(2))
    getting = threads.submit(empty.get, PATIENCE_S)
    until(lambda: full.taken_in == 2, "the second frame to come")
    full.stop(0)
    empty.stop(0)
    assert putting.result(PATIENCE_S) is (policy is DROP)
    assert getting.result(PATIENCE_S) is None


@pytest.mark.parametrize("policy", BufferPolicy)
@pytest.mark.parametrize("stop_early", [False, True])
def test_every_frame_is_accounted_for_under_stress(threads, policy, stop_early):
    buffer = FrameBuffer(3, policy, most_out=5)
    count, accepted, left = 5000, 0, []
    out_now, most_seen = threading.Semaphore(0), [0]

    def produce() -> int:
        put = 0
        for number in range(1, count + 1):
            if not buffer.put(make_frame(number)):
                break
            put += 1
        buffer.end()
        return put

    def finish() -> None:
        while out_now.acquire(timeout=PATIENCE_S) and not ended.is_set():
            buffer.done()

    ended = threading.Event()
    producing, finishing = threads.submit(produce), threads.submit(finish)
    back = set()
    while (frame := buffer.get(PATIENCE_S)) is not None:
        most_seen[0] = max(most_seen[0], buffer.out)
        if frame.number % 7 == 0 and frame.number not in back:
            back.add(frame.number)
            buffer.put_back(frame)
            continue
        left.append(frame.number)
        out_now.release()
        if stop_early and len(left) == 100:
            buffer.stop(0.05)
    accepted = producing.result(PATIENCE_S)
    ended.set()
    out_now.release()
    finishing.result(PATIENCE_S)
    assert buffer.taken_in == len(left) + buffer.dropped + buffer.discarded
    assert buffer.taken_in - accepted in (0, 1)  # the last one learnt that no more are wanted
    assert len(set(left)) == len(left)
    assert most_seen[0] <= 5
    assert policy is DROP or buffer.dropped == 0
    if not stop_early:
        assert accepted == count
        assert left[-1] == count or count % 7 == 0
        assert policy is DROP or sorted(left) == list(range(1, count + 1))
    assert until(lambda: len(buffer) == 0)
