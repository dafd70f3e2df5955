"""Who sends when: with a clock that the test moves, and connections that lead nowhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from sedna_py.load_test.loops import ClosedLoop, OpenLoop
from sedna_py.load_test.tally import Tally
from sedna_py.load_test.traffic import Limits

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
FULL = b"HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n"


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol
        self.written: list[bytes] = []
        self.gone = False
        self.lost = False  # as the protocol has heard

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        if not self.gone:
            self.gone = True
            asyncio.get_running_loop().call_soon(self._lose)

    def _lose(self) -> None:
        self.lost = True
        self.protocol.connection_lost(None)

    def reply(self, data: bytes = OK) -> None:
        self.protocol.data_received(data)


class Stage:
    """The clock and the wires of one test."""

    def __init__(self) -> None:
        self.now = 0.0
        self.wires: list[Wire] = []
        self.refuse = False
        self.dials = 0

    def clock(self) -> float:
        return self.now

    async def dial(self, factory) -> None:
        self.dials += 1
        if self.refuse:
            raise ConnectionRefusedError
        protocol = factory()
        self.wires.append(Wire(protocol))
        protocol.connection_made(self.wires[-1])

    def sent(self) -> list[bytes]:
        return [request for wire in self.wires for request in wire.written]

    @contextlib.asynccontextmanager
    async def open_loop(self, due, max_connections=100, begins=0.0, ends=100.0) -> AsyncIterator[OpenLoop]:
        limits = Limits(30.0, 1000, max_connections)
        times = iter([*due, float("inf")])
        loop = OpenLoop([b"a", b"b", b"c"], self.dial, limits, Tally(begins, ends, 1), self.clock, times)
        async with self._running(loop):
            yield loop

    @contextlib.asynccontextmanager
    async def closed_loop(self, connections, begins=0.0, ends=100.0) -> AsyncIterator[ClosedLoop]:
        loop = ClosedLoop(
            [b"a", b"b", b"c"], self.dial, Limits(30.0, 1000, connections), Tally(begins, ends, 1), self.clock
        )
        async with self._running(loop):
            yield loop

    @contextlib.asynccontextmanager
    async def _running(self, loop) -> AsyncIterator[None]:
        loop.start()
        await settle()
        try:
            yield
        finally:
            await loop.aclose()
            assert all(wire.lost for wire in self.wires)


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_closed_loop_sends_the_next_request_with_the_answer_and_never_two_at_once():
    async def story() -> None:
        stage = Stage()
        async with stage.closed_loop(2) as loop:
            assert sorted(stage.sent()) == [b"a", b"b"]
            stage.now = 0.5
            stage.wires[0].reply()
            assert stage.wires[0].written == [b"a", b"c"]
            assert stage.wires[1].written == [b"b"]
            stage.now = 0.7
            stage.wires[0].reply()
            assert stage.wires[0].written == [b"a", b"c", b"a"]
        assert loop.tally.sent == 4
        assert loop.tally.unfinished == 2
        figures = loop.tally.accepted.latency()
        assert (figures.count, figures.p50, figures.max) == (2, pytest.approx(200), 500)

    asyncio.run(story())


def test_a_connection_that_the_server_ends_politely_is_replaced_at_once():
    async def story() -> None:
        stage = Stage()
        async with stage.closed_loop(1) as loop:
            stage.wires[0].reply(LAST)
            await settle()
            assert [wire.written for wire in stage.wires] == [[b"a"], [b"b"]]
            assert not loop.tally.failures

    asyncio.run(story())


def test_a_server_that_is_gone_is_not_asked_as_fast_as_the_processor_can():
    async def story() -> None:
        stage = Stage()
        stage.refuse = True
        async with stage.closed_loop(1) as loop:
            await asyncio.sleep(0.15)
            assert stage.dials == 2
            assert loop.tally.failures == {"connect_failed": 2}

    asyncio.run(story())


def test_an_open_loop_sends_on_time_whether_earlier_requests_are_answered_or_not():
    async def story() -> None:
        stage = Stage()
        async with stage.open_loop([0.0, 1.0, 1.5, 3.0]) as loop:
            assert len(stage.sent()) == 1
            for now, sent in [(0.9, 1), (1.2, 2), (1.5, 3), (2.9, 3)]:
                stage.now = now
                loop.send_due()
                await settle()
                assert len(stage.sent()) == sent, now
            assert loop.opened == 3  # none had been answered
            stage.wires[1].reply()
            stage.now = 3.0
            loop.send_due()
            await settle()
            assert loop.opened == 3
            assert len(stage.wires[1].written) == 2
            assert loop.tally.lateness.latency().max == pytest.approx(200)

    asyncio.run(story())


def test_latency_begins_when_a_request_was_due_not_when_it_was_sent():
    """The load test itself stands still for a second: what was due meanwhile has waited, and says so."""

    async def story() -> None:
        stage = Stage()
        async with stage.open_loop([0.0, 0.2, 0.4, 0.6, 0.8]) as loop:
            stage.wires[0].reply()
            stage.now = 1.0
            loop.send_due()
            await settle()
            for wire in stage.wires:
                wire.reply()
        figures = loop.tally.accepted.latency()
        assert figures.count == 5
        assert figures.max == pytest.approx(800)
        assert figures.p50 == pytest.approx(400)

    asyncio.run(story())


def test_what_no_connection_is_left_for_is_counted_and_never_sent_later():
    async def story() -> None:
        stage = Stage()
        async with stage.open_loop([0.0, 0.1, 0.2, 0.3, 5.0], max_connections=2, begins=0.15) as loop:
            stage.now = 0.5
            loop.send_due()
            await settle()
            assert len(stage.sent()) == 2
            assert loop.tally.not_sent == 2
            stage.wires[0].reply()
            await settle()
            assert len(stage.sent()) == 2
            stage.now = 5.0
            loop.send_due()
            assert len(stage.sent()) == 3
            assert loop.tally.sent == 1  # the first two were of the warm-up

    asyncio.run(story())


def test_an_idle_connection_that_the_server_closes_is_no_failure_and_not_used_again():
    async def story() -> None:
        stage = Stage()
        async with stage.open_loop([0.0, 1.0]) as loop:
            stage.wires[0].reply()
            stage.wires[0].abort()
            await settle()
            stage.now = 1.0
            loop.send_due()
            await settle()
            assert [len(wire.written) for wire in stage.wires] == [1, 1]
            assert not loop.tally.failures

    asyncio.run(story())


def test_a_connection_whose_end_has_just_come_is_given_nothing_more():
    async def story() -> None:
        stage = Stage()
        async with stage.open_loop([0.0, 1.0]) as loop:
            stage.wires[0].reply()
            stage.wires[0].protocol.eof_received()
            stage.now = 1.0
            loop.send_due()  # before the event loop comes to say that the connection is lost
            stage.wires[0].abort()
            await settle()
            assert [len(wire.written) for wire in stage.wires] == [1, 1]
            assert not loop.tally.failures

    asyncio.run(story())


def test_a_connection_that_is_made_too_late_sends_nothing():
    async def story() -> None:
        stage = Stage()
        async with stage.open_loop([0.0]) as loop:
            late = loop.open()
            loop.send(late, 0.0, 0.0)
            late.end("timed_out")
            await settle()
            assert stage.sent() == [b"a"]
            assert stage.wires[1].gone
            assert loop.tally.failures == {"timed_out": 1}

    asyncio.run(story())


def test_nothing_is_sent_behind_the_end_and_the_last_answers_are_waited_for():
    async def story() -> None:
        stage = Stage()
        async with stage.open_loop([0.0, 0.9, 1.0, 1.1], ends=1.0) as loop:
            stage.now = 2.0
            loop.send_due()
            await settle()
            assert len(stage.sent()) == 2
            loop.stop()
            waiting = asyncio.ensure_future(loop.drained())
            stage.wires[0].reply()
            await settle()
            assert not waiting.done()
            stage.wires[1].reply(FULL)
            await asyncio.wait_for(waiting, 5)
            assert loop.tally.unfinished == 0

    asyncio.run(story())


def test_an_answer_to_no_question_ends_the_connection():
    async def story() -> None:
        stage = Stage()
        async with stage.open_loop([0.0]) as loop:
            stage.wires[0].reply()
            stage.wires[0].reply()
            await settle()
            assert stage.wires[0].gone
            assert loop.tally.accepted.count == 1

    asyncio.run(story())
