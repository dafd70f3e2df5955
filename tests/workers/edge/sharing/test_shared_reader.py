"""Replicas that share a source, by a directory and by Redis: every frame to one of them, whoever captures."""

from __future__ import annotations

import threading

import pytest

from sedna_py.errors import SourceError
from tests.workers.edge.fakes import FakeSource, number_of, until
from tests.workers.edge.sharing.replicas import Replica, all_numbers, go_on, start_held, wait_frames
from workers.edge.frames import BufferPolicy
from workers.edge.sharing.figures import SharedFigures
from workers.edge.sharing.shared_reader import Role

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_two_replicas_get_every_frame_once_and_end_with_the_source(exchange) -> None:
    replicas = [Replica(exchange(), lambda: FakeSource(60), work_s=0.004) for _ in range(2)]
    start_held(*replicas)
    go_on(*replicas)
    for replica in replicas:
        replica.end()
    assert all_numbers(*replicas) == list(range(1, 61))
    assert min(len(replica.frames) for replica in replicas) >= 15
    frames = [frame for replica in replicas for frame in replica.frames]
    assert all(number_of(frame.picture) == frame.number for frame in frames)
    assert all(frame.picture.flags.writeable for frame in frames)
    assert len({frame.run for frame in frames}) == 1
    counts = replicas[0].exchange.handed_out
    assert counts.itself + counts.others + counts.queue == 60
    assert (counts.lost, counts.unsent) == (0, 0)


def test_while_both_are_idle_they_take_turns(exchange) -> None:
    """A camera slower than any replica: half of the frames each, to a few at the beginning."""
    gate = threading.Semaphore(8)  # more than one of them holds: both have begun when these are done
    replicas = [Replica(exchange(), lambda: FakeSource(40, gate=gate)) for _ in range(2)]
    start_held(*replicas)
    go_on(*replicas)
    until(lambda: len(all_numbers(*replicas)) == 8, "the first frames")
    for sent in range(9, 41):
        gate.release()
        until(lambda sent=sent: len(all_numbers(*replicas)) == sent, f"frame {sent}")
    for replica in replicas:
        replica.end()
    assert all_numbers(*replicas) == list(range(1, 41))
    assert min(len(replica.frames) for replica in replicas) >= 15


def test_the_capturer_s_end_hands_the_source_over_and_no_frame_is_lost_or_twice(exchange) -> None:
    first, second = (Replica(exchange(), lambda: FakeSource(200), work_s=0.002) for _ in range(2))
    start_held(first, second)
    assert (first.reader.role, second.reader.role) == (Role.CAPTURER, Role.TAKER)
    first.reader.stop()
    until(lambda: first.reader.captures[-1]._stopped, "it to read no more")  # there are frames left for the other one
    go_on(second)
    first.stop()
    second.end()
    assert second.reader.captures  # it has captured
    assert all_numbers(first, second) == list(range(1, 201))
    assert len({frame.run for frame in first.frames + second.frames}) == 1


def test_a_taker_that_ends_works_on_what_it_was_given(exchange) -> None:
    first, second = (Replica(exchange(), lambda: FakeSource(100), work_s=0.002) for _ in range(2))
    start_held(first, second)
    go_on(first, second)
    wait_frames(second, 5)
    second.stop()
    first.end()
    assert all_numbers(first, second) == list(range(1, 101))
    assert first.exchange.handed_out.lost == 0


def test_a_replica_that_is_stuck_holds_up_nobody(exchange) -> None:
    first = Replica(exchange(), lambda: FakeSource(100), work_s=0.001)
    stuck = Replica(exchange(), lambda: FakeSource(100))
    start_held(stuck)  # before the other one could have all frames
    first.start()
    until(lambda: len(first.frames) >= 90, "the other one to go on")
    stuck.may_work.set()
    first.end()
    stuck.end()
    assert all_numbers(first, stuck) == list(range(1, 101))
    assert len(stuck.frames) <= 10


def test_a_full_queue_drops_its_oldest_and_every_frame_is_counted(exchange) -> None:
    first = Replica(
        exchange(), lambda: FakeSource(300), work_s=0.01, policy=BufferPolicy.DROP_OLDEST, pace=1000
    ).start()
    second = Replica(exchange(), lambda: FakeSource(300), work_s=0.01).start()
    first.end()
    second.end()
    got = all_numbers(first, second)
    [capture] = first.reader.captures
    counts = first.exchange.handed_out
    assert len(set(got)) == len(got) == counts.itself + counts.others + counts.queue
    assert capture.feed.buffer.taken_in == 300 == len(got) + capture.feed.buffer.dropped
    assert capture.feed.buffer.dropped > 50


def test_over_replicas_the_frames_that_came_add_up_and_their_waiting_counts_where_they_wait(exchange) -> None:
    replicas = [
        Replica(exchange(), lambda: FakeSource(300), work_s=0.01, policy=BufferPolicy.DROP_OLDEST, pace=1000),
        Replica(exchange(), lambda: FakeSource(300), work_s=0.01),
    ]
    figures = [SharedFigures(replica.reader) for replica in replicas]
    start_held(*replicas)
    until(lambda: figures[0].backlog().age_s > 0, "frames to wait at the capturer")
    go_on(*replicas)
    for replica in replicas:
        replica.end()
    assert sum(figure.came for figure in figures) == 300
    assert [figure.came - figure.dropped for figure in figures] == [len(replica.frames) for replica in replicas]
    assert figures[1].dropped == 0
    assert figures[0].backlog().waiting_s > figures[1].backlog().waiting_s > 0
    assert [figure.backlog().age_s for figure in figures] == [0.0, 0.0]


def test_a_later_start_begins_a_new_round_of_numbers_under_a_new_name(exchange) -> None:
    first = Replica(exchange(), lambda: FakeSource(5)).start()
    first.end()
    later = Replica(exchange(), lambda: FakeSource(5)).start()
    later.end()
    assert first.numbers == later.numbers == [1, 2, 3, 4, 5]
    assert first.frames[0].run != later.frames[0].run


def test_rounds_of_a_file_go_on_where_they_were(exchange) -> None:
    first, second = (Replica(exchange(), lambda: FakeSource(10), work_s=0.002, repeat=12) for _ in range(2))
    start_held(first, second)
    go_on(first, second)
    wait_frames(second, 20)
    first.stop()
    second.end()
    assert all_numbers(first, second) == list(range(1, 121))
    assert sorted((frame.lap, frame.index) for frame in first.frames + second.frames) == [
        (lap, index) for lap in range(12) for index in range(10)
    ]


def test_a_source_that_cannot_be_opened_is_said_at_once_and_the_lock_is_free_again(exchange) -> None:
    def refuse() -> FakeSource:
        raise SourceError("no video")

    end = exchange()
    with pytest.raises(SourceError, match="no video"):
        Replica(end, refuse)
    end.close()
    replica = Replica(exchange(), lambda: FakeSource(3)).start()
    replica.end()
    assert replica.numbers == [1, 2, 3]


def test_a_source_that_fails_ends_its_capturer_with_the_error_and_the_other_one_tries(exchange) -> None:
    first = Replica(exchange(), lambda: FakeSource(20, raises=SourceError("broken")), work_s=0.001).start()
    second = Replica(exchange(), lambda: FakeSource(30), work_s=0.001).start()
    first.end()
    second.end()
    assert str(first.reader.error) == "broken"
    assert second.reader.error is None
    assert all_numbers(first, second) == list(range(1, 31))
