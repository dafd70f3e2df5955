"""Reports to the local controller: the body, the period, and what failures do not do."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime

import httpx
import pytest

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.client.local_controller import (
    InferenceCounts,
    LocalControllerReporter,
    SignalSource,
    WorkerIdentity,
    build_report,
)
from sedna_py.errors import SettingsError

IDENTITY = WorkerIdentity("edgeworker-x7k2m", "default", "helmet")
OK = b'{"Status": 200, "Message": "OK"}'
START = time.mktime((2025, 11, 21, 10, 0, 0, 0, 0, -1))


def test_the_body_is_upstreams():
    assert build_report(IDENTITY, InferenceCounts(120, 30), START, START + 30.9) == {
        "name": "edgeworker-x7k2m",
        "namespace": "default",
        "ownerName": "helmet",
        "ownerKind": "jointinferenceservice",
        "kind": "inference",
        "results": [],
        "ownerInfo": {
            "startTime": "2025-11-21 10:00:00",
            "updateTime": "2025-11-21 10:00:30",
            "inferenceNumber": 120,
            "hardExampleNumber": 30,
            "uploadCloudRatio": 0.25,
        },
    }


def test_no_inference_is_no_division_by_zero():
    assert build_report(IDENTITY, InferenceCounts(), START, START)["ownerInfo"]["uploadCloudRatio"] == 0.0


class _Controller:
    """A local controller that answers as told and lets a test wait for its posts."""

    def __init__(self) -> None:
        self.status = 200
        self.reports: list[dict] = []
        self.urls: list[str] = []
        self.asked = asyncio.Event()
        self.counts = InferenceCounts()
        self.reads = 0
        self.read = asyncio.Event()

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(str(request.url))
        self.reports.append(json.loads(request.content))
        self.asked.set()
        return httpx.Response(self.status, content=OK)

    def read_counts(self) -> InferenceCounts:
        self.reads += 1
        self.read.set()
        return self.counts

    def reporter(self, **options) -> LocalControllerReporter:
        options = {"period_s": 0.01, "transport": httpx.MockTransport(self.handle), **options}
        return LocalControllerReporter("http://127.0.0.1:9100/", IDENTITY, self.read_counts, **options)

    async def next(self, event: asyncio.Event) -> None:
        event.clear()
        await asyncio.wait_for(event.wait(), 20)


def _numbers(controller: _Controller) -> list[int]:
    return [report["ownerInfo"]["inferenceNumber"] for report in controller.reports]


def test_after_the_first_only_periods_with_an_inference_are_reported():
    async def main():
        controller = _Controller()
        reporter = controller.reporter()
        task = asyncio.create_task(reporter.run())
        await controller.next(controller.asked)
        for _ in range(3):
            await controller.next(controller.read)
        assert _numbers(controller) == [0]
        controller.counts = InferenceCounts(120, 30)
        await controller.next(controller.asked)
        for _ in range(3):
            await controller.next(controller.read)
        await reporter.stop()
        await task
        return controller

    controller = asyncio.run(main())
    assert _numbers(controller) == [0, 120]
    assert set(controller.urls) == {"http://127.0.0.1:9100/sedna/workers/edgeworker-x7k2m/info"}


TOLD = Snapshot(7.0, 1.0, 5.0, 4.0, 0.0, 1.0, 0.5, 0.5, 2.0)


def test_who_scales_by_signals_gets_a_report_each_period_in_quiet_times_too():
    told = [None, TOLD]

    async def main():
        controller = _Controller()
        signals = SignalSource(lambda: told.pop(0) if len(told) > 1 else told[0], period_s=0.01)
        reporter = controller.reporter(period_s=3600, signals=signals)
        task = asyncio.create_task(reporter.run())
        for _ in range(4):
            await controller.next(controller.asked)
        await reporter.stop()
        await task
        return controller

    reports = asyncio.run(main()).reports
    assert "signals" not in reports[0]["ownerInfo"]
    assert [report["ownerInfo"]["signals"]["at"] for report in reports[1:4]] == [7.0] * 3


def test_without_a_period_of_their_own_signals_come_with_the_reports_there_are():
    async def main():
        controller = _Controller()
        reporter = controller.reporter(signals=SignalSource(lambda: TOLD))
        task = asyncio.create_task(reporter.run())
        await controller.next(controller.asked)
        for _ in range(3):
            await controller.next(controller.read)
        await reporter.stop()
        await task
        return controller

    (only,) = asyncio.run(main()).reports
    assert only["ownerInfo"]["signals"]["done"] == 4.0


def test_stop_is_prompt_and_sends_the_last_figures():
    async def main():
        controller = _Controller()
        reporter = controller.reporter(period_s=3600)
        task = asyncio.create_task(reporter.run())
        await asyncio.sleep(0)
        controller.counts = InferenceCounts(7, 2)
        started = time.monotonic()
        await reporter.stop()
        await task
        assert time.monotonic() - started < 2.0
        return controller

    assert _numbers(asyncio.run(main())) == [7]


def test_stop_before_the_start_still_reports_once():
    async def main():
        controller = _Controller()
        controller.counts = InferenceCounts(3, 0)
        reporter = controller.reporter(period_s=3600)
        await reporter.stop()
        await reporter.run()
        return controller

    assert _numbers(asyncio.run(main())) == [3]


def test_figures_that_came_during_a_report_are_in_the_last_one():
    async def main():
        controller = _Controller()
        controller.counts = InferenceCounts(1, 0)
        stops = []

        async def handle(request: httpx.Request) -> httpx.Response:
            if not stops:
                controller.counts = InferenceCounts(2, 0)
                stops.append(asyncio.create_task(reporter.stop()))
                await asyncio.sleep(0)
            return controller.handle(request)

        reporter = controller.reporter(transport=httpx.MockTransport(handle))
        await reporter.run()
        await stops[0]
        return controller

    assert _numbers(asyncio.run(main())) == [1, 2]


def test_times_are_those_of_the_period():
    now = [START]

    async def main():
        controller = _Controller()
        reporter = controller.reporter(wall_clock=lambda: now[0])
        task = asyncio.create_task(reporter.run())
        now[0] = START + 30
        await controller.next(controller.asked)
        controller.counts = InferenceCounts(1, 0)
        now[0] = START + 60
        await controller.next(controller.asked)
        await reporter.stop()
        await task
        return controller

    info = asyncio.run(main()).reports[1]["ownerInfo"]
    times = [datetime.strptime(info[key], "%Y-%m-%d %H:%M:%S") for key in ("startTime", "updateTime")]  # noqa: DTZ007
    assert [time.mktime(moment.timetuple()) - START for moment in times] == [30, 60]


def test_failures_are_said_once_and_end_nothing(caplog):
    caplog.set_level(logging.INFO, logger="sedna_py.client.local_controller")

    async def main():
        controller = _Controller()
        controller.status = 400
        controller.counts = InferenceCounts(5, 1)
        reporter = controller.reporter()
        task = asyncio.create_task(reporter.run())
        for _ in range(3):
            await controller.next(controller.asked)
        controller.status = 500
        for _ in range(2):
            await controller.next(controller.asked)
        controller.status = 200
        await controller.next(controller.asked)
        posted = len(controller.reports)
        for _ in range(2):
            await controller.next(controller.read)
        assert len(controller.reports) == posted
        await reporter.stop()
        await task

    asyncio.run(main())
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("sedna_py")]
    assert len(messages) == 3
    assert "status 400" in messages[0]
    assert "status 500" in messages[1]
    assert "again" in messages[2]


def test_counts_that_cannot_be_read_end_nothing(caplog):
    async def main():
        controller = _Controller()
        calls = []

        def broken() -> InferenceCounts:
            calls.append(1)
            if len(calls) < 3:
                raise ZeroDivisionError
            return InferenceCounts(1, 1)

        reporter = LocalControllerReporter(
            "http://lc:9100", IDENTITY, broken, period_s=0.01, transport=httpx.MockTransport(controller.handle)
        )
        task = asyncio.create_task(reporter.run())
        await controller.next(controller.asked)
        await reporter.stop()
        await task
        return controller

    assert _numbers(asyncio.run(main())) == [1]
    assert [record.levelname for record in caplog.records if "ZeroDivisionError" in record.getMessage()] == ["WARNING"]


def test_a_controller_that_never_answers_does_not_hold_the_end(loopback):
    async def silent(reader, _writer):
        await reader.read(-1)

    async def main():
        async with loopback.serve(silent) as port:
            reporter = LocalControllerReporter(
                f"http://127.0.0.1:{port}", IDENTITY, lambda: InferenceCounts(1, 0), period_s=3600, timeout_s=0.1
            )
            task = asyncio.create_task(reporter.run())
            await asyncio.sleep(0)
            started = time.monotonic()
            await reporter.stop()
            await task
            return time.monotonic() - started

    assert asyncio.run(main()) < 2.0


def test_a_synchronous_program_reports_through_the_background_loop(loopback):
    background = BackgroundLoop("test-reporter")
    seen = []

    async def handler(reader, writer):
        seen.append(await loopback.read(reader))
        writer.write(loopback.answer(200, OK))
        await writer.drain()

    async def main():
        async with loopback.serve(handler) as port:
            reporter = LocalControllerReporter(
                f"http://127.0.0.1:{port}", IDENTITY, lambda: InferenceCounts(9, 3), period_s=3600
            )
            task = background.submit(reporter.run())
            await asyncio.to_thread(background.run, reporter.stop(), 20)
            await asyncio.to_thread(task.result, 20)

    try:
        asyncio.run(main())
    finally:
        background.close()
    (request,) = seen
    assert request.line == "POST /sedna/workers/edgeworker-x7k2m/info HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    body = json.loads(request.body)
    assert "status" not in body
    assert body["ownerInfo"]["hardExampleNumber"] == 3


def test_worker_names_are_escaped_and_addresses_checked():
    async def main():
        controller = _Controller()
        controller.counts = InferenceCounts(1, 0)
        reporter = LocalControllerReporter(
            "http://lc:9100",
            WorkerIdentity("a/b ?", "ns", "svc"),
            controller.read_counts,
            transport=httpx.MockTransport(controller.handle),
        )
        await reporter.stop()
        await reporter.run()
        return controller.urls

    assert asyncio.run(main()) == ["http://lc:9100/sedna/workers/a%2Fb%20%3F/info"]
    with pytest.raises(SettingsError, match="LC_SERVER is 'lc:9100'; write http://host:port"):
        LocalControllerReporter("lc:9100", IDENTITY, InferenceCounts)
