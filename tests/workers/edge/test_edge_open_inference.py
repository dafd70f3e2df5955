"""The edge worker with real servers of the Open Inference Protocol as its cloud: KServe's, MLServer's, and our own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest

from sedna_py.decision_log import DecisionRecord
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.errors import SettingsError
from sedna_py.protocol.causes import OffloadCause
from tests.environments import NoEnvironment
from tests.workers.edge.fakes import log_of, until
from tests.workers.edge.programs import START_S, free_port, pictures, wait_log
from tests.workers.foreign_python import CLEAN, INSTALL_S, foreign_python
from workers.edge.parts import build_offloader
from workers.settings import EdgeSettings

pytestmark = [pytest.mark.processes, pytest.mark.timeout(INSTALL_S + 120)]

DARK, BRIGHT = 20, 230
HERE = Path(__file__).parent
GONE = {OffloadCause.CONNECT_FAILED, OffloadCause.CONNECTION_LOST, OffloadCause.CIRCUIT_OPEN}


def kserve(python: Path, folder: Path, port: int) -> list[str]:
    return [str(python), str(HERE / "kserve_mean.py"), str(port)]


def mlserver(python: Path, folder: Path, port: int) -> list[str]:
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, **ports}))
    (folder / "model-settings.json").write_text(json.dumps({"name": "mean", "implementation": "mlserver_mean.Mean"}))
    shutil.copy(HERE / "mlserver_mean.py", folder)
    return [str(python.with_name("mlserver")), "start", str(folder)]


Command = Callable[[Path, Path, int], list[str]]
SERVERS: dict[str, tuple[str, Command]] = {"kserve": ("clients", kserve), "mlserver": ("mlserver", mlserver)}


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server and wait until its model is ready; kill it at the end if it still runs."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=CLEAN, stdout=output, stderr=output)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/v2/models/mean/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(ready, "the server's model", START_S)
        yield process
    finally:
        process.kill()
        process.wait(10)


def answered(records: list[DecisionRecord]) -> list[DecisionRecord]:
    return [record for record in records if record.path is AnswerPath.CLOUD]


def left_alone(records: list[DecisionRecord]) -> list[DecisionRecord]:
    return [record for record in records if record.cause in GONE]


@pytest.mark.parametrize("name", SERVERS)
def test_hard_frames_get_the_servers_boxes_and_keep_the_edges_when_it_is_gone(
    programs: Any, tmp_path: Path, name: str, tier_unavailable: Callable[[str, str], NoReturn]
) -> None:
    environment, make_command = SERVERS[name]
    try:
        python = foreign_python(environment)
    except NoEnvironment as error:
        tier_unavailable("Open Inference server", str(error))
    folder, port, log = tmp_path / "server", free_port(), tmp_path / "d.jsonl"
    folder.mkdir()
    with running(make_command(python, folder, port), folder, port) as server:
        edge = programs.edge(
            video_url=pictures(tmp_path / "in", [DARK, BRIGHT] * 10),
            SOURCE_REPEAT=0,
            SOURCE_PACE=50,
            BIG_MODEL_IP="127.0.0.1",
            BIG_MODEL_PORT=port,
            BIG_MODEL_NAME="mean",
            DECISIONS_FILE=log,
            HEM_NAME="Threshold",
            HEM_PARAMETERS='[{"key": "threshold", "value": "0.5"}]',
        )
        wait_log(edge, log, lambda records: len(answered(records)) >= 10, "boxes of the server")
        server.kill()
        server.wait(10)
        wait_log(edge, log, lambda records: len(left_alone(records)) >= 10, "answers without the server")
        assert edge.terminate() == 0, edge.log
    records = log_of(log)
    for record in answered(records):
        assert record.hard
        assert record.cloud == [pytest.approx([1, 1, 126, 94, DARK / 255, 5], abs=0.01)]
        assert record.bytes_sent > 100
    for record in left_alone(records):
        assert (record.path, record.cloud) == (AnswerPath.FALLBACK, None)
        assert record.edge[0][4] == pytest.approx(DARK / 255, abs=0.01)
    assert all(not record.hard for record in records if record.path is AnswerPath.EDGE)


def test_our_own_cloud_worker_answers_in_that_protocol_too(programs: Any, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "d.jsonl"
    cloud = programs.cloud(port, SERVICE_NAME="faces")

    def found() -> list[str]:
        cloud.running()
        try:
            index = httpx.post(f"http://127.0.0.1:{port}/v2/repository/index", json={"ready": True}, trust_env=False)
        except httpx.HTTPError:
            return []
        return [model["name"] for model in index.json()]

    [name] = until(found, "readiness", START_S)
    edge = programs.edge(
        video_url=pictures(tmp_path / "in", [DARK, BRIGHT] * 10),
        BIG_MODEL_IP="127.0.0.1",
        BIG_MODEL_PORT=port,
        BIG_MODEL_NAME=name,
        OFFLOAD_FORMAT="png",
        DECISIONS_FILE=log,
        OFFLOAD_WHEN_FULL="wait",
        OFFLOAD_DEADLINE_MS=20_000,
        HEM_NAME="Threshold",
        HEM_PARAMETERS='[{"key": "threshold", "value": "0.5"}]',
    )
    assert edge.wait() == 0, edge.log
    records = sorted(log_of(log), key=lambda record: record.frame)
    assert [record.path for record in records] == [AnswerPath.CLOUD, AnswerPath.EDGE] * 10
    assert all(r.cloud[0][4] == pytest.approx(DARK / 255, abs=0.01) for r in records if r.hard)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"BIG_MODEL_IP": ""}, "BIG_MODEL_NAME is set without BIG_MODEL_IP; write the server's address"),
        ({"OFFLOAD_FORMAT": "json"}, "OFFLOAD_FORMAT is 'json' with BIG_MODEL_NAME, a server of the Open Inference"),
        ({"OFFLOAD_FORMAT": "npy"}, "write jpeg or png"),
        ({"BIG_MODEL_NAME": "a\tb"}, "the model's name is 'a\\tb'; write the name that it has on its server"),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(variables: dict[str, str], message: str) -> None:
    given = {
        "MODEL_URL": "m.xml",
        "video_url": "v.mp4",
        "BIG_MODEL_IP": "server",
        "BIG_MODEL_NAME": "mean",
        **variables,
    }
    with pytest.raises(SettingsError) as raised:
        build_offloader(EdgeSettings.from_environment(given))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
