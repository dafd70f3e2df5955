"""The command line as the user starts it: real processes, the real models of the face example."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sedna_py.decision_log import DecisionRecord, read_records

pytestmark = pytest.mark.processes

FOLDER = Path(__file__).parents[2] / "examples" / "face_detection"
FRAMES = 360
STARTING = 60.0  # seconds for both workers to be up, on a busy machine

with pytest.MonkeyPatch.context() as _path:  # the demo runs as a script, so its modules find each other by bare names
    _path.syspath_prepend(str(FOLDER))
    assets = importlib.import_module("assets")


@pytest.fixture(scope="session")
def host_root() -> str:
    return str(assets.prepare(assets.default_cache(os.environ), print).host_root)


@dataclass
class Running:
    """A `sedna` under way, leader of its own process group as under a shell."""

    process: subprocess.Popen[str]
    log: Path

    def records(self) -> list[DecisionRecord]:
        if not self.log.exists():
            return []
        with self.log.open(encoding="utf-8") as lines:
            return list(read_records(lines))

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)  # what Ctrl-C does

    def finish(self, seconds: float = 60) -> tuple[int, str, str]:
        said, complaints = self.process.communicate(timeout=seconds)
        return self.process.returncode, said, complaints


@pytest.fixture
def start(tmp_path: Path, started: Any) -> Iterator[Callable[..., Running]]:
    """Return start(arguments) -> a `sedna` that runs in this test's folder."""
    running: list[subprocess.Popen[str]] = []
    (tmp_path / "home").mkdir()

    def begin(*arguments: str | Path) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", "sedna_py.cli", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "home")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return Running(process, tmp_path / "out" / "decisions.jsonl")

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def endless(start: Callable[..., Running], host_root: str, started: Any) -> Callable[..., Running]:
    """Return endless(arguments) -> a `sedna run` of a clip that never ends, with its first frames in the log."""

    def begin(*arguments: str) -> Running:
        chosen = ["--set", "SOURCE_REPEAT=0", "--set", "SOURCE_PACE=25", *arguments]
        running = start("run", FOLDER / "service.yaml", "--host-root", host_root, "--port", "0", *chosen)
        assert started.wait_for(lambda: len(running.records()) >= 5 or running.process.poll() is not None, STARTING)
        assert running.process.poll() is None
        return running

    return begin


def whole_frames(records: list[DecisionRecord], count: int) -> bool:
    return sorted(record.frame for record in records) == list(range(1, count + 1))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def own_service(tmp_path: Path, old: str = "", new: str = "") -> Path:
    """Copy the face service with its estimator, with one thing written differently."""
    shutil.copy(FOLDER / "estimator.py", tmp_path)
    text = (FOLDER / "service.yaml").read_text()
    assert old in text
    (tmp_path / "service.yaml").write_text(text.replace(old, new))
    return tmp_path / "service.yaml"


# --- help and validate


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help(start: Callable[..., Running], arguments: list[str]) -> None:
    status, said, complaints = start(*arguments).finish()
    assert (status, complaints) == (0, "")
    assert "Usage: " in said


def test_validate(start: Callable[..., Running], tmp_path: Path) -> None:
    assert start("validate", FOLDER / "service.yaml").finish() == (0, "default/face-detection: ok\n", "")
    status, said, complaints = start("validate", own_service(tmp_path, "name: Threshold", "name: Treshold")).finish()
    assert (status, said) == (1, "")
    assert complaints.count("\n") == 1
    assert "did you mean Threshold?" in complaints


# --- run


def test_run_ends_with_its_source(start: Callable[..., Running], host_root: str, tmp_path: Path, started: Any) -> None:
    running = start("run", FOLDER / "service.yaml", "--host-root", host_root, "--port", "0", "--video", "faces.mp4")
    status, said, complaints = running.finish(90)
    assert (status, said) == (0, "decision log: out/decisions.jsonl\n")
    assert started.are_gone()
    records = running.records()
    assert whole_frames(records, FRAMES)
    assert sum(record.cloud is not None for record in records) > 10  # the cloud was ready before the edge began
    assert f"done: {FRAMES} frames" in complaints
    assert {line.split()[0] for line in complaints.splitlines()} == {"edge", "cloud"}
    assert (tmp_path / "faces.mp4").stat().st_size > 10_000
    assert names(tmp_path) == ["faces.mp4", "home", "out", "tmp"]
    assert names(tmp_path / "home") == names(tmp_path / "tmp") == []


def test_ctrl_c_ends_both_workers(endless: Callable[..., Running], started: Any) -> None:
    running = endless()
    assert len(started.with_argument("workers.edge")) == len(started.with_argument("workers.cloud")) == 1
    running.interrupt()
    began = time.monotonic()
    status, said, complaints = running.finish()
    assert time.monotonic() - began < 15
    assert (status, said) == (0, "decision log: out/decisions.jsonl\n")
    assert started.are_gone()
    assert "done: " in complaints  # the edge finished the frames inside
    assert "Traceback" not in complaints
    assert running.log.read_text().endswith("}\n")
    assert complaints.index("done: ") < complaints.index("stopping")  # and did so while the cloud was there


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_be_stopped(endless: Callable[..., Running], started: Any, number: signal.Signals) -> None:
    running = endless()
    running.process.send_signal(number)
    assert running.finish()[0] == 0
    assert started.are_gone()


def test_an_edge_worker_that_is_killed_is_started_again(endless: Callable[..., Running], started: Any) -> None:
    running = endless()
    (first,) = started.with_argument("workers.edge")
    before = len(running.records())
    os.kill(first, signal.SIGKILL)
    assert started.wait_for(lambda: started.with_argument("workers.edge") not in ([], [first]), STARTING)
    assert started.wait_for(lambda: len(running.records()) > before + 20, STARTING)
    running.interrupt()
    status, _, complaints = running.finish()
    assert status == 0
    assert complaints.count("edge ended by SIGKILL; starting it again in 0.5 s") == 1
    assert [record.frame for record in running.records()].count(1) == 2  # a file begins anew


def test_without_a_cloud_the_edge_goes_on_until_it_is_back(endless: Callable[..., Running], started: Any) -> None:
    running = endless("--set", "HEM_NAME=CloudOnly", "--set", "HEM_PARAMETERS=null")

    def answered(path: str, since: int) -> bool:
        return any(record.path == path for record in running.records()[since:])

    assert started.wait_for(lambda: answered("cloud", 0), STARTING)
    (first,) = started.with_argument("workers.cloud")
    os.kill(first, signal.SIGKILL)
    killed = len(running.records())
    assert started.wait_for(lambda: answered("fallback", killed), STARTING)
    alone = len(running.records())
    assert started.wait_for(lambda: started.with_argument("workers.cloud") not in ([], [first]), STARTING)
    assert started.wait_for(lambda: answered("cloud", alone), STARTING)
    running.interrupt()
    status, _, complaints = running.finish()
    assert status == 0
    assert "cloud ended by SIGKILL; starting it again" in complaints


def test_a_busy_port_is_one_line(start: Callable[..., Running], host_root: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        running = start("run", FOLDER / "service.yaml", "--host-root", host_root, "--port", port)
        status, said, complaints = running.finish()
    assert (status, said) == (1, "")
    assert complaints == (
        f"error: port {port} cannot be used: address already in use; "
        "give another one with --port, or --port 0 for any that is free\n"
    )
    assert not (tmp_path / "out").exists()


def one_retry(complaints: str, role: str, last: str) -> bool:
    """Tell whether a worker was given one more chance, and the last line is its own."""
    final = complaints.splitlines()[-1]
    return (
        complaints.count("starting it again") == 1
        and final.startswith(f"error: the {role} worker does not stay up: it ended 2 times in a row")
        and last in final
        and "Traceback" not in complaints
    )


@pytest.mark.parametrize(
    ("role", "old", "message"),
    [
        ("cloud", "models/full_range.tflite", "no model at"),
        ("edge", "models/short_range.tflite", "no model at"),
        ("cloud", "estimator.py:FullRange", "EstimatorError|no file 'models/gone.tflite'|names no class"),
    ],
)
def test_a_model_that_is_not_there(
    start: Callable[..., Running], host_root: str, tmp_path: Path, started: Any, role: str, old: str, message: str
) -> None:
    service = own_service(tmp_path, old, "models/gone.tflite")
    began = time.monotonic()
    status, _, complaints = start("run", service, "--host-root", host_root, "--port", "0").finish()
    assert status == 1
    assert any(one_retry(complaints, role, expected) for expected in message.split("|"))
    assert time.monotonic() - began < 45
    assert started.are_gone()


@pytest.mark.parametrize(("content", "message"), [(None, "no video at"), (b"no video" * 100, "is not a video that")])
def test_a_video_that_cannot_be_read(
    start: Callable[..., Running], host_root: str, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "mine.mp4").write_bytes(content)
    chosen = ["--host-root", host_root, "--port", "0", "--source", "mine.mp4"]  # in this folder, not the service's
    status, _, complaints = start("run", FOLDER / "service.yaml", *chosen).finish()
    assert status == 1
    assert one_retry(complaints, "edge", message)
    assert f"{tmp_path}/mine.mp4" in complaints.splitlines()[-1]


# --- compare


def test_compare(start: Callable[..., Running], host_root: str, tmp_path: Path, started: Any) -> None:
    arguments = ["--host-root", host_root, "--frames", "40", "--out", "shown"]
    running = start("compare", FOLDER / "service.yaml", *arguments)
    status, said, complaints = running.finish(110)
    assert (status, complaints) == (0, "")
    assert started.are_gone()
    out = tmp_path / "shown"
    logs = sorted(out.rglob("*.jsonl"))
    assert [str(log.relative_to(out)) for log in logs] == [
        "cloud-only.jsonl",
        "decisions.jsonl",
        "edge-only.jsonl",
        "full-speed/cloud-only.jsonl",
        "full-speed/decisions.jsonl",
        "full-speed/edge-only.jsonl",
    ]
    assert all(whole_frames(Running(running.process, log).records(), 40) for log in logs)
    assert said.splitlines()[-1] == "report: shown/report.html"
    assert "Bytes sent" in said  # the table
    assert "Joint inference agreed with cloud-only on " in said
    for title in ("joint, ", "edge only, ", "cloud only, "):
        assert f"face-detection, {title}full speed: 40 of 40 frames" in said
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"sedna compare {FOLDER / 'service.yaml'} --host-root {host_root} --frames 40 --out shown" in page
    assert page.count('<figure class="sample">') == 6
    assert "ready on port" in (out / "decisions.workers.log").read_text()
    assert names(tmp_path) == ["home", "shown", "tmp"]
    assert names(tmp_path / "home") == names(tmp_path / "tmp") == []
    assert not list(out.rglob("*.part"))


def test_a_comparison_that_is_stopped_has_no_report(
    start: Callable[..., Running], host_root: str, tmp_path: Path, started: Any
) -> None:
    running = start("compare", FOLDER / "service.yaml", "--host-root", host_root)
    assert started.wait_for(lambda: len(running.records()) >= 5, STARTING)
    running.interrupt()
    status, said, complaints = running.finish()
    assert (status, complaints) == (130, "stopped; there is no report\n")
    assert "report: " not in said
    assert started.are_gone()
    assert not (tmp_path / "out" / "report.html").exists()


# --- exec


@pytest.mark.parametrize(
    ("code", "status", "output"),
    [
        ("from sedna.common.config import Context; import sys; print(sys.argv[1:])", 0, "['--help', 'x']\n"),
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit('it is wrong')", 1, ""),
    ],
)
def test_exec(start: Callable[..., Running], tmp_path: Path, code: str, status: int, output: str) -> None:
    (tmp_path / "infer.py").write_text(code + "\n")
    assert start("exec", "infer.py", "--help", "x").finish()[:2] == (status, output)
