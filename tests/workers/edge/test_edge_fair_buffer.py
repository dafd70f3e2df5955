"""Several sources in one buffer: turns, shares, age, what is handed out, and an account that is exact."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple

import pytest

from tests.workers.edge.fakes import PATIENCE_S, picture, until
from workers.edge.frames import BufferPolicy, FrameBuffer, LaneRule, SourceFrame

WAIT, DROP = BufferPolicy.WAIT, BufferPolicy.DROP_OLDEST
PICTURE = picture(1)


def frame(source: str, number: int = 1, age_s: float = 0.0) -> SourceFrame:
    return SourceFrame(number, source, PICTURE, time.monotonic() - age_s, 1_700_000_000.0)


def buffer_of(capacity: int, most_out: int = 1000, /, **policies: BufferPolicy) -> FrameBuffer:
    return FrameBuffer(capacity, WAIT, most_out, {name: LaneRule(policy) for name, policy in policies.items()})


def take(buffer: FrameBuffer) -> str:
    """Take and finish a frame; return its source."""
    taken = buffer.get(PATIENCE_S)
    assert taken is not None
    buffer.done()
    return taken.source


def waiting(buffer: FrameBuffer) -> list[tuple[str, int]]:
    """Empty the buffer; return (source, number) in the order of their turns."""
    left = []
    while (taken := buffer.hand_out(0)) is not None:
        left.append((taken.source, taken.number))
    return left


def accounted(buffer: FrameBuffer) -> None:
    """Every frame is counted once where it is."""
    for counts in buffer.counts().values():
        came, *left = astuple(counts)
        assert came >= sum(left)
    gone = buffer.got + buffer.handed_out + buffer.dropped + buffer.too_old + buffer.discarded
    assert buffer.taken_in == gone + len(buffer)


def test_lanes_that_have_frames_take_turns():
    buffer = buffer_of(12, a=DROP, b=DROP, c=DROP)
    for source, count in (("a", 4), ("c", 2), ("b", 1)):
        for number in range(count):
            buffer.put(frame(source, number))
    assert waiting(buffer) == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("c", 1), ("a", 2), ("a", 3)]


@pytest.mark.parametrize(
    ("rates", "capacity"),
    [((1,) * 8, 8), ((1,) * 8, 16), ((8, 1, 1, 1, 1, 1, 1, 1), 16), ((1, 2, 3, 4, 5, 6, 7, 8), 16)],
)
def test_eight_sources_at_half_of_the_capacity_they_need_each_get_their_share(rates, capacity):
    names = [f"s{index}" for index in range(8)]
    buffer = buffer_of(capacity, **dict.fromkeys(names, DROP))
    offers = [name for name, rate in zip(names, rates, strict=True) for _ in range(rate)]
    chance = random.Random(7)
    turns, got = 800, Counter()
    for _ in range(turns):
        chance.shuffle(offers)
        for index, name in enumerate(offers):
            assert buffer.put(frame(name))
            assert len(buffer) <= capacity
            if index % 2:
                got[take(buffer)] += 1
    # The share that is fair: nobody gets more than it offers, and nobody who wants more gets less than another (max-min).
    left, fair = len(offers) // 2, {}
    for rate, name in sorted(zip(rates, names, strict=True)):
        fair[name] = min(rate, left / (8 - len(fair)))
        left -= fair[name]
    for name in names:
        assert got[name] == pytest.approx(fair[name] * turns, rel=0.05)
    assert buffer.got + buffer.dropped + len(buffer) == buffer.taken_in == turns * len(offers)


def test_a_slow_source_loses_nothing_beside_a_fast_one():
    buffer = buffer_of(4, slow=DROP, fast=DROP)
    taken = Counter()
    for turn in range(300):
        if turn % 3 == 0:
            buffer.put(frame("slow", turn))
        for _ in range(20):
            buffer.put(frame("fast"))
        taken[take(buffer)] += 1
    assert buffer.counts()["slow"].buffer_full == 0
    assert taken == {"slow": 100, "fast": 200}


def test_one_source_may_use_what_the_others_leave():
    buffer = buffer_of(16, idle=DROP, busy=DROP)
    for number in range(20):
        buffer.put(frame("busy", number))
    assert len(buffer) == 16
    buffer.put(frame("idle", 0))
    assert (len(buffer), buffer.dropped) == (16, 5)
    assert waiting(buffer)[:3] == [("idle", 0), ("busy", 5), ("busy", 6)]


def test_a_file_waits_for_its_own_room_and_loses_nothing_beside_a_camera():
    buffer = buffer_of(5, file=WAIT, camera=DROP)
    with ThreadPoolExecutor(2) as threads:
        filling = threads.submit(lambda: [buffer.put(frame("file", number)) for number in range(200)])
        watching = threads.submit(lambda: [buffer.put(frame("camera", number)) for number in range(2000)])
        got: dict[str, list[int]] = {"file": [], "camera": []}
        while not (filling.done() and watching.done() and not len(buffer)):
            assert len(buffer) <= 5
            if (taken := buffer.hand_out(0.01)) is not None:
                got[taken.source].append(taken.number)
    assert got["file"] == list(range(200))
    assert got["camera"] == sorted(set(got["camera"]))
    assert got["camera"][-1] == 1999
    counts = buffer.counts()
    assert counts["file"].buffer_full == 0
    assert counts["camera"].handed_out + counts["camera"].buffer_full == 2000


def test_a_file_that_waits_does_not_hold_up_another_source():
    buffer = buffer_of(4, file=WAIT, other=WAIT)
    with ThreadPoolExecutor(1) as threads:
        filling = threads.submit(lambda: [buffer.put(frame("file", number)) for number in range(3)])
        until(lambda: buffer.counts()["file"].taken_in == 3, "the file to wait for room")
        assert buffer.put(frame("other"))
        assert not filling.done()
        assert take(buffer) == "file"
        filling.result(PATIENCE_S)
    assert len(buffer) == 3


def test_more_lanes_than_frames_are_an_error():
    with pytest.raises(ValueError, match="no room for 3 lanes"):
        buffer_of(2, a=DROP, b=DROP, c=DROP)


def test_a_source_without_a_lane_is_an_error():
    with pytest.raises(KeyError, match="stranger"):
        buffer_of(2, a=DROP).put(frame("stranger"))


def test_frames_that_are_too_old_at_their_turn_are_dropped_and_fresh_ones_are_not():
    buffer = FrameBuffer(8, DROP, 9, {"live": LaneRule(DROP, max_age_s=60.0), "file": LaneRule(WAIT)})
    for number, age_s in enumerate((300.0, 61.0, 59.0, 0.0)):
        buffer.put(frame("live", number, age_s))
    buffer.put(frame("file", 0, 3600.0))
    assert len(buffer) == 5  # none is judged before its turn
    assert waiting(buffer) == [("live", 2), ("file", 0), ("live", 3)]
    assert (buffer.too_old, buffer.dropped, buffer.handed_out) == (2, 0, 3)
    accounted(buffer)


def test_when_all_are_too_old_it_waits_for_a_fresh_one():
    buffer = FrameBuffer(8, DROP, 9, {"live": LaneRule(DROP, max_age_s=60.0)})
    for number in range(3):
        buffer.put(frame("live", number, 100.0))
    with ThreadPoolExecutor(1) as threads:
        getting = threads.submit(buffer.get, PATIENCE_S)
        until(lambda: buffer.too_old == 3, "the old ones to go")
        assert not getting.done()
        buffer.put(frame("live", 3))
        assert getting.result(PATIENCE_S).number == 3


def test_while_no_turn_comes_nothing_is_too_old():
    buffer = FrameBuffer(8, DROP, 1, {"live": LaneRule(DROP, max_age_s=60.0)})
    buffer.put(frame("live", 1))
    buffer.get(PATIENCE_S)
    buffer.put(frame("live", 2, 100.0))
    buffer.end()
    assert buffer.get(0.01) is None  # one is out, and no more may be
    assert (buffer.too_old, len(buffer)) == (0, 1)


def test_what_is_handed_out_is_not_out_here():
    buffer = buffer_of(8, 1, a=DROP, b=DROP)
    for number in range(3):
        buffer.put(frame("a", number))
        buffer.put(frame("b", number))
    own = buffer.get(PATIENCE_S)
    assert (own.source, own.turn, own.frames_waiting) == ("a", 0, 5)
    handed = [buffer.hand_out(0) for _ in range(4)]  # although no more may be worked on here
    assert [(f.source, f.number, f.turn) for f in handed] == [("b", 0, -1), ("a", 1, -1), ("b", 1, -1), ("a", 2, -1)]
    assert (buffer.out, buffer.got, buffer.handed_out, len(buffer)) == (1, 1, 4, 1)
    buffer.done()
    last = buffer.get(PATIENCE_S)
    assert (last.source, last.number, last.turn) == ("b", 2, 0)
    accounted(buffer)


def test_handing_out_waits_for_a_frame_no_longer_than_it_may_and_ends_with_the_frames():
    buffer = buffer_of(8, a=DROP)
    assert buffer.hand_out(0.01) is None
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(buffer.hand_out, PATIENCE_S)
        buffer.put(frame("a", 5))
        assert waits.result(PATIENCE_S).number == 5
        waits = threads.submit(buffer.hand_out, PATIENCE_S)
        buffer.put(frame("a", 6))
        buffer.end()
        assert waits.result(PATIENCE_S).number == 6
        assert buffer.hand_out(PATIENCE_S) is None
    stopped = buffer_of(8, a=DROP)
    stopped.put(frame("a"))
    stopped.stop(0)
    assert stopped.hand_out(PATIENCE_S) is None
    assert stopped.discarded == 1


def test_a_frame_that_was_put_back_is_not_handed_out():
    buffer = buffer_of(8, a=DROP)
    buffer.put(frame("a"))
    own = buffer.get(PATIENCE_S)
    buffer.put_back(own)
    assert buffer.hand_out(0) is None
    assert buffer.get(PATIENCE_S) is own
    assert (buffer.got, own.turn) == (1, 0)


@pytest.mark.parametrize("stop_early", [False, True])
def test_every_frame_is_accounted_for_while_replicas_and_the_worker_take(stop_early):
    """Three sources, one of them a file; one thread processes, two hand out; each frame is seen once."""
    rules = {"fast": LaneRule(DROP, 0.002), "slow": LaneRule(DROP), "file": LaneRule(WAIT)}
    buffer = FrameBuffer(7, DROP, 3, rules)
    seen: list[tuple[str, int]] = []
    most = [0]
    left = threading.Semaphore(len(rules))

    def produce(source: str) -> None:
        for number in range(2000):
            most[0] = max(most[0], len(buffer))
            if not buffer.put(frame(source, number)):
                break
        left.acquire()
        if not left._value:
            buffer.end()

    def hand_out() -> None:
        while (given := buffer.hand_out(PATIENCE_S)) is not None:
            seen.append((given.source, given.number))

    with ThreadPoolExecutor(5) as threads:
        jobs = [threads.submit(produce, source) for source in rules] + [threads.submit(hand_out) for _ in range(2)]
        while (own := buffer.get(PATIENCE_S)) is not None:
            seen.append((own.source, own.number))
            buffer.done()
            if stop_early and len(seen) > 300:
                buffer.stop(0.01)
        for job in jobs:
            job.result(PATIENCE_S)
    assert len(seen) == len(set(seen)) == buffer.got + buffer.handed_out
    assert len(buffer) == buffer.out == 0
    accounted(buffer)
    if not stop_early:
        assert most[0] <= 7
        assert sorted(number for source, number in seen if source == "file") == list(range(2000))
