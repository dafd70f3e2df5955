"""Redis that hangs, goes away or says that somebody else captures."""

from __future__ import annotations

import logging
import signal

import pytest

from sedna_py.errors import SettingsError
from tests.workers.edge.fakes import FakeSource, until
from tests.workers.edge.sharing.redis_server import PASSWORD, RedisServer
from tests.workers.edge.sharing.replicas import (
    ExchangeAt,
    Replica,
    all_numbers,
    go_on,
    redis_queue,
    start_held,
    wait_frames,
)
from workers.edge.sharing.shared_reader import Role

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def replica(server: RedisServer, count: int = 200, pace: float = 0, *, patient: bool = False) -> Replica:
    return Replica(ExchangeAt(server.url, patient)(), lambda: FakeSource(count), work_s=0.002, pace=pace)


def test_a_redis_that_hangs_costs_no_frame_and_gives_none_twice(redis_server, caplog) -> None:
    caplog.set_level(logging.INFO)
    first, second = replica(redis_server, patient=True), replica(redis_server, patient=True)
    start_held(first, second)
    redis_server.signal(signal.SIGSTOP)  # with frames left, however late this comes
    go_on(first, second)
    until(lambda: first.reader.role is second.reader.role is Role.CUT_OFF, "both to notice")
    redis_server.signal(signal.SIGCONT)
    first.end()
    second.end()
    assert all_numbers(first, second) == list(range(1, 201))
    said = [message for message in caplog.messages if "FRAME_QUEUE" in message]
    assert any("cannot be used" in message for message in said)
    assert any("can be used again" in message for message in said)
    assert PASSWORD not in caplog.text


def test_after_redis_has_lost_everything_a_new_run_begins(redis_server) -> None:
    first, second = replica(redis_server, 100_000, pace=300).start(), replica(redis_server, 100_000).start()
    wait_frames(second, 10)
    before = {frame.run for frame in first.frames}
    redis_server.stop()
    until(lambda: second.reader.role is Role.CUT_OFF, "it to notice")
    redis_server.start()
    for one in (first, second):
        until(lambda one=one: one.frames[-1].run not in before, "frames of a new run")
        one.stop()
    names = [(frame.run, frame.number) for frame in first.frames + second.frames]
    assert len(set(names)) == len(names)
    [capture, *_] = first.reader.captures
    assert capture.feed.buffer.exhausted


def test_a_capturer_that_has_lost_the_lease_steps_back(redis_server, caplog) -> None:
    first = replica(redis_server, 100_000, pace=300).start()
    wait_frames(first, 5)
    with redis_server.client() as client:
        client.set("sedna:{shop.helmet-1}:lease", "somebody", px=500)
    until(lambda: "another replica captures now" in caplog.text, "it to step back")
    until(lambda: len(first.reader.captures) == 2, "its next turn")
    count = len(first.frames)
    wait_frames(first, count + 5)
    first.stop()
    numbers = first.numbers
    assert len(set(numbers)) == len(numbers)
    assert len({frame.run for frame in first.frames}) == 1


def test_an_address_that_cannot_be_is_said_without_its_password() -> None:
    with pytest.raises(SettingsError) as raised:
        redis_queue("redis://:s3cret@host:port/0").connect()
    assert "write redis://host:port/0" in str(raised.value)
    assert "s3cret" not in str(raised.value)
