"""The worker put together in this process: its own HTTP server, its reports, its end."""

from __future__ import annotations

import http.server
import json
import socket
import threading

import httpx
import pytest

from sedna_py.autoscaling.signals import signals
from sedna_py.client.local_controller import LocalControllerReporter
from sedna_py.errors import EstimatorError, ModelError, SettingsError
from sedna_py.metrics import names
from sedna_py.protocol.worker_report import parse_report
from tests.workers.edge.fakes import PATIENCE_S, log_of, until
from tests.workers.edge.programs import UPSTREAM, free_port, pictures
from workers.edge.__main__ import shorten_lookups
from workers.edge.http import HealthServer
from workers.edge.metrics import EdgeMetrics
from workers.edge.worker import EdgeWorker
from workers.settings import EdgeSettings

DARK, BRIGHT = 20, 230
THRESHOLD = {"HEM_NAME": "Threshold", "HEM_PARAMETERS": '[{"key": "threshold", "value": "0.5"}]'}


pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "upstream.py").write_text(UPSTREAM)
    return {
        "MODEL_URL": "any",
        "ESTIMATOR": f"{tmp_path}/upstream.py:Estimator",
        "video_url": str(pictures(tmp_path / "in", [DARK, BRIGHT, BRIGHT])),
        "DECISIONS_FILE": str(tmp_path / "d.jsonl"),
    }


def make(environment, **more):
    return EdgeWorker(EdgeSettings.from_environment({**environment, **{k: str(v) for k, v in more.items()}}))


def get(port, path):
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False)


def test_health_server_says_why_it_is_not_ready_and_ends():
    reasons = ["the model is being loaded", None, "the worker is shutting down"]
    server = HealthServer(0, EdgeMetrics(), lambda: reasons[0])
    try:
        for reason in list(reasons):
            answer = get(server.port, "/readyz")
            assert answer.status_code == (503 if reason else 200)
            assert reason is None or answer.json()["detail"] == reason
            reasons.pop(0)
        assert get(server.port, "/healthz").text == "ok\n"
        assert "sedna_edge_frames_total" in get(server.port, "/metrics").text
    finally:
        server.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_a_port_that_another_replica_has_is_not_fought_for(caplog):
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        server = HealthServer(port, EdgeMetrics(), lambda: None)
        try:
            assert server.port not in (0, port)
            assert caplog.messages == [f"EDGE_HTTP_PORT {port} is taken, serving on {server.port}"]
            assert get(server.port, "/healthz").status_code == 200
        finally:
            server.close()


def test_a_port_that_may_not_be_used_is_told_before_the_model_is_loaded(environment, monkeypatch):
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    worker = make(environment, EDGE_HTTP_PORT=80, BIG_MODEL_IP="127.0.0.1")
    monkeypatch.setattr("workers.listening.socket.socket.bind", forbidden)
    with pytest.raises(SettingsError, match=r"cannot listen on .*EDGE_HTTP_PORT"):
        worker.run()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"ESTIMATOR": "/no/such.py:Thing"}, EstimatorError), ({"ESTIMATOR": "", "MODEL_URL": "/no/m.xml"}, ModelError)],
)
def test_a_model_that_cannot_be_loaded_leaves_nothing_running(environment, wrong, error):
    with pytest.raises(error):
        make({**environment, **wrong}, EDGE_HTTP_PORT=free_port(), BIG_MODEL_IP="127.0.0.1").run()


@pytest.mark.parametrize("own", ["", "timeout:9"])
def test_lookups_are_short_unless_somebody_said_otherwise(own):
    environment = {"RES_OPTIONS": own} if own else {}
    shorten_lookups(environment)
    assert environment["RES_OPTIONS"] == (own or "timeout:1 attempts:2")


def test_stop_before_run_processes_nothing(environment, tmp_path):
    worker = make(environment, SOURCE_REPEAT=0)
    worker.stop()
    worker.run()
    assert log_of(tmp_path / "d.jsonl") == []


def test_a_second_run_counts_from_one_under_another_name(environment, tmp_path):
    for _ in range(2):
        make(environment).run()
    records = log_of(tmp_path / "d.jsonl")
    assert [record.frame for record in records] == [1, 2, 3, 1, 2, 3]
    assert len({(record.run, record.source, record.frame) for record in records}) == 6
    assert all(record.run for record in records)


def test_a_budget_from_the_environment_to_the_metrics(environment, tmp_path):
    port = free_port()
    parameters = json.dumps([{"key": "budget", "value": "50%"}, {"key": "cap", "value": "0.01 fps"}])
    worker = make(
        environment, SOURCE_REPEAT=0, SOURCE_PACE=200, EDGE_HTTP_PORT=port, BIG_MODEL_IP="127.0.0.1", BIG_MODEL_PORT=free_port(),
        HEM_NAME="Threshold", HEM_PARAMETERS=parameters,
    )  # fmt: skip
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        until(lambda: len(log_of(tmp_path / "d.jsonl")) >= 60, "frames")
        text = get(port, "/metrics").text
    finally:
        worker.stop()
        running.join(PATIENCE_S)
    assert 'sedna_edge_budget{unit="share"} 0.5' in text
    assert "sedna_edge_budget_threshold 0" in text
    records = log_of(tmp_path / "d.jsonl")
    assert sum(r.hard for r in records) / len(records) == pytest.approx(0.5, abs=0.05)
    assert all((r.cause is not None) == r.hard for r in records)  # nobody is there to answer
    assert all("budget 50 %" in r.reason for r in records)


def test_stop_while_it_runs(environment, tmp_path):
    worker = make(environment, SOURCE_REPEAT=0, **THRESHOLD)
    running = threading.Thread(target=worker.run)
    running.start()
    until(lambda: len(log_of(tmp_path / "d.jsonl")) >= 9, "some frames")
    worker.stop()
    running.join(PATIENCE_S)
    assert not running.is_alive()
    frames = sorted(record.frame for record in log_of(tmp_path / "d.jsonl"))
    assert frames == list(range(1, len(frames) + 1))


class Controller(http.server.HTTPServer):
    """Sedna's local controller, as far as a worker sees it."""

    def __init__(self) -> None:
        self.reports: list[dict] = []
        reports = self.reports

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def controller():
    server = Controller()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("mode", "inferences", "hard"),
    # Upstream counts a hard frame twice where it is inferred first.
    [("inference-then-mining", 8, 2), ("mining-then-inference", 6, 0)],
)
def test_the_last_report_has_the_whole_run(environment, controller, monkeypatch, mode, inferences, hard):
    # The only report has no time-out that a busy machine could reach.
    monkeypatch.setitem(LocalControllerReporter.__init__.__kwdefaults__, "timeout_s", PATIENCE_S)
    monkeypatch.setattr("workers.edge.worker.REPORT_END_S", PATIENCE_S)
    worker = make(
        environment,
        SOURCE_REPEAT=2,
        MINING_MODE=mode,
        LC_SERVER=f"http://127.0.0.1:{controller.server_port}",
        WORKER_NAME="edge-1",
        NAMESPACE="shop",
        SERVICE_NAME="helmet",
        **(THRESHOLD if hard else {}),
    )
    worker.run()
    last = controller.reports[-1]
    assert (last["ownerInfo"]["inferenceNumber"], last["ownerInfo"]["hardExampleNumber"]) == (inferences, hard)
    assert (last["name"], last["ownerName"]) == ("edge-1", "helmet")
    told = parse_report("edge-1", json.dumps(last).encode()).signals
    assert told is not None
    assert (told.offered, told.done, told.dropped, told.hard, told.streams) == (6, 6, 0, hard, 1)
    assert told.busy_s > 0
    assert told.latency[-1] == 6


def test_where_something_scales_by_its_signals_reports_come_often_and_rates_can_be_made_of_them(
    environment, controller
):
    worker = make(
        environment,
        SOURCE_REPEAT=0,
        SOURCE_PACE=100,
        LC_SERVER=f"http://127.0.0.1:{controller.server_port}",
        SIGNAL_PERIOD=0.1,
        WORKER_NAME="edge-1",
        NAMESPACE="shop",
    )
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        until(lambda: len(controller.reports) >= 5, "reports, long before LC_PERIOD")
    finally:
        worker.stop()
        running.join(20)
    told = [parse_report("edge-1", json.dumps(report).encode()).signals for report in controller.reports]
    assert all(told)
    found = signals(told[0], told[-1])
    assert found[names.SIGNAL_FRAMES] > 10
    assert 0 < found[names.SIGNAL_DEMAND] < 1
    assert found[names.SIGNAL_HARD_SHARE] == 0


def test_a_local_controller_that_is_not_there_harms_nothing(environment, tmp_path):
    make(environment, LC_SERVER=f"http://127.0.0.1:{free_port()}", WORKER_NAME="edge-1").run()
    assert len(log_of(tmp_path / "d.jsonl")) == 3


def test_wrong_settings_are_told_before_the_source_is_opened(environment):
    for wrong, message in ({"HEM_NAME": "Nope"}, "unknown filter"), ({"LC_SERVER": "here"}, "LC_SERVER is 'here'"):
        with pytest.raises(ValueError if "HEM_NAME" in wrong else SettingsError, match=message):
            make({**environment, **wrong, "video_url": "/no/video.mp4"})
