"""Processes are ended, and only the right ones."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.cluster.processes import ProcessIdentity, read_stat, start_process

CHECKOUT = Path(__file__).parents[2]
PARENT = textwrap.dedent("""
    import signal, sys, time
    from pathlib import Path
    from tests.cluster.processes import start_process
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that put the tests into the background ignores it
    child = start_process("sleeper", ["/bin/sleep", "600"], Path(sys.argv[1]), tied=sys.argv[2] == "tied")
    print(child.identity.pid, child.identity.start_ticks, flush=True)
    time.sleep(600)
""")


def has_ended_soon(process: ProcessIdentity, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while process.is_running():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def parent(tmp_path, request):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), request.param], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as process:
        child = ProcessIdentity(*map(int, process.stdout.readline().split()))
        yield process, child
        process.kill()
        child.kill()


@pytest.mark.parametrize("parent", ["tied"], indirect=True)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_tied_process_ends_with_its_parent(parent, how):
    process, child = parent
    assert child.is_running()
    process.send_signal(how)
    assert has_ended_soon(child)


@pytest.mark.parametrize("parent", ["detached"], indirect=True)
def test_a_detached_process_survives_its_parent_and_is_ended_by_its_identity(parent):
    process, child = parent
    process.kill()
    process.wait()
    assert child.is_running()
    child.kill()
    assert not child.is_running()
    child.kill()


def test_a_process_that_only_has_the_same_pid_is_left_alone(tmp_path):
    child = start_process("sleeper", ["/bin/sleep", "600"], tmp_path, tied=False)
    try:
        stranger = ProcessIdentity(child.identity.pid, child.identity.start_ticks - 1)
        assert not stranger.is_running()
        stranger.kill()
        assert child.identity.is_running()
        assert not child.has_ended()
    finally:
        child.kill()


def test_an_ended_process_is_not_running_although_nobody_has_waited_for_it(tmp_path):
    child = start_process("quick", ["/bin/sh", "-c", "echo said; exit 3"], tmp_path, tied=False)
    try:
        assert has_ended_soon(child.identity)
        assert read_stat(child.identity.pid) is not None
        assert child.log_tail() == "said"
    finally:
        child.kill()
    assert read_stat(child.identity.pid) is None
