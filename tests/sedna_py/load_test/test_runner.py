"""Whole load tests against servers on this machine, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from dataclasses import replace

import pytest

from sedna_py.errors import SettingsError
from sedna_py.load_test.options import Arrivals, LoadOptions, Target
from sedna_py.load_test.report import LoadReport, as_json, render
from sedna_py.load_test.requests import build_requests, parse_url
from sedna_py.load_test.runner import LATE_MS, event_loop_factory, notes, run, run_to_end
from sedna_py.load_test.tally import Tally

SECONDS = 0.15
LOOPS = {"asyncio": asyncio.new_event_loop, "fastest": event_loop_factory()}


@pytest.fixture(params=LOOPS)
def tested(request, played, jpeg):
    """Return tested(reply, options ...) -> the report of a short load test against a server that replies so."""

    def start(reply, **options) -> LoadReport:
        async def story() -> LoadReport:
            async with played.serve(reply):
                chosen = LoadOptions(played.url, [jpeg], connections=2, seconds=SECONDS, warmup_s=0, timeout_s=20)
                report = await run(replace(chosen, **options))
                assert asyncio.all_tasks() - played.tasks == {asyncio.current_task()}
            failed = sum(report.refused.values()) + sum(report.failures.values())
            assert report.sent == report.ok + failed + report.unfinished
            return report

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(story())

    return start


def test_a_closed_loop_reports_what_it_was_answered(tested, played, written, jpeg):
    report = tested(written(), images=[jpeg, jpeg + b"2"], pid=os.getpid(), warmup_s=0.1)
    assert report.ok == report.sent < len(played.requests)
    assert not report.failures
    assert not report.refused
    assert report.seconds == SECONDS
    assert report.answers_per_s == pytest.approx(report.ok / SECONDS, abs=2.5 / SECONDS)  # one each crosses either end
    assert report.connections_opened == played.connections == 2
    assert report.received_bytes_per_s == pytest.approx(report.answers_per_s * len(written()))
    (request,) = build_requests(LoadOptions(played.url, [jpeg]), parse_url(played.url))
    assert report.sent_bytes_per_s == pytest.approx(report.answers_per_s * len(request), rel=0.02)
    assert 0 < report.accepted_ms.p50 <= report.accepted_ms.p99 <= report.accepted_ms.max
    assert report.lateness_ms is None
    assert report.client_cpu_s > 0
    assert report.server.rss_end > 10**6
    assert {body for _, _, body in played.requests} == {jpeg, jpeg + b"2"}


def test_an_open_loop_keeps_its_rate_while_the_server_is_slow(tested, taken, written):
    async def slow(reader, writer):
        while True:
            await taken(reader)
            await asyncio.sleep(0.1)
            writer.write(written())

    report = tested(slow, rate=100.0, arrivals=Arrivals.EVEN, seconds=0.25)
    assert 24 <= report.sent <= 26
    assert report.ok == report.sent
    assert report.not_sent == 0
    assert report.connections_opened > 5
    assert report.accepted_ms.p50 >= 100
    assert report.lateness_ms.count == report.sent
    report = tested(slow, rate=100.0, arrivals=Arrivals.EVEN, max_connections=2, seconds=0.25)
    assert 24 <= report.sent + report.not_sent <= 26
    assert report.not_sent > 10
    assert "as many connections as allowed were busy" in render(report)


def test_refusals_are_counted_apart_with_their_own_latency(tested, written):
    def every_second(number):
        return written(429, b'{"cause": "overloaded"}', "Retry-After: 1\r\n") if number % 2 else written()

    report = tested(every_second, seconds=1)
    assert report.refused.keys() == {"http 429 overloaded"}
    assert report.refused_ms.count == report.refused["http 429 overloaded"] >= 1
    assert report.accepted_ms.count == report.ok >= 1
    assert not report.failures
    assert report.answers_per_s == pytest.approx(report.ok, abs=2.5)  # refusals are no answers


def test_chunked_replies_are_read(tested, played):
    report = tested(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}  \r\n0\r\n\r\n", seconds=1)
    assert report.ok == report.sent > 2
    assert played.connections == 2


def test_a_server_that_closes_politely_costs_connections_but_no_answers(tested, played, written):
    report = tested(written(more="Connection: close\r\n"), seconds=1)
    assert report.ok == report.sent > 2
    assert report.connections_opened >= report.ok
    assert not report.failures


def test_a_reply_that_ends_with_the_connection_is_whole(tested, taken):
    async def old(reader, writer):
        await taken(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    report = tested(old, seconds=1)
    assert report.ok == report.sent > 2


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "invalid_reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "reply_too_large"),
    ],
)
def test_garbage_and_floods_are_failures_with_a_pause_behind_each(tested, reply, cause):
    report = tested(reply, max_reply_bytes=1000)
    assert report.failures.keys() == {cause}
    assert report.ok == 0
    assert report.sent <= 8


def test_a_server_that_hangs_up_is_a_failure(tested, taken):
    async def rude(reader, writer):
        await taken(reader)

    report = tested(rude)
    assert report.failures.keys() == {"connection_lost"}


@pytest.mark.parametrize("options", [{}, {"rate": 50.0}])
def test_a_server_that_never_answers_costs_no_more_than_the_time_out(tested, taken, options):
    async def silent(reader, writer):
        while True:
            await taken(reader)

    report = tested(silent, timeout_s=0.1, **options)
    assert report.failures.keys() == {"timed_out"}
    assert report.sent == report.failures["timed_out"] >= 2
    assert report.answers_per_s == 0
    assert report.accepted_ms is None


@pytest.mark.parametrize("options", [{}, {"rate": 50.0}])
def test_nobody_listening_is_counted(tested, written, options):
    with socket.socket() as taken_port:  # bound, and not listened on
        taken_port.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken_port.getsockname()[1]}"
        report = tested(written(), url=url, **options)
    assert report.failures.keys() == {"connect_failed"}
    assert report.connections_opened == 0
    assert "ConnectionRefusedError" in render(report)


def test_cancelled_it_returns_the_report_so_far(played, written, jpeg):
    async def story() -> LoadReport:
        async with played.serve(lambda number: written() if number < 50 else b""):
            options = LoadOptions(played.url, [jpeg], connections=2, seconds=60, warmup_s=0)
            task = asyncio.ensure_future(run(options))
            await played.asked(52)  # two of them are never answered
            task.cancel()
            return await task

    report = asyncio.run(story())
    assert report.interrupted
    assert report.ok == 50
    assert report.unfinished == 2
    assert 0 < report.seconds < 30
    assert report.answers_per_s == pytest.approx(50 / report.seconds)
    assert "then interrupted" in render(report)


def test_cancelled_in_the_warm_up_it_has_counted_nothing(played, written, jpeg):
    async def story() -> LoadReport:
        async with played.serve(written()):
            task = asyncio.ensure_future(run(LoadOptions(played.url, [jpeg], warmup_s=60)))
            await played.asked(1)
            task.cancel()
            return await task

    report = asyncio.run(story())
    assert (report.sent, report.seconds, report.answers_per_s) == (0, 0, 0)
    assert report.accepted_ms is None


@pytest.mark.parametrize("fastest", LOOPS)
def test_ctrl_c_ends_it_with_the_report_so_far(loopback, jpeg, monkeypatch, fastest):
    monkeypatch.setattr("sedna_py.load_test.runner.event_loop_factory", lambda: LOOPS[fastest])

    def interrupt() -> None:
        if loopback.arrived.wait(10):
            os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=interrupt)
    person.start()
    loopback.hang = True
    report = run_to_end(LoadOptions(loopback.url, [jpeg], connections=1, seconds=60, warmup_s=0))
    person.join()
    assert report.interrupted
    assert (report.sent, report.unfinished) == (1, 1)
    assert report.seconds < 30


def test_the_large_requests_of_many_connections_arrive_whole(tested, played, written, jpeg):
    image = jpeg + os.urandom(3_000_000)  # more than a socket takes at once
    report = tested(written(), images=[image], target=Target.OIP, model="m", connections=3)
    assert report.ok == report.sent >= 3
    assert all(body.endswith(image) for _, _, body in played.requests)


def test_an_unknown_host_is_an_error_that_says_what_to_write(jpeg):
    with pytest.raises(SettingsError, match="write http://host:port"):
        run_to_end(LoadOptions("http://no-such-host.invalid", [jpeg]))


def test_the_report_is_plain_json_and_a_table_of_its_figures(tested, written):
    report = tested(written(503, b'{"cause": "not_ready"}'), rate=100.0, pid=os.getpid())
    document = json.loads(json.dumps(as_json(report), allow_nan=False))
    assert document["refused"] == {"http 503 not_ready": report.sent}
    assert document["accepted_ms"] is None
    assert document["refused_ms"]["count"] == report.sent
    assert document["server"]["cpu_s"] >= 0
    table = render(report)
    assert "open loop of 100 requests/s (poisson), at most 256 connections" in table
    assert f"{report.sent} http 503 not_ready" in table
    assert f"p99 {report.refused_ms.p99:.1f} ms" in table
    assert "late by" in table
    assert "CPU s" in table


def test_a_load_test_that_was_late_or_busy_itself_says_so():
    tally = Tally(0.0, 10.0, seed=1)
    tally.lateness.add(LATE_MS / 1000)
    assert notes(tally, tally.lateness.latency(), 1.0, 10.0) == []
    tally.lateness.add(0.05)
    late, busy = notes(tally, tally.lateness.latency(), 9.5, 10.0)
    assert "fell behind (p99 50.0 ms late)" in late
    assert "95% of a processor" in busy
