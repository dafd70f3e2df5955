"""The supervisor with real processes: a few lines of Python each."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sedna_py.api.child_names import Role
from sedna_py.errors import SednaError
from sedna_py.local.host_paths import HostDirectory
from sedna_py.local.output_lines import CUT
from sedna_py.local.ports import free_port
from sedna_py.local.restart_policy import RestartPolicy
from sedna_py.local.supervisor import LocalService, WorkerFailed, WorkerProcess, prepare_directories
from sedna_py.local.worker_plan import WorkerPlan

pytestmark = pytest.mark.processes
LIMIT_S = 20.0

# Waits until it is told to end, and says so.
PATIENT = """
    import signal, sys, time
    def leave(number, frame):
        print("told to end", flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, leave)
    print("up", flush=True)
    while True:  # a signal that comes right before a sleep does not end it
        time.sleep(0.05)
"""
STUBBORN = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("up", flush=True)
    time.sleep(600)
"""


class Heard:
    """Remembers every line, and lets a test wait for one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, who: str, line: str) -> None:
        self.lines.append(f"{who}: {line}")
        self._more.set()

    async def until(self, line: str, count: int = 1) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.lines.count(line) < count:
                self._more.clear()
                await self._more.wait()


def quick(**changes: Any) -> RestartPolicy:
    return RestartPolicy(**{"shortest_s": 0.01, "longest_s": 0.02, **changes})


@pytest.fixture
def plan(tmp_path: Path, started: Any) -> Callable[..., WorkerPlan]:
    def make(code: str, role: Role = Role.EDGE, **environment: str) -> WorkerPlan:
        return WorkerPlan(
            role=role,
            command=(sys.executable, "-S", "-c", textwrap.dedent(code)),
            environment={"TMPDIR": str(tmp_path / "tmp"), "PYTHONUNBUFFERED": "1", **environment},
            directory=tmp_path,
        )

    return make


def run(work: Awaitable[Any]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(LIMIT_S * 2):
            return await work

    return asyncio.run(limited())


# --- one worker


def test_lines_are_followed_and_status_0_ends_it(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()
    worker = WorkerProcess(
        plan("import sys; print('out'); print('err', file=sys.stderr); print('last', end='')"), heard
    )
    run(worker.run())
    assert heard.lines == ["edge: out", "edge: err", "edge: last"]
    assert (worker.restarts, worker.pid) == (0, None)


def test_a_worker_gets_its_environment_folder_and_no_input(plan: Callable[..., WorkerPlan], tmp_path: Path) -> None:
    code = """
        import os, sys
        print(sorted(name for name in os.environ if name not in ("LC_CTYPE", "TMPDIR")), os.getcwd(), repr(sys.stdin.read()))
    """
    heard = Heard()
    run(WorkerProcess(plan(code, MODEL_URL="/m"), heard).run())
    assert heard.lines == [f"edge: ['MODEL_URL', 'PYTHONUNBUFFERED'] {tmp_path} ''"]


def test_a_crash_is_started_again_until_it_goes_well(plan: Callable[..., WorkerPlan]) -> None:
    code = """
        import os, pathlib
        runs = pathlib.Path("runs")
        runs.open("a").write("x")
        if len(runs.read_text()) < 4:
            os.kill(os.getpid(), 9)
        print("well")
    """
    heard = Heard()
    worker = WorkerProcess(plan(code), heard, quick())
    run(worker.run())
    assert worker.restarts == 3
    assert heard.lines == [
        "edge: ended by SIGKILL; starting it again in 0.01 s",
        "edge: ended by SIGKILL; starting it again in 0.02 s",
        "edge: ended by SIGKILL; starting it again in 0.02 s",
        "edge: well",
    ]


def test_one_that_says_what_is_wrong_is_asked_twice(plan: Callable[..., WorkerPlan], tmp_path: Path) -> None:
    code = (
        "open('runs', 'a').write('x'); print('first line'); print('no model at /m.xml'); print(); raise SystemExit(1)"
    )
    with pytest.raises(WorkerFailed) as caught:
        run(WorkerProcess(plan(code), Heard(), quick()).run())
    assert str(caught.value) == (
        "the edge worker does not stay up: it ended 2 times in a row, the last time with status 1: no model at /m.xml"
    )
    assert (tmp_path / "runs").read_text() == "xx"


def test_one_that_crashes_without_a_word(plan: Callable[..., WorkerPlan]) -> None:
    worker = WorkerProcess(plan("import os; os.abort()"), Heard(), quick(attempts=3))
    with pytest.raises(WorkerFailed, match="it ended 3 times in a row, the last time by SIGABRT: it wrote nothing"):
        run(worker.run())


def test_a_program_that_is_not_there(plan: Callable[..., WorkerPlan], tmp_path: Path) -> None:
    missing = WorkerPlan(Role.CLOUD, ("no-such-program",), {}, tmp_path)
    with pytest.raises(
        WorkerFailed, match=r"^cannot start the cloud worker: 'no-such-program': No such file"
    ) as caught:
        run(WorkerProcess(missing, Heard()).run())
    assert "\n" not in str(caught.value)


async def stopped_when_up(worker: WorkerProcess, heard: Heard) -> float:
    running = asyncio.create_task(worker.run())
    await heard.until("edge: up")
    began = time.monotonic()
    worker.stop()
    await running
    return time.monotonic() - began


def test_stop_asks_politely_and_once(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()
    worker = WorkerProcess(plan(PATIENT), heard)
    assert run(stopped_when_up(worker, heard)) < 5
    assert heard.lines == ["edge: up", "edge: told to end"]
    assert (worker.pid, worker.restarts) == (None, 0)


def test_one_that_does_not_listen_is_killed(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()
    took = run(stopped_when_up(WorkerProcess(plan(STUBBORN), heard, stop_s=0.2), heard))
    assert 0.2 <= took < 5
    assert heard.lines == ["edge: up", "edge: did not end within 0.2 s; killed"]


def test_a_crash_while_it_is_stopped_is_no_failure(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()
    run(stopped_when_up(WorkerProcess(plan(PATIENT.replace("sys.exit(0)", "sys.exit(3)")), heard), heard))
    assert heard.lines == ["edge: up", "edge: told to end"]


def test_stop_before_the_start_and_during_a_pause(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()

    async def both() -> None:
        never = WorkerProcess(plan("print('ran')"), heard)
        never.stop()
        await never.run()
        pausing = WorkerProcess(plan("import os; os.abort()"), heard, quick(shortest_s=600, longest_s=600))
        running = asyncio.create_task(pausing.run())
        await heard.until("edge: ended by SIGABRT; starting it again in 600 s")
        pausing.stop()
        await running

    run(both())
    assert "edge: ran" not in heard.lines


GRANDCHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"


@pytest.mark.parametrize("ending", ["", "import os; os._exit(0)", "import os; print('up'); os.kill(os.getpid(), 9)"])
def test_what_a_worker_started_ends_with_it(plan: Callable[..., WorkerPlan], started: Any, ending: str) -> None:
    # The grandchild inherits the pipe and never closes it.
    began = time.monotonic()
    worker = WorkerProcess(plan(GRANDCHILD + ending), Heard(), quick(attempts=1))
    if "kill" in ending:
        with pytest.raises(WorkerFailed):
            run(worker.run())
    else:
        run(worker.run())
    assert started.are_gone()
    assert time.monotonic() - began < 10


def test_one_that_left_the_group_does_not_keep_us(plan: Callable[..., WorkerPlan], started: Any) -> None:
    code = GRANDCHILD.replace("])", "], start_new_session=True)") + "print('done')"
    heard = Heard()
    began = time.monotonic()
    run(WorkerProcess(plan(code), heard).run())
    assert time.monotonic() - began < 10
    assert heard.lines == ["edge: done"]
    (left,) = started.pids()  # its own session is what it asked for
    os.kill(left, signal.SIGKILL)
    assert started.are_gone()


@pytest.mark.parametrize("code", [PATIENT, STUBBORN])
def test_cancelled_it_leaves_nothing(plan: Callable[..., WorkerPlan], started: Any, code: str) -> None:
    heard = Heard()

    async def cancelled() -> None:
        running = asyncio.create_task(
            WorkerProcess(plan(textwrap.dedent(GRANDCHILD) + textwrap.dedent(code)), heard).run()
        )
        await heard.until("edge: up")
        # The child's environment, by which it is found, can be read only once it has become its own program.
        async with asyncio.timeout(LIMIT_S):
            while len(started.pids()) != 2:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run(cancelled())
    assert started.are_gone()


def test_very_long_lines_are_cut(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()
    run(WorkerProcess(plan("print('x' * 3_000_000); print('after')"), heard).run())
    assert len(heard.lines) == 2
    assert heard.lines[0].endswith(CUT)
    assert heard.lines[1] == "edge: after"


def test_many_lines_all_arrive(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()
    run(WorkerProcess(plan("for i in range(20_000): print(i)", PYTHONUNBUFFERED=""), heard).run())
    assert heard.lines == [f"edge: {number}" for number in range(20_000)]


def test_one_that_closes_its_output_is_still_waited_for(plan: Callable[..., WorkerPlan], tmp_path: Path) -> None:
    code = """
        import os, time
        print("closing")
        os.close(1), os.close(2)
        while not os.path.exists("go"):
            time.sleep(0.01)
        open("worked", "w").close()
    """
    heard = Heard()

    async def watched() -> None:
        running = asyncio.create_task(WorkerProcess(plan(code), heard).run())
        await heard.until("edge: closing")
        done, _ = await asyncio.wait({running}, timeout=0.1)
        assert not done
        (tmp_path / "go").touch()
        await running

    run(watched())
    assert (tmp_path / "worked").exists()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_file_stays_open(plan: Callable[..., WorkerPlan]) -> None:
    async def several() -> list[int]:
        counts = []
        for _ in range(4):
            with pytest.raises(WorkerFailed):
                await WorkerProcess(plan("raise SystemExit(1)"), Heard(), quick()).run()
            await asyncio.sleep(0)
            counts.append(open_files())
        return counts

    counts = run(several())
    assert counts[0] == counts[-1]


# --- both workers


def service(
    plan: Callable[..., WorkerPlan], cloud: str, edge: str, heard: Heard, port: int = 1, stop_s: float = 10
) -> LocalService:
    plans = {Role.CLOUD: plan(cloud, Role.CLOUD, BIG_MODEL_BIND_PORT=str(port)), Role.EDGE: plan(edge)}
    return LocalService(plans, heard, quick, stop_s)


WAITS_FOR_FILE = """
    import os, time
    print("up", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)
    print("source ended", flush=True)
"""


def test_when_the_edge_ends_the_cloud_is_stopped(plan: Callable[..., WorkerPlan], tmp_path: Path) -> None:
    heard = Heard()

    async def runs() -> None:
        local = service(plan, PATIENT, WAITS_FOR_FILE, heard)
        running = asyncio.create_task(local.run())
        await heard.until("cloud: up")
        await heard.until("edge: up")
        assert local.edge.pid != local.cloud.pid
        assert None not in (local.edge.pid, local.cloud.pid)
        (tmp_path / "go").touch()
        await running

    run(runs())
    assert heard.lines[-2:] == ["edge: source ended", "cloud: told to end"]


def test_when_the_cloud_leaves_the_edge_goes_on(plan: Callable[..., WorkerPlan], tmp_path: Path, started: Any) -> None:
    heard = Heard()

    async def runs() -> None:
        local = service(plan, "print('leaving')", WAITS_FOR_FILE, heard)
        running = asyncio.create_task(local.run())
        await heard.until("cloud: leaving")
        await heard.until("edge: up")
        assert await asyncio.to_thread(started.wait_for, lambda: local.cloud.pid is None)
        assert not running.done()
        (tmp_path / "go").touch()
        await running

    run(runs())
    assert heard.lines[-1] == "edge: source ended"


@pytest.mark.parametrize("failing", ["cloud", "edge"])
def test_when_one_does_not_stay_up_the_other_is_stopped(plan: Callable[..., WorkerPlan], failing: str) -> None:
    # It fails when the other is up, or the other might not have its handler yet.
    fails = """
        import os, time
        while not os.path.exists("up"):
            time.sleep(0.01)
        print("no model"); raise SystemExit(1)
    """
    waits = textwrap.dedent(PATIENT).replace('print("up"', 'open("up", "w").close(); print("up"')
    heard = Heard()
    codes = (fails, waits) if failing == "cloud" else (waits, fails)
    with pytest.raises(WorkerFailed, match=f"the {failing} worker does not stay up: .*: no model"):
        run(service(plan, *codes, heard).run())
    assert heard.lines[-1] == f"{'edge' if failing == 'cloud' else 'cloud'}: told to end"


def test_cancelled_it_ends_the_edge_before_the_cloud(plan: Callable[..., WorkerPlan], started: Any) -> None:
    heard = Heard()
    drains = textwrap.dedent(PATIENT).replace(
        "sys.exit(0)", 'time.sleep(0.2); print("drained", flush=True); sys.exit(0)'
    )

    async def cancelled() -> None:
        running = asyncio.create_task(service(plan, PATIENT, drains, heard).run())
        await heard.until("cloud: up")
        await heard.until("edge: up")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run(cancelled())
    assert heard.lines[-3:] == ["edge: told to end", "edge: drained", "cloud: told to end"]
    assert started.are_gone()


def test_cancelled_twice_it_kills(plan: Callable[..., WorkerPlan], started: Any) -> None:
    heard = Heard()

    async def cancelled() -> None:
        running = asyncio.create_task(service(plan, STUBBORN, STUBBORN, heard, stop_s=600).run())
        await heard.until("cloud: up")
        await heard.until("edge: up")
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=0.2)
        assert not done
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run(cancelled())
    assert started.are_gone()


SERVER = """
    import http.server, os, signal, sys
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            print("asked", self.path, flush=True)
            self.send_response(READY)
            self.end_headers()
        def log_message(self, *_): pass
    http.server.HTTPServer(("127.0.0.1", int(os.environ["BIG_MODEL_BIND_PORT"])), Handler).serve_forever()
"""
LOADING = SERVER.replace("READY", '200 if os.path.exists("loaded") else 503')


def test_the_edge_starts_when_the_cloud_is_ready(plan: Callable[..., WorkerPlan], tmp_path: Path) -> None:
    heard = Heard()

    async def runs() -> None:
        local = service(plan, LOADING, "print('up')", heard, free_port())
        running = asyncio.create_task(local.run(cloud_first_s=LIMIT_S))
        await heard.until("cloud: asked /readyz", count=2)
        assert "edge: up" not in heard.lines
        (tmp_path / "loaded").touch()
        await running

    run(runs())
    assert heard.lines[-1] == "edge: up"


def test_a_server_without_readyz_is_ready_when_it_answers(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()
    run(service(plan, SERVER.replace("READY", "404"), "print('up')", heard, free_port()).run(cloud_first_s=LIMIT_S))
    assert heard.lines == ["cloud: asked /readyz", "edge: up"]


@pytest.mark.parametrize(
    ("cloud", "limit_s", "message"),
    [
        ("print('bye')", LIMIT_S, "the cloud worker ended before it was ready"),
        ("print('no model'); raise SystemExit(1)", LIMIT_S, "the cloud worker does not stay up: .*: no model"),
        (PATIENT, 1, "the cloud worker was not ready within 1 s"),
    ],
)
def test_a_cloud_that_never_gets_ready(
    plan: Callable[..., WorkerPlan], cloud: str, limit_s: float, message: str
) -> None:
    heard = Heard()
    local = service(plan, cloud, "print('up')", heard, free_port())
    with pytest.raises(WorkerFailed, match=message):
        run(local.run(cloud_first_s=limit_s))
    assert "edge: up" not in heard.lines


def test_the_edge_may_start_without_a_cloud_that_is_late(plan: Callable[..., WorkerPlan]) -> None:
    heard = Heard()
    run(service(plan, PATIENT, "print('edge up')", heard, free_port()).run(cloud_first_s=0.3, insist=False))
    assert "cloud: the cloud worker was not ready within 0.3 s; the edge starts without it" in heard.lines
    assert "edge: edge up" in heard.lines


# --- directories


def with_directory(plan: Callable[..., WorkerPlan], path: Path, must_exist: bool) -> dict[Role, WorkerPlan]:
    made = plan("")
    directories = (HostDirectory(path, must_exist),)
    return {Role.EDGE: WorkerPlan(made.role, made.command, made.environment, made.directory, directories)}


def test_directories_are_made_where_they_may(plan: Callable[..., WorkerPlan], tmp_path: Path) -> None:
    prepare_directories(with_directory(plan, tmp_path / "a" / "b", must_exist=False))
    prepare_directories(with_directory(plan, tmp_path / "a" / "b", must_exist=True))
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(
    ("path", "must_exist", "message"),
    [
        (
            "gone",
            True,
            r"the edge worker mounts '.*gone', which is not there; make it, or write type: DirectoryOrCreate",
        ),
        ("file", True, "which is not there"),
        ("file/below", False, r"cannot make the directory '.*file/below': Not a directory"),
    ],
)
def test_directories_that_cannot_be(
    plan: Callable[..., WorkerPlan], tmp_path: Path, path: str, must_exist: bool, message: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SednaError, match=message):
        prepare_directories(with_directory(plan, tmp_path / path, must_exist))
