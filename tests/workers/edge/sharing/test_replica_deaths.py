"""`kill -9` of a replica: another one carries on, no frame is twice, and what died with it is counted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis

from tests.workers.edge.fakes import FakeSource, until
from tests.workers.edge.programs import ROOT
from tests.workers.edge.sharing.replicas import ExchangeAt, Replica, wait_frames
from workers.edge.sharing.shared_reader import Role

HELD = 4  # one under way, one more asked for, one in the hand, one in the buffer
StartHolder = Callable[[ExchangeAt, int], "Holder"]


class Holder:
    """A replica in a process of its own that hangs after so many frames."""

    def __init__(self, exchange: ExchangeAt, frames: int) -> None:
        command = [sys.executable, "-m", "tests.workers.edge.sharing.holder", exchange.where, str(frames)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
        self._frames = frames

    def numbers(self) -> list[int]:
        """Return the frames that it worked on, once those are all."""
        assert self.process.stdout is not None
        return [int(self.process.stdout.readline()) for _ in range(self._frames)]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def exchange(exchange: ExchangeAt) -> ExchangeAt:
    return replace(exchange, patient=False)  # these tests wait until a death is noticed


@pytest.fixture
def holder() -> Iterator[StartHolder]:
    started: list[Holder] = []

    def start(exchange: ExchangeAt, frames: int) -> Holder:
        started.append(Holder(exchange, frames))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


def test_what_a_dead_taker_held_is_lost_and_counted(exchange, holder) -> None:
    gate = threading.Semaphore(100)
    first = Replica(exchange(), lambda: FakeSource(200, gate=gate))
    taker = holder(exchange, 5)
    first.may_work.clear()
    first.start()
    theirs = taker.numbers()
    first.may_work.set()
    wait_frames(first, 80)
    taker.kill()
    until(lambda: first.exchange.handed_out.lost, "the death to be noticed")
    gate.release(100)
    first.end()
    mine = first.numbers
    assert len({*theirs, *mine}) == len(theirs) + len(mine)
    lost = set(range(1, 201)) - {*theirs, *mine}
    assert 1 <= len(lost) <= HELD
    # What it had finished and not told yet counts as well.
    assert len(lost) <= first.exchange.handed_out.lost <= len(lost) + 2


def test_a_dead_capturer_s_place_is_taken_and_nothing_is_twice(exchange, holder) -> None:
    capturer = holder(exchange, 20)
    numbers = capturer.numbers()
    second = Replica(exchange(), lambda: FakeSource(200)).start()
    wait_frames(second, 5)
    assert second.reader.role is Role.TAKER
    capturer.kill()
    until(lambda: second.reader.role is Role.CAPTURER, "the other one to capture")
    second.end()
    mine = second.numbers
    assert len({*numbers, *mine}) == len(numbers) + len(mine)
    assert len(set(range(1, 201)) - {*numbers, *mine}) <= 2 * HELD
    assert max(mine) == 200
    assert len({frame.run for frame in second.frames}) == 1


def test_after_the_death_of_all_a_new_run_begins(exchange, holder) -> None:
    capturer = holder(exchange, 20)
    capturer.numbers()
    capturer.kill()
    later = Replica(exchange(), lambda: FakeSource(200), prepare=False)
    if exchange.where.startswith("redis:"):
        with redis.Redis.from_url(exchange.where) as client:
            until(lambda: not client.keys("*state"), "the run to be forgotten")
    later.start()
    later.end()
    assert later.numbers == list(range(1, 201))
