"""`python -m workers.cloud` as Kubernetes runs it: a process, an environment, signals and an exit status."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.workers.cloud.otlp_collector import Collector
from tests.workers.inference.tiny_models import save_colour_detector, save_onnx_colour_detector

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared"
BODY = {"data": [[[255, 0, 0]] * 6] * 6}

USER_CODE = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent

def wait_for(name):
    (HERE / (name + ".reached")).touch()
    while not (HERE / name).exists():
        time.sleep(0.01)

class Slow:
    def load(self, model_url=""): pass
    def predict(self, data, **kwargs):
        wait_for("answer")
        return [len(data)]

class SlowLoad(Slow):
    def load(self, model_url=""):
        wait_for("loaded")

class LoadFails(Slow):
    def load(self, model_url=""):
        raise RuntimeError("the licence has expired")
"""


class Process:
    """One worker process; what it says is read when asked for."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(environment.setdefault("BIG_MODEL_BIND_PORT", str(probe.getsockname()[1])))
        # A minimal environment: PATH for the interpreter's own start, nothing of the tester's.
        minimal = {"PATH": os.environ["PATH"], "BIG_MODEL_BIND_IP": "127.0.0.1", "LAME_DUCK_S": "0", **environment}
        self.process = subprocess.Popen(
            [sys.executable, *(arguments or ("-m", "workers.cloud"))],
            cwd=ROOT,
            env=minimal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)

    def get(self, path: str) -> int:
        """Return the status; 0 where nothing listens."""
        try:
            return self.client.get(path).status_code
        except httpx.TransportError:
            return 0

    def wait_for(self, path: str, status: int, timeout_s: float = 40.0) -> None:
        deadline = time.monotonic() + timeout_s
        while self.get(path) != status:
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, f"{path} did not answer {status}"
            time.sleep(0.02)

    def wait_until_inside(self, requests: int, timeout_s: float = 30.0) -> None:
        """Wait until so many are in the model or before it."""
        deadline = time.monotonic() + timeout_s
        while self._inside() < requests:
            assert time.monotonic() < deadline, f"fewer than {requests} requests came"
            time.sleep(0.01)

    def _inside(self) -> float:
        with httpx.Client(base_url=self.client.base_url, timeout=30, trust_env=False) as client:
            lines = client.get("/metrics").text.splitlines()
        names = ("sedna_cloud_requests_in_flight ", "sedna_cloud_requests_waiting ")
        return sum(float(line.split()[1]) for line in lines if line.startswith(names))

    def end(self, timeout_s: float = 30.0) -> tuple[int, list[str]]:
        """Wait for the process; return its status and the lines on stderr. Nothing belongs on stdout."""
        out, err = self.process.communicate(timeout=timeout_s)
        assert out == ""
        return self.process.returncode, err.splitlines()

    def stop(self, timeout_s: float = 30.0) -> tuple[int, list[str]]:
        self.process.send_signal(signal.SIGTERM)
        return self.end(timeout_s)

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    processes: list[Process] = []

    def run(*arguments: str, **environment: Any) -> Process:
        processes.append(Process(*arguments, **{name: str(value) for name, value in environment.items()}))
        return processes[-1]

    yield run
    for process in processes:
        process.close()


@pytest.fixture
def code(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "user_code.py"
    file.write_text(USER_CODE)
    yield file
    for name in ("answer", "loaded"):
        (tmp_path / name).touch()


def wait_for_file(path: Path, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.01)


@pytest.mark.parametrize("save", [save_colour_detector, save_onnx_colour_detector])
def test_a_model_file_is_all_it_needs(start: Callable[..., Process], tmp_path: Path, save: Any) -> None:
    worker = start(MODEL_URL=save(tmp_path))
    worker.wait_for("/healthz", 200)
    worker.wait_for("/readyz", 200)
    response = worker.client.post("/sedna/predict", json=BODY)
    assert response.json() == {"result": [[0.0, 0.0, 2.0, 6.0, 1.0, 0.0]]}
    status, lines = worker.stop()
    assert status == 0
    assert [line.split(" ", 3)[1:3] for line in lines] == [["INFO", "cloud"]] * len(lines)
    assert re.search(rf"ready on port {worker.port}, \d+ streams", "\n".join(lines))


def test_it_is_alive_while_it_loads_and_ready_when_it_has(
    start: Callable[..., Process], code: Path, tmp_path: Path
) -> None:
    worker = start(MODEL_URL="any", ESTIMATOR=f"{code}:SlowLoad", JOB_NAME="helmet")
    worker.wait_for("/healthz", 200)
    wait_for_file(tmp_path / "loaded.reached")
    assert worker.get("/readyz") == 503
    assert worker.get("/healthz") == 200
    response = worker.client.post("/helmet/predict", json=BODY)
    assert (response.status_code, response.json()["cause"]) == (503, "not_ready")
    (tmp_path / "loaded").touch()
    worker.wait_for("/readyz", 200)
    (tmp_path / "answer").touch()
    assert worker.client.post("/helmet/predict", json=BODY).json() == {"result": [6]}
    assert worker.stop()[0] == 0


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_at_the_signal_is_answered(
    start: Callable[..., Process], code: Path, tmp_path: Path, name: signal.Signals
) -> None:
    worker = start(MODEL_URL="any", ESTIMATOR=f"{code}:Slow")
    worker.wait_for("/readyz", 200)
    with ThreadPoolExecutor(2) as clients:
        answers = [clients.submit(worker.client.post, "/sedna/predict", json=BODY) for _ in range(2)]
        wait_for_file(tmp_path / "answer.reached")
        worker.wait_until_inside(2)
        worker.process.send_signal(name)
        worker.process.send_signal(name)  # an impatient second one changes nothing
        deadline = time.monotonic() + 10
        while True:  # until it accepts no more, which is when it has understood
            try:
                socket.create_connection(("127.0.0.1", worker.port), timeout=5).close()
            except OSError:
                break
            assert time.monotonic() < deadline
        assert worker.process.poll() is None
        (tmp_path / "answer").touch()
        assert [answer.result(20).json() for answer in answers] == [{"result": [6]}] * 2
    assert worker.end()[0] == 0


def test_sigterm_while_it_loads_ends_it_at_once(start: Callable[..., Process], code: Path, tmp_path: Path) -> None:
    worker = start(MODEL_URL="any", ESTIMATOR=f"{code}:SlowLoad")
    wait_for_file(tmp_path / "loaded.reached")
    worker.wait_for("/readyz", 503)
    status, lines = worker.stop(timeout_s=10)  # though `load` never returns
    assert status == 0
    assert "Traceback" not in "\n".join(lines)


def test_a_model_that_never_answers_does_not_keep_the_process(
    start: Callable[..., Process], code: Path, tmp_path: Path
) -> None:
    worker = start(MODEL_URL="any", ESTIMATOR=f"{code}:Slow", DRAIN_S="1")
    worker.wait_for("/readyz", 200)
    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(worker.client.post, "/sedna/predict", json=BODY)
        wait_for_file(tmp_path / "answer.reached")
        status, lines = worker.stop(timeout_s=20)  # well inside Kubernetes' 30 s
        assert answer.result(5).status_code == 503
        assert answer.result(5).json()["cause"] == "not_ready"
    assert status == 0
    assert any("still busy" in line for line in lines)
    assert "Traceback" not in "\n".join(lines)


SCRIPT = """
from sedna_py.big_model_service import BigModelService

class Estimator:
    def load(self, model_url=""): pass
    def predict(self, data, **kwargs): return [data[0].upper()]

BigModelService(estimator=Estimator).start()
print("left in peace")
"""


def test_a_script_of_upstreams_kind(start: Callable[..., Process], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    worker = start(str(tmp_path / "script.py"), MODEL_URL=tmp_path / "script.py", PYTHONPATH=ROOT)
    worker.wait_for("/readyz", 200)
    assert worker.client.post("/sedna/predict", json={"data": ["q"]}).json() == {"result": ["Q"]}
    worker.process.send_signal(signal.SIGTERM)
    out, _ = worker.process.communicate(timeout=20)
    assert (worker.process.returncode, out) == (0, "left in peace\n")


def text_for_a_model(folder: Path) -> dict[str, Any]:
    (folder / "model.xml").write_text("hello")
    return {"MODEL_URL": folder}


def cut_weights(folder: Path) -> dict[str, Any]:
    weights = save_colour_detector(folder).with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:10])
    return {"MODEL_URL": folder}


def onnx_garbage(folder: Path) -> dict[str, Any]:
    (folder / "model.onnx").write_bytes(b"garbage" * 50)
    return {"MODEL_URL": folder / "model.onnx"}


def tflite(folder: Path) -> dict[str, Any]:
    (folder / "model.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3")
    return {"MODEL_URL": folder}


def another_checksum(folder: Path) -> dict[str, Any]:
    save_colour_detector(folder)
    (folder / "SHA256SUMS").write_text("0" * 64 + "  model.bin\n")
    return {"MODEL_URL": folder}


def two_models(folder: Path) -> dict[str, Any]:
    save_colour_detector(folder)
    save_onnx_colour_detector(folder)
    return {"MODEL_URL": folder}


def unknown_device(folder: Path) -> dict[str, Any]:
    return {"MODEL_URL": save_colour_detector(folder), "INFERENCE_DEVICE": "ABACUS"}


def failing_load(folder: Path) -> dict[str, Any]:
    (folder / "user_code.py").write_text(USER_CODE)
    return {"MODEL_URL": "any", "ESTIMATOR": f"{folder}/user_code.py:LoadFails"}


def broken_code(folder: Path) -> dict[str, Any]:
    (folder / "broken.py").write_text("import nothing_of_that_name")
    return {"MODEL_URL": "any", "ESTIMATOR": f"{folder}/broken.py:Class"}


def always(**environment: str) -> Callable[[Path], dict[str, Any]]:
    return lambda folder: environment


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        pytest.param(always(), "MODEL_URL is not set; write", id="no MODEL_URL"),
        pytest.param(always(MODEL_URL="/no/such"), "no model at '/no/such'; write .* MODEL_URL", id="missing model"),
        pytest.param(text_for_a_model, "cannot be read as a model.*export or copy it again", id="text"),
        pytest.param(cut_weights, "cannot be read as a model.*\\.bin", id="cut weights"),
        pytest.param(onnx_garbage, "cannot be read as a model.*copy it again", id="onnx garbage"),
        pytest.param(tflite, "ESTIMATOR=path/to/file.py:Class", id="tflite without estimator"),
        pytest.param(another_checksum, "model.bin.*000000000000", id="another checksum"),
        pytest.param(
            always(MODEL_URL="x", MODEL_VERSION="newest"), "MODEL_VERSION is 'newest'; write latest", id="no version"
        ),
        pytest.param(two_models, "holds 2 models .*MODEL_NAME", id="two models"),
        pytest.param(unknown_device, "ABACUS", id="unknown device"),
        pytest.param(
            always(MODEL_URL="x", ESTIMATOR="no.such:C"), "cannot import 'no.such'.*write", id="no such module"
        ),
        pytest.param(
            always(MODEL_URL="x", ESTIMATOR="/no/such.py:C"), "no file '/no/such.py'; write", id="no such file"
        ),
        pytest.param(always(MODEL_URL="x", ESTIMATOR="Class"), "names no class; write", id="no file named"),
        pytest.param(always(MODEL_URL="x", ESTIMATOR="json:Nope"), "has no 'Nope'; write", id="no such class"),
        pytest.param(broken_code, "nothing_of_that_name", id="broken user code"),
        pytest.param(failing_load, "could not load.*the licence has expired", id="load fails"),
        pytest.param(always(MODEL_URL="x", MAX_WAITING="lots"), "MAX_WAITING is 'lots'.*; write", id="no number"),
        pytest.param(
            always(MODEL_URL="x", BIG_MODEL_BIND_PORT="70000"), "BIG_MODEL_BIND_PORT is '70000'.*; write", id="no port"
        ),
        pytest.param(
            always(MODEL_URL="x", BIG_MODEL_BIND_IP="192.0.2.1"), "cannot listen on 192.0.2.1:.*write", id="no address"
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_status_1(
    start: Callable[..., Process], tmp_path: Path, environment: Callable[[Path], dict[str, Any]], says: str
) -> None:
    status, lines = start(**environment(tmp_path)).end()
    assert status == 1
    assert len(lines) == 1, lines
    assert re.search(r"^\S+ CRITICAL cloud ", lines[0])
    assert re.search(says, lines[0])


def test_two_workers_on_one_port(start: Callable[..., Process], tmp_path: Path) -> None:
    model = save_colour_detector(tmp_path)
    first = start(MODEL_URL=model)
    first.wait_for("/readyz", 200)
    status, lines = start(MODEL_URL=model, BIG_MODEL_BIND_PORT=first.port, WORKER_NAME="cloud-2").end()
    assert status == 1
    assert len(lines) == 1
    assert f"CRITICAL cloud-2 cannot listen on 127.0.0.1:{first.port}: Address already in use" in lines[0]
    assert "BIG_MODEL_BIND_PORT" in lines[0]
    assert first.client.post("/sedna/predict", json=BODY).status_code == 200
    assert first.stop()[0] == 0


def test_sigterm_under_load_loses_no_accepted_request(start: Callable[..., Process], tmp_path: Path) -> None:
    worker = start(MODEL_URL=save_colour_detector(tmp_path))
    worker.wait_for("/readyz", 200)
    statuses: list[int] = []
    going = threading.Event()

    def hammer() -> None:
        with httpx.Client(base_url=worker.client.base_url, timeout=20, trust_env=False) as client:
            for _ in range(100_000):
                try:
                    statuses.append(client.post("/sedna/predict", json=BODY).status_code)
                except httpx.ConnectError:
                    return  # it listens no more
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    return  # an idle connection was closed just as it was used again
                if len(statuses) > 100:
                    going.set()

    with ThreadPoolExecutor(4) as clients:
        hammering = [clients.submit(hammer) for _ in range(4)]
        assert going.wait(30)
        worker.process.send_signal(signal.SIGTERM)
        for client in hammering:
            client.result(30)
    assert set(statuses) == {200}
    assert worker.end()[0] == 0


@pytest.mark.shared_models
def test_the_helmet_model_in_a_process(start: Callable[..., Process]) -> None:
    model, video = SHARED / "models" / "helmet" / "big", SHARED / "data" / "bikes.mp4"
    if not model.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no development models at {model}")
        pytest.skip(f"no development models at {model}")
    worker = start(MODEL_URL=model)
    worker.wait_for("/readyz", 200, timeout_s=90)
    capture = cv2.VideoCapture(str(video))
    try:
        frames = [capture.read()[1] for _ in range(40)]
    finally:
        capture.release()
    found = []
    for frame in frames[::10]:
        body = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        response = worker.client.post("/sedna/predict", content=body, headers={"Content-Type": "image/jpeg"})
        assert response.status_code == 200
        found += response.json()["result"]
    assert found
    height, width = frames[0].shape[:2]
    boxes = np.array(found)
    assert boxes.shape[1] == 6
    assert (boxes[:, :4] >= 0).all()
    assert (boxes[:, [0, 2]] <= width).all()
    assert (boxes[:, [1, 3]] <= height).all()
    assert worker.stop()[0] == 0


def test_versions_names_batches_and_the_log_of_requests_come_from_the_environment(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    for version in ("1", "2", "3"):
        save_colour_detector(tmp_path / "models" / version)
    (tmp_path / "models" / "3" / "model.bin").write_bytes(b"half")
    environment = {"MODEL_URL": tmp_path / "models", "MODEL_HOT_UPDATE": "true", "MODEL_POLL_PERIOD_SECONDS": "0.1"}
    worker = start(**environment, SERVICE_NAME="helmet", ACCESS_LOG="1")
    worker.wait_for("/readyz", 200)
    served = worker.client.get("/v2/models/helmet").json()
    assert (served["name"], served["versions"]) == ("helmet", ["2"])  # the third cannot be loaded
    save_colour_detector(tmp_path / "4")
    (tmp_path / "4").rename(tmp_path / "models" / "4")
    worker.wait_for("/v2/models/helmet/versions/4/ready", 200)
    assert worker.client.post("/sedna/predict", json=BODY).status_code == 200
    status, lines = worker.stop()
    assert status == 0
    said = "\n".join(lines)
    assert re.search(r"WARNING helmet|WARNING cloud version 3 of the model is refused", said)
    assert "POST /sedna/predict 200 ok" in said


def test_what_cannot_be_batched_is_said_in_one_line(start: Callable[..., Process], tmp_path: Path) -> None:
    status, lines = start(MODEL_URL=save_colour_detector(tmp_path), BATCH_SIZE="4").end()
    assert (status, len(lines)) == (1, 1)
    assert "leave BATCH_SIZE unset" in lines[0]


def test_spans_go_where_opentelemetrys_own_variable_says(start: Callable[..., Process], tmp_path: Path) -> None:
    collector = Collector()
    try:
        worker = start(MODEL_URL=save_colour_detector(tmp_path), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        worker.wait_for("/readyz", 200)
        assert worker.client.post("/sedna/predict", json=BODY).status_code == 200
        assert worker.stop()[0] == 0  # and the last spans are out
        assert {"POST /sedna/predict", "infer"} <= {span.name for span in collector.spans()}
    finally:
        collector.close()
