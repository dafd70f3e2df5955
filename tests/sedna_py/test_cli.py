"""The command line in this process: what it says, what it refuses, what it hands on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sedna_py import cli
from sedna_py.errors import SettingsError, SourceError
from sedna_py.local.manifests import load_manifests

FACES = Path(__file__).parents[2] / "examples" / "face_detection" / "service.yaml"
HELMETS = Path(__file__).parents[1] / "data" / "upstream" / "helmet_detection.yaml"

Outcome = tuple[int, str, str]


@pytest.fixture
def sedna(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Return sedna(arguments) -> exit status, standard output, standard error."""

    def call(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sedna", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Return changed(old, new) -> the face service with one thing written differently."""

    def write(old: str, new: str) -> Path:
        text = FACES.read_text()
        assert old in text
        path = tmp_path / "service.yaml"
        path.write_text(text.replace(old, new))
        return path

    return write


# --- help


def test_help_names_every_command(sedna: Callable[..., Outcome]) -> None:
    status, text, _ = sedna("--help")
    assert status == 0
    assert all(command in text for command in ("validate", "run", "compare", "bench", "exec"))


@pytest.mark.parametrize("command", ["validate", "run", "compare", "bench", "exec"])
def test_every_command_shows_an_example(sedna: Callable[..., Outcome], command: str) -> None:
    status, text, _ = sedna(command, "--help")
    assert status == 0
    assert f"Example: sedna {command} " in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["validate"], "Missing argument"),
        (["run", "x.yaml", "--port", "70000"], "--port"),
        (["compare", "x.yaml", "--frames", "-1"], "--frames"),
        (["compare", "x.yaml", "--seconds", "0"], "--seconds"),
        (["fly"], "No such command"),
    ],
)
def test_wrong_usage_is_status_2(sedna: Callable[..., Outcome], arguments: list[str], problem: str) -> None:
    status, _, text = sedna(*arguments)
    assert (status, problem in text, "Traceback" in text) == (2, True, False)


# --- validate


@pytest.mark.parametrize(("file", "name"), [(FACES, "face-detection"), (HELMETS, "helmet-detection-inference-example")])
def test_a_good_service(sedna: Callable[..., Outcome], file: Path, name: str) -> None:
    status, said, complaints = sedna("validate", file)
    assert (status, said) == (0, f"default/{name}: ok\n")
    assert "error" not in complaints


def test_models_in_a_file_of_their_own(sedna: Callable[..., Outcome], tmp_path: Path) -> None:
    *models, service = FACES.read_text().split("---\n")
    (tmp_path / "models.yaml").write_text("---\n".join(models))
    (tmp_path / "service.yaml").write_text(service)
    assert sedna("validate", tmp_path / "service.yaml")[0] == 1
    assert sedna("validate", tmp_path / "service.yaml", "--models", tmp_path / "models.yaml")[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("name: Threshold", "name: Treshold", [["hardExampleMining.name", '"Treshold"', "did you mean Threshold?"]]),
        (
            'key: threshold\n          value: "0.5"',
            'key: threshold\n          value: "1.5"',
            [["parameters[0].value", "threshold", "1.5"]],
        ),
        ("name: face-detection-full-range\n    template", "name: face-full\n    template", [["no such Model"]]),
        (
            "minReplicas: 1\n      maxReplicas: 2",
            "minReplicas: 3\n      maxReplicas: 2",
            [["edgeWorker.hpa", "3", "2"]],
        ),
        ("kind: JointInferenceService", "kind: JointInferenceServise", [["kind", "write JointInferenceService"]]),
        ("hardExampleMining:", "hardExampleMining: [", [["is not usable YAML at line"]]),
    ],
)
def test_each_problem_is_one_line(
    sedna: Callable[..., Outcome], changed: Callable[..., Path], old: str, new: str, lines: list[list[str]]
) -> None:
    status, said, complaints = sedna("validate", changed(old, new))
    assert (status, said) == (1, "")
    found = complaints.splitlines()
    assert len(found) == len(lines)
    assert all(word in line for line, words in zip(found, lines, strict=True) for word in words)


def test_two_problems_are_two_lines(sedna: Callable[..., Outcome], changed: Callable[..., Path]) -> None:
    path = changed("name: Threshold", "name: Treshold")
    path.write_text(path.read_text().replace("name: face-detection-full-range\n    template", "name: x\n    template"))
    status, _, complaints = sedna("validate", path)
    assert status == 1
    assert len(complaints.splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.yaml", None, "there is no such file; check the path"),
        ("empty.yaml", b"", "has no JointInferenceService"),
        ("picture.yaml", b"\xff\xd8\xff\xe0", "is not UTF-8 text"),
        ("text.yaml", b"just text", "text.yaml, document 1"),
        ("", None, "is a directory"),
    ],
)
def test_files_that_are_no_manifests(
    sedna: Callable[..., Outcome], tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    status, _, complaints = sedna("validate", tmp_path / name)
    assert status == 1
    assert message in complaints
    assert "Traceback" not in complaints


def test_warnings_are_shown_and_do_not_fail(sedna: Callable[..., Outcome], changed: Callable[..., Path]) -> None:
    status, said, complaints = sedna("validate", changed("key: threshold", "key: treshold"))
    assert (status, said) == (0, "default/face-detection: ok\n")
    assert complaints.startswith("warning: ")
    assert "threshold" in complaints


# --- what run and compare refuse at once


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "video_url"], "error: --set 'video_url': write NAME=VALUE"),
        (["--set", "=x"], "error: --set '': write NAME=VALUE"),
        (["--host-root", "{tmp}"], "mounts '{tmp}/sedna/face_detection/clips', which is not there"),
    ],
)
def test_refused_in_one_line(
    sedna: Callable[..., Outcome], tmp_path: Path, command: str, arguments: list[str], message: str
) -> None:
    if command == "compare":
        arguments = [*arguments, "--source", str(small_video(tmp_path / "a.mp4")), "--out", str(tmp_path / "out")]
    else:
        arguments = [*arguments, "--port", "0", "--decisions", str(tmp_path / "d.jsonl")]
    status, _, complaints = sedna(command, FACES, *(part.format(tmp=tmp_path) for part in arguments))
    assert status == 1
    assert message.format(tmp=tmp_path) in complaints
    assert [line for line in complaints.splitlines() if line.startswith("error: ")] == complaints.splitlines()[-1:]


def test_one_service_at_a_time(sedna: Callable[..., Outcome]) -> None:
    status, _, complaints = sedna("run", FACES, HELMETS)
    last = complaints.splitlines()[-1]
    assert (status, last) == (
        1,
        "error: the files hold 2 services (face-detection, helmet-detection-inference-example); give one at a time",
    )


def test_an_earlier_log_survives_a_run_that_cannot_start(sedna: Callable[..., Outcome], tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text("earlier\n")
    assert sedna("run", FACES, "--host-root", tmp_path, "--port", "0", "--decisions", log)[0] == 1
    assert log.read_text() == "earlier\n"


def test_a_service_without_a_source(sedna: Callable[..., Outcome], changed: Callable[..., Path]) -> None:
    path = changed("name: video_url\n                value: /sedna/face_detection/clips/walk.mp4", "name: OTHER")
    status, _, complaints = sedna("compare", path)
    assert (status, complaints) == (1, "error: the service sets no video_url; give one with --source\n")


def test_passwords_are_not_in_error_lines(sedna: Callable[..., Outcome]) -> None:
    status, _, complaints = sedna("compare", FACES, "--source", "gopher://me:secret@cam/1")
    assert status == 1
    assert "gopher://***@cam/1" in complaints
    assert "secret" not in complaints


# --- the parts


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], {}),
        (["A=1", "B=x=y", "C="], {"A": "1", "B": "x=y", "C": ""}),
        (["A=1", "A=2"], {"A": "2"}),
    ],
)
def test_assignments(settings: list[str], expected: dict[str, str]) -> None:
    assert cli.assignments(settings) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.mp4", "/here/a.mp4"),
        ("sub/../a.mp4", "/here/a.mp4"),
        ("/there/a.mp4", "/there/a.mp4"),
        ("0", "0"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("file:/there/a.mp4", "file:/there/a.mp4"),
        ("file://there/a.mp4", "file://there/a.mp4"),
        ("", ""),
        ("yard=a.mp4,rtsp://cam/1,/there/b.mp4", "yard=/here/a.mp4,rtsp://cam/1,/there/b.mp4"),
        ("watch:in,push://", "watch:/here/in,push://"),
    ],
)
def test_located(source: str, expected: str) -> None:
    assert cli.located(source, Path("/here")) == expected


def test_only_service() -> None:
    assert cli.only_service(load_manifests([FACES])).name == "face-detection"


def test_options_hand_on_what_the_caller_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARK", "here")
    monkeypatch.chdir(tmp_path)
    options = cli.local_options(Path("sub/service.yaml"), port=5, host_root=Path("root"), edge={"A": "1"})
    assert (options.directory, options.host_root, options.port) == (tmp_path / "sub", tmp_path / "root", 5)
    assert options.inherited["MARK"] == "here"
    assert options.overrides == {"edge": {"A": "1"}}


@pytest.mark.parametrize(
    "line", ["[bold]not markup[/]", "port :x: and :warning:", "rtsp://u:secret@cam", "a" * 300, "{not} %s format"]
)
def test_a_workers_line_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], line: str) -> None:
    cli.say("edge", line)
    cli.say("cloud", line)
    shown = line.replace("u:secret@", "***@")
    assert capsys.readouterr().err == f" edge {shown}\ncloud {shown}\n"


async def end(log: list[str]) -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        log.append("ended in order")
        raise


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_work_and_gives_its_status(number: signal.Signals) -> None:
    log: list[str] = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        await end(log)

    assert cli.until_stopped(work()) == 128 + number
    assert log == ["ended in order"]


def test_work_that_ends_by_itself_is_status_0_and_errors_pass() -> None:
    async def ends() -> None:
        await asyncio.sleep(0)

    async def fails() -> None:
        raise SettingsError("no")

    assert cli.until_stopped(ends()) == 0
    with pytest.raises(SettingsError, match="no"):
        cli.until_stopped(fails())


def small_video(path: Path, frames: int = 5) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), number * 40, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(("limit", "count"), [(0, 5), (3, 3), (600, 5)])
@pytest.mark.parametrize("prefix", ["", "file:", "file://"])
def test_the_clip_of_a_file(tmp_path: Path, limit: int, count: int, prefix: str) -> None:
    path = small_video(tmp_path / "a.mp4")
    video, clip = cli.open_clip(f"{prefix}{path}", 1, limit, tmp_path / "out")
    assert video == f"{prefix}{path}"
    assert (clip.name, clip.frames, clip.fps) == ("a.mp4", count, 10)
    assert sorted(clip.pictures([1, 5, 9])) == [1, 5]
    assert not (tmp_path / "out").exists()


def test_a_clip_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no video at"):
        cli.open_clip(str(tmp_path / "no.mp4"), 1, 0, tmp_path)


def test_a_clip_of_several_sources(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="video_url names 2 sources; give one of them"):
        cli.open_clip("a.mp4,b.mp4", 1, 0, tmp_path)


def test_a_live_source_is_recorded_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Camera:
        name, endless, fps, frames = "camera 0", True, 10.0, 0
        closed = False

        def __iter__(self) -> Any:
            for number in range(1000):
                yield np.full((48, 64, 3), number % 200, np.uint8)

        def close(self) -> None:
            Camera.closed = True

    from workers.edge import sources

    real = sources.open_source
    monkeypatch.setattr(sources, "open_source", lambda url: Camera() if url == "0" else real(url))
    video, clip = cli.open_clip("0", 0.0, 0, tmp_path / "out")
    assert video == str(tmp_path / "out" / "recording.mp4")
    assert (clip.name, clip.fps) == ("recording.mp4", 10)
    assert clip.frames >= 1
    assert Camera.closed
    assert capsys.readouterr().err == "recording 0 s of camera 0 ...\n"


# --- exec


@pytest.mark.parametrize(("ending", "status"), [("", 0), ("sys.exit(7)", 7)])
def test_exec_hands_everything_to_the_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str, status: int
) -> None:
    seen: list[list[str]] = []

    def run_as_program(arguments: list[str]) -> None:
        seen.append(arguments)
        if ending:
            sys.exit(status)

    monkeypatch.setattr("sedna_py.script_runner.main", run_as_program)
    monkeypatch.setattr(sys, "argv", ["sedna", "exec", "infer.py", "--help", "-v", "x", "--", "y"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert (left.value.code or 0) == status
    assert seen == [["infer.py", "--help", "-v", "x", "--", "y"]]
    assert capsys.readouterr().out == ""


# --- simulate


def scaled(tmp_path: Path) -> tuple[Path, Path]:
    """Return a service with a cloud autoscaler, and a load that is too much for one pod."""
    service, load = tmp_path / "scaled.yaml", tmp_path / "load.csv"
    service.write_text((FACES.parents[1] / "autoscaling" / "streams.yaml").read_text())
    load.write_text("seconds,requests_per_second\n0,5\n60,40\n600,0\n")
    return service, load


def test_simulate_tells_replicas_drops_and_latencies(sedna: Callable[..., Outcome], tmp_path: Path) -> None:
    service, load = scaled(tmp_path)
    page = tmp_path / "page.html"
    status, text, _ = sedna("simulate", "trace", load, "--service", service, "--cloud-ms", "50", "--report", page)
    assert status == 0
    for word in ("Simulated", "lost", "overloaded", "cloud, p95", "cloud replicas", "s  cloud: 3"):
        assert word in text
    written = page.read_text()
    assert written.count("<svg") >= 2
    assert "Load and drops" in written
    assert "http" not in written.replace("http-equiv", "")


def test_simulate_as_json_is_the_same_each_time(sedna: Callable[..., Outcome], tmp_path: Path) -> None:
    service, load = scaled(tmp_path)
    arguments = ("simulate", "trace", load, "--service", service, "--cloud-ms", "50", "--hpa", "cloud", "--json")
    figures = [json.loads(sedna(*arguments)[1]) for _ in range(2)]
    assert figures[0] == figures[1]
    assert figures[0]["arrived"] == sum(figures[0]["answers"].values()) + sum(figures[0]["lost"].values())
    assert figures[0]["replicas"]["cloud"]["most"] > 1


@pytest.mark.parametrize(
    ("trace", "more", "said"),
    [
        ("load.csv", (), "give --cloud-ms"),
        ("load.csv", ("--cloud-ms", "50", "--hpa", "edge"), "the edge worker of .* has no autoscaler"),
        ("load.txt", (), "write a decision log that ends in .jsonl"),
        ("none.csv", (), "none.csv cannot be read"),
        ("scaled.csv", (), "scaled.csv: the table's first line must name seconds"),
    ],
)
def test_simulate_says_what_is_missing(
    sedna: Callable[..., Outcome], tmp_path: Path, trace: str, more: tuple[str, ...], said: str
) -> None:
    service, _ = scaled(tmp_path)
    (tmp_path / "scaled.csv").write_text("a,b\n")
    status, _, text = sedna("simulate", "trace", tmp_path / trace, "--service", service, *more)
    assert status == 1
    assert re.search(said, text)
