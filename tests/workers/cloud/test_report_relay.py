"""Edge workers' reports: taken at the cloud worker, passed on to the controller."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from controller.http_api import HttpApi, HttpApiHooks
from controller.metrics import ControllerMetrics
from controller.reports import RoutedReport
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.client.local_controller import InferenceCounts, LocalControllerReporter, SignalSource, WorkerIdentity
from sedna_py.errors import SettingsError
from sedna_py.metrics import names
from sedna_py.protocol.worker_report import RELAYED, WorkerReport
from tests.workers.cloud.conftest import Worker
from workers.cloud import estimator_server
from workers.cloud.metrics import CloudMetrics
from workers.cloud.model_source import FixedModel
from workers.cloud.report_relay import RelayLimits, ReportRelay
from workers.cloud.report_routes import report_routes
from workers.cloud.server import ServerOptions, _serve
from workers.listening import listen

OK = {"Status": 200, "Message": "OK"}
PATH = "/sedna/workers/edgeworker-x7k2m/info"
QUICK = RelayLimits(first_pause_s=0.001, longest_pause_s=0.002)


def body(name: str = "edgeworker-x7k2m", inferences: int = 120) -> dict[str, object]:
    counts = {"inferenceNumber": inferences, "hardExampleNumber": 30, "uploadCloudRatio": 0.25}
    owner = {"ownerName": "sedna", "ownerKind": "jointinferenceservice", "ownerInfo": counts}
    return {"name": name, "namespace": "default", "kind": "inference", "results": [], **owner}


# --- what the edge sees


def test_a_report_is_answered_as_upstreams_controller_does(serve: Callable[..., Worker]) -> None:
    worker = serve()  # the model is not there yet, which is no reason to lose counts
    answer = worker.client.post(PATH, json=body())
    assert (answer.status_code, answer.json()) == (200, OK)
    assert worker.metric(names.CLOUD_REPORTS, outcome="received") == 1
    assert worker.metric(names.CLOUD_REPORTS, outcome="dropped") == 1


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (json.dumps(body("other")), {}, 400, "the report's name is not the one in the path"),
        ("{", {}, 400, "the report cannot be used: Invalid JSON"),
        (" " * 20_000, {}, 413, "the report is larger than 16384 bytes"),
        (json.dumps(body()), {RELAYED: "1"}, 400, "the report was passed on before"),
    ],
)
def test_what_is_no_report_is_refused(
    serve: Callable[..., Worker], content: str, headers: dict[str, str], status: int, message: str
) -> None:
    worker = serve()
    answer = worker.client.post(PATH, content=content, headers=headers)
    assert answer.status_code == answer.json()["Status"] == status
    assert answer.json()["Message"].startswith(message)
    assert worker.metric(names.CLOUD_REPORTS, outcome="refused") == 1


def test_a_report_that_does_not_arrive_is_given_up() -> None:
    async def scenario() -> None:
        metrics = CloudMetrics()
        app = FastAPI()
        app.include_router(report_routes(ReportRelay(None, metrics), metrics, read_s=0.01))
        sent: list[dict] = []

        async def receive() -> dict:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": PATH, "headers": [], "query_string": b""}
        await app(scope, receive, send)
        assert sent[0]["status"] == 408
        assert (b"connection", b"close") in sent[0]["headers"]

    asyncio.run(scenario())


def test_the_edges_own_reporter_is_understood(serve: Callable[..., Worker]) -> None:
    worker = serve()

    async def scenario() -> None:
        identity = WorkerIdentity("helmet-deployment-edge-6d4f-abcde", "default", "helmet")
        reporter = LocalControllerReporter(worker.url, identity, lambda: InferenceCounts(7, 2))
        running = asyncio.create_task(reporter.run())
        await asyncio.sleep(0)
        await reporter.stop()
        await running

    asyncio.run(scenario())
    assert worker.metric(names.CLOUD_REPORTS, outcome="received") == 1
    assert worker.metric(names.CLOUD_REPORTS, outcome="refused") == 0


# --- what the controller sees


@dataclass
class Controller:
    """Answers as it is told, remembers what it got, and lets a test wait for it."""

    answers: list[int | Exception] = field(default_factory=list)  # 200 when they are used up
    received: list[tuple[str, int]] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    hang: asyncio.Event | None = None

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.hang is not None:
            await self.hang.wait()
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        if answer == 200:
            report = json.loads(request.content)
            self.received.append((report["name"], report["ownerInfo"]["inferenceNumber"]))
        return httpx.Response(answer, json={"Status": answer, "Message": "-"})

    def relay(self, limits: RelayLimits = QUICK, server: str = "http://controller:9100/") -> ReportRelay:
        self.metrics = CloudMetrics()
        return ReportRelay(server, self.metrics, limits, httpx.MockTransport(self.handle))

    def counted(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value(names.CLOUD_REPORTS, {"outcome": outcome}) or 0

    @property
    def waiting(self) -> float | None:
        return self.metrics.registry.get_sample_value(names.CLOUD_REPORTS_WAITING)


def accept(relay: ReportRelay, name: str, inferences: int) -> None:
    report = WorkerReport(name, "default", "sedna", "jointinferenceservice", inferences, 30)
    relay.accept(report, json.dumps(body(name, inferences)).encode())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a condition of code that sends no event
            await asyncio.sleep(0.001)


def test_a_report_goes_on_as_it_came() -> None:
    async def scenario() -> None:
        controller = Controller()
        relay = controller.relay()
        relay.start()
        accept(relay, "w/1", 120)
        await until(lambda: controller.counted("forwarded") == 1)
        [request] = controller.requests
        assert str(request.url) == "http://controller:9100/sedna/workers/w%2F1/info"
        assert json.loads(request.content) == body("w/1")
        assert request.headers["content-type"] == "application/json"
        assert controller.waiting == 0
        await relay.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([httpx.ConnectError("refused")] * 3, id="away"),
        pytest.param([503, 500, 429, 408, 302], id="not now"),
        pytest.param([RuntimeError("a defect")], id="a defect"),
    ],
)
def test_a_controller_that_is_away_gets_the_newest_report_when_it_is_back(answers: list[int | Exception]) -> None:
    async def scenario() -> None:
        controller = Controller(list(answers), hang=asyncio.Event())
        relay = controller.relay()
        relay.start()
        accept(relay, "a", 1)
        accept(relay, "b", 5)
        await until(lambda: len(controller.requests) == 1)
        accept(relay, "a", 2)
        controller.hang.set()
        await until(lambda: controller.waiting == 0)
        assert controller.received == [("a", 2), ("b", 5)]
        assert (controller.counted("received"), controller.counted("dropped")) == (3, 0)
        await relay.stop()

    asyncio.run(scenario())


def test_a_newer_report_that_comes_while_the_older_is_sent_is_sent_as_well() -> None:
    async def scenario() -> None:
        controller = Controller(hang=asyncio.Event())
        relay = controller.relay()
        relay.start()
        accept(relay, "a", 1)
        await until(lambda: len(controller.requests) == 1)
        accept(relay, "a", 2)
        controller.hang.set()
        await until(lambda: controller.waiting == 0)
        assert controller.received == [("a", 1), ("a", 2)]
        await relay.stop()

    asyncio.run(scenario())


def test_a_report_that_is_refused_for_good_does_not_hold_up_the_others() -> None:
    async def scenario() -> None:
        controller = Controller([400])
        relay = controller.relay()
        relay.start()
        accept(relay, "a", 1)
        accept(relay, "b", 2)
        await until(lambda: controller.waiting == 0)
        assert controller.received == [("b", 2)]
        assert controller.counted("dropped") == 1
        await relay.stop()

    asyncio.run(scenario())


def test_with_too_many_workers_the_one_that_came_first_is_dropped() -> None:
    async def scenario() -> None:
        controller = Controller()
        relay = controller.relay(RelayLimits(workers=2))
        for name, inferences in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
            accept(relay, name, inferences)
        assert controller.counted("dropped") == 1
        relay.start()
        await relay.stop()
        assert controller.received == [("b", 2), ("c", 4)]

    asyncio.run(scenario())


def test_a_controller_that_is_away_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        controller = Controller([httpx.ConnectError("refused") for _ in range(4)])
        relay = controller.relay(server="http://controller:9100")
        relay.start()
        accept(relay, "a", 1)
        await until(lambda: controller.waiting == 0)
        await relay.stop()

    caplog.set_level(logging.INFO, "workers.cloud.report_relay")
    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records if record.name == "workers.cloud.report_relay"] == [
        "reports do not reach the controller at http://controller:9100: ConnectError refused",
        "reports reach the controller at http://controller:9100 again",
    ]


def test_without_a_controller_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "workers.cloud.report_relay")

    async def scenario() -> None:
        relay = ReportRelay(None, CloudMetrics())
        relay.start()
        for inferences in range(3):
            accept(relay, "a", inferences)
        await relay.stop()

    asyncio.run(scenario())
    assert len([record for record in caplog.records if "LC_SERVER" in record.getMessage()]) == 1


def test_the_pause_grows_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        controller = Controller([503] * 6)
        relay = controller.relay(RelayLimits(first_pause_s=1, longest_pause_s=4))
        waits: list[float] = []
        timeout = asyncio.timeout

        def noted(seconds: float) -> asyncio.Timeout:
            waits.append(seconds)
            return timeout(0 if seconds in {1.0, 2.0, 4.0} else seconds)

        monkeypatch.setattr("workers.cloud.report_relay.random.uniform", lambda *_: 1)
        monkeypatch.setattr("workers.cloud.report_relay.asyncio.timeout", noted)
        relay.start()
        accept(relay, "a", 1)
        while controller.waiting:  # noqa: ASYNC110 - a condition of code that sends no event
            await asyncio.sleep(0)
        monkeypatch.undo()
        await relay.stop()
        assert [seconds for seconds in waits if seconds != 3.0] == [1, 2, 4, 4, 4, 4]

    asyncio.run(scenario())


def test_what_waits_is_passed_on_at_the_end() -> None:
    async def scenario() -> None:
        controller = Controller([503])
        relay = controller.relay(RelayLimits(first_pause_s=60, longest_pause_s=60))
        relay.start()
        accept(relay, "a", 1)
        await until(lambda: len(controller.requests) == 1)
        await relay.stop()
        assert controller.received == [("a", 1)]

    asyncio.run(scenario())


def test_the_end_does_not_wait_for_a_controller_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        controller = Controller(hang=asyncio.Event())
        relay = controller.relay(RelayLimits(flush_s=0.02, timeout_s=600))
        relay.start()
        accept(relay, "a", 1)
        await until(lambda: len(controller.requests) == 1)
        begun = time.monotonic()
        await relay.stop()
        assert time.monotonic() - begun < 20
        assert "the last reports of 1 edge workers were not passed on" in caplog.text

    asyncio.run(scenario())


def test_a_controller_that_hangs_is_left_after_the_time_out() -> None:
    async def scenario() -> None:
        controller = Controller(hang=asyncio.Event())
        relay = controller.relay(RelayLimits(timeout_s=0.01, first_pause_s=0.001, longest_pause_s=0.001))
        relay.start()
        accept(relay, "a", 1)
        await until(lambda: len(controller.requests) == 3)
        controller.hang.set()
        await until(lambda: controller.waiting == 0)
        await relay.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("server", ["controller:9100", "ftp://controller"])
def test_an_address_without_http_is_refused(server: str) -> None:
    with pytest.raises(SettingsError, match=r"LC_SERVER is .+; write http://host:port"):
        ReportRelay(server, CloudMetrics())


def test_a_scripts_server_passes_reports_on_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[ServerOptions] = []
    monkeypatch.setattr(estimator_server, "serve", lambda _, options, cpu: served.append(options))
    monkeypatch.setenv("LC_SERVER", "http://controller:9100")
    estimator_server.serve_estimator(object(), host="127.0.0.1", port=5000, prefix="sedna")
    assert served[0].lc_server == "http://controller:9100"


# --- the whole way: an edge worker's reporter, the cloud worker, the controller


TOLD = Snapshot(7.25, 1.0, 5.0, 4.0, 0.0, 1.0, 0.5, 0.5, 2.0, (1.0,) * 14, 2.0, 0.125)


def test_counts_and_signals_arrive_at_the_controller_and_the_last_ones_too() -> None:
    arrived: list[RoutedReport] = []
    pod = "helmet-deployment-edge-6d4f-abcde"
    service_of_pod = {("default", pod): "helmet"}
    hooks = HttpApiHooks(
        accept=arrived.append,
        service_of_pod=lambda *place: service_of_pod.get(place),
        not_alive=lambda: None,
        not_ready=lambda: None,
    )
    identity = WorkerIdentity(pod, "default", "helmet")
    counts = [InferenceCounts(7, 2)]

    async def scenario() -> None:
        controller = HttpApi(hooks, ControllerMetrics(CollectorRegistry()))
        lc_server = f"http://127.0.0.1:{await controller.start('127.0.0.1', 0)}"
        listener = listen("127.0.0.1", 0, setting="-")
        cloud_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        options = ServerOptions(drain_s=1, lc_server=lc_server)
        loaded = threading.Event()
        never = FixedModel(lambda: loaded.wait(20) and io.BytesIO())
        cloud = asyncio.create_task(_serve(never, options, CloudMetrics(), listener, []))
        signals = SignalSource(lambda: TOLD)
        edge = LocalControllerReporter(cloud_url, identity, lambda: counts[-1], period_s=0.01, signals=signals)
        reporting = asyncio.create_task(edge.run())
        await until(lambda: len(arrived) == 1)
        counts.append(InferenceCounts(9, 3))
        await edge.stop()
        await reporting
        os.kill(os.getpid(), signal.SIGTERM)  # at once: the report is still on its way through the cloud worker
        await cloud
        await controller.stop()
        loaded.set()
        listener.close()

    asyncio.run(scenario())
    assert arrived[0] == RoutedReport("default", "helmet", pod, 7, 2, TOLD)
    assert arrived[-1] == RoutedReport("default", "helmet", pod, 9, 3, TOLD)
