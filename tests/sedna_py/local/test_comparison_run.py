"""One service run for its log, with workers of a few lines; and the six runs of a comparison, with none."""

from __future__ import annotations

import asyncio
import io
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sedna_py.api.v1alpha1 import JointInferenceService, Model
from sedna_py.decision_log import DecisionRecord, Emit
from sedna_py.errors import MalformedBody, SettingsError
from sedna_py.local.compare_service import Clip, Session, core_count, cpu_name
from sedna_py.local.comparison import Mode, Run
from sedna_py.local.comparison_run import Logged, ServiceRun, make_way, read_log
from sedna_py.local.supervisor import WorkerFailed
from sedna_py.local.worker_plan import LocalOptions

MakeRecord = Callable[..., DecisionRecord]

CLOUD = """
    import http.server, os
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
        def log_message(self, *_): pass
    http.server.HTTPServer(("127.0.0.1", int(os.environ["BIG_MODEL_BIND_PORT"])), Handler).serve_forever()
"""
EDGE = """
    import os
    with open("lines") as lines, open(os.environ["DECISIONS_FILE"], "a") as log:
        log.writelines(lines)
    with open("environment", "w") as seen:
        seen.write(" ".join(os.environ[name] for name in ("ONE", "TWO", "THREE", "HEM_NAME")))
"""


def service_of(edge: str, cloud: str = CLOUD) -> JointInferenceService:
    def template(code: str) -> dict[str, Any]:
        env = [{"name": name, "value": "service"} for name in ("ONE", "TWO", "THREE")]
        command = ["python", "-S", "-c", textwrap.dedent(code)]
        return {"spec": {"containers": [{"name": "c", "image": "i", "command": command, "env": env}]}}

    spec = {
        "edgeWorker": {"model": {"name": "m"}, "hardExampleMining": {"name": "IBT"}, "template": template(edge)},
        "cloudWorker": {"model": {"name": "m"}, "template": template(cloud)},
    }
    return JointInferenceService.model_validate({"metadata": {"name": "svc", "namespace": "ns"}, "spec": spec})


MODELS = {"m": Model.model_validate({"metadata": {"name": "m"}, "spec": {"url": "/m/y.xml", "format": "xml"}})}


@pytest.fixture
def service_run(tmp_path: Path, started: Any) -> Callable[..., ServiceRun]:
    def make(edge: str = EDGE, cloud: str = CLOUD) -> ServiceRun:
        inherited = {"TMPDIR": str(tmp_path / "tmp")}
        options = LocalOptions(directory=tmp_path, port=0, host_root=tmp_path, inherited=inherited)
        return ServiceRun(service_of(edge, cloud), MODELS, options, {"TWO": "edge", "THREE": "edge"})

    return make


@dataclass
class Watcher:
    lines: list[str] = field(default_factory=list)
    seen: list[DecisionRecord] = field(default_factory=list)

    def say(self, who: str, line: str) -> None:
        self.lines.append(f"{who}: {line}")

    def watch(self, records: list[DecisionRecord]) -> None:
        self.seen += records


def log_of(run: ServiceRun, decisions: Path, watcher: Watcher, extra: Mapping[str, str] | None = None) -> Logged:
    return asyncio.run(run.log(decisions, extra or {}, watcher.say, watcher.watch))


@pytest.mark.processes
def test_a_run_returns_its_log_and_shows_it_meanwhile(
    service_run: Callable[..., ServiceRun], tmp_path: Path, make_record: MakeRecord, started: Any
) -> None:
    records = [make_record(number) for number in range(50)]
    (tmp_path / "lines").write_text("".join(record.to_line() for record in records))
    decisions = tmp_path / "new" / "decisions.jsonl"
    decisions.parent.mkdir()
    decisions.write_text("what an earlier run left\n")
    watcher = Watcher()
    logged = log_of(service_run(), decisions, watcher, {"THREE": "extra", "HEM_NAME": "EdgeOnly"})
    assert logged == Logged(records)
    assert watcher.seen == records
    assert (tmp_path / "environment").read_text() == "service edge extra EdgeOnly"
    assert started.are_gone()


@pytest.mark.processes
def test_a_worker_that_crashed_is_a_remark(
    service_run: Callable[..., ServiceRun], tmp_path: Path, make_record: MakeRecord
) -> None:
    (tmp_path / "lines").write_text(make_record(1).to_line())
    crashes_once = """
        if not os.path.exists("crashed"):
            open("crashed", "w").close()
            os.kill(os.getpid(), 9)
    """
    watcher = Watcher()
    edge = textwrap.dedent(EDGE) + textwrap.dedent(crashes_once)
    logged = log_of(service_run(edge), tmp_path / "decisions.jsonl", watcher)
    assert [record.frame for record in logged.records] == [1, 1]
    (problem,) = logged.problems
    assert problem == (
        "the edge worker crashed and was started again, so frames that it had answered before are in the log twice"
    )
    assert watcher.lines == ["edge: ended by SIGKILL; starting it again in 0.5 s"]


@pytest.mark.processes
@pytest.mark.parametrize(
    ("edge", "cloud", "message"),
    [
        ("print('no video'); raise SystemExit(1)", CLOUD, "the edge worker does not stay up: .*: no video"),
        (EDGE, "print('no model'); raise SystemExit(1)", "the cloud worker does not stay up: .*: no model"),
    ],
)
def test_a_run_that_fails(
    service_run: Callable[..., ServiceRun], tmp_path: Path, edge: str, cloud: str, message: str
) -> None:
    with pytest.raises(WorkerFailed, match=message):
        log_of(service_run(edge, cloud), tmp_path / "decisions.jsonl", Watcher())


def test_make_way(tmp_path: Path) -> None:
    decisions = tmp_path / "a" / "b" / "decisions.jsonl"
    assert make_way(decisions) == decisions
    decisions.write_text("old")
    assert make_way(decisions) == decisions
    assert not decisions.exists()


@pytest.mark.parametrize("path", ["file/decisions.jsonl", "folder"])
def test_a_place_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        SettingsError, match=f"cannot write '.*{path}'.*; name a file in a folder that you may write to"
    ):
        make_way(tmp_path / path)


def test_read_log(tmp_path: Path, make_record: MakeRecord) -> None:
    log = tmp_path / "decisions.jsonl"
    late, first = (make_record(7, emit=emit).to_line() for emit in (Emit.LATE, Emit.FIRST))
    log.write_text(first + make_record(1).to_line() + late + make_record(2).to_line()[:30])
    assert read_log(log) == [make_record(1)]
    log.write_text("nonsense\n")
    with pytest.raises(MalformedBody, match="line 1"):
        read_log(log)


# --- the six runs


class FakeRun:
    """Stands for ServiceRun: remembers what it was asked and answers every frame."""

    service = service_of("")

    def __init__(self, answers: Callable[[Path], Logged]) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._answers = answers

    async def log(self, decisions: Path, extra: Mapping[str, str], say: Any, watch: Any) -> Logged:
        self.asked.append(("/".join(decisions.parts[-2:]), dict(extra)))
        logged = self._answers(decisions)
        watch(logged.records)
        say("edge", "a line of the worker")
        return logged


def session(tmp_path: Path, run: Any, fps: float = 12.5, pictures: Any = None) -> Session:
    shown = Console(file=io.StringIO(), width=160)
    clip = Clip("walk.mp4", 3, fps, pictures or (lambda numbers: dict.fromkeys(numbers, b"jpeg")))
    return Session(run, clip, tmp_path / "out", "sedna compare x", shown)


@pytest.mark.parametrize(("fps", "pace"), [(12.5, "12.5"), (0, "25")])
def test_the_six_runs(tmp_path: Path, make_record: MakeRecord, fps: float, pace: str) -> None:
    run = FakeRun(lambda log: Logged([make_record(1)], ("it crashed",) if log.name == "edge-only.jsonl" else ()))
    compared = session(tmp_path, run, fps)
    runs = asyncio.run(compared.runs())
    patient = {
        "OFFLOAD_WHEN_FULL": "wait",
        "OFFLOAD_DEADLINE_MS": "30000",
        "OFFLOAD_IN_FLIGHT": "3",
        "OFFLOAD_WAITING": "0",
        "BUFFER_POLICY": "wait",
    }
    edge_only = {"HEM_NAME": "EdgeOnly", "HEM_PARAMETERS": "null"}
    cloud_only = {"HEM_NAME": "CloudOnly", "HEM_PARAMETERS": "null", "MINING_MODE": "mining-then-inference"}
    fast = {**patient, "SOURCE_PACE": "0"}
    assert run.asked == [
        ("out/decisions.jsonl", {"SOURCE_PACE": pace}),  # first, as it is what the user came to see
        ("out/edge-only.jsonl", {"SOURCE_PACE": pace, **edge_only}),
        ("out/cloud-only.jsonl", {"SOURCE_PACE": pace, **patient, **cloud_only}),
        ("full-speed/edge-only.jsonl", {**fast, **edge_only}),
        ("full-speed/decisions.jsonl", fast),
        ("full-speed/cloud-only.jsonl", {**fast, **cloud_only}),
    ]
    assert [run.mode for run in runs] == list(Mode)
    assert [run.problems for run in runs] == [("it crashed", "at full speed it crashed"), (), ()]
    assert all(run.records == run.full_speed == [make_record(1)] for run in runs)
    assert (tmp_path / "out" / "decisions.workers.log").read_text() == "edge: a line of the worker\n"


def test_the_conclusion_is_a_table_and_a_report(tmp_path: Path, make_record: MakeRecord, runs: list[Run]) -> None:
    (tmp_path / "out").mkdir()
    asked: list[int] = []

    def pictures(numbers: Any) -> Mapping[int, bytes]:
        asked.extend(numbers)
        return dict.fromkeys(asked[1:], b"jpeg")  # one that cannot be read is left out

    concluded = session(tmp_path, FakeRun(lambda _: Logged([])), pictures=pictures)
    report = concluded.conclude([replace(run, problems=("it crashed",)) for run in runs])
    assert report == tmp_path / "out" / "report.html"
    page = report.read_text(encoding="utf-8")
    assert "Edge only: it crashed" in page
    assert page.count('<figure class="sample">') == len(asked) - 1 == 5
    assert "sedna compare x" in page
    assert f"{core_count()} cores" in page
    assert "Frames agreeing with cloud only" in concluded.console.file.getvalue()  # type: ignore[attr-defined]
    assert sorted(path.name for path in report.parent.iterdir()) == ["report.html"]


def test_without_any_frame_there_is_still_a_report(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    concluded = session(tmp_path, FakeRun(lambda _: Logged([])))
    report = concluded.conclude([Run(mode, []) for mode in Mode])
    assert "The joint run answered no frame." in report.read_text(encoding="utf-8")


def test_the_machine_has_a_name_and_cores() -> None:
    assert cpu_name()
    assert core_count() >= 1
