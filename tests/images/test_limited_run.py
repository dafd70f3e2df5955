"""Tools in namespaces of their own: their output, their errors, and nothing left of those that do not end."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.errors import BuildError
from tests.cluster.progress import Progress
from tests.images.limited_run import LimitedRun

pytestmark = pytest.mark.usefixtures("build_machine")


@pytest.fixture
def tool(tmp_path: Path) -> Callable[..., LimitedRun]:
    def make(seconds: float = 60, **environ: str) -> LimitedRun:
        return LimitedRun(tmp_path, environ, time.monotonic() + seconds, Progress(io.StringIO()))

    return make


def test_output_comes_back_and_a_titled_run_shows_progress(tool):
    run = tool()
    assert run.run(["sh", "-c", "echo said; echo complained >&2"]) == "said\n"
    assert run.progress.stream.getvalue() == ""
    run.run(["true"], title="doing nothing")
    assert run.progress.stream.getvalue().startswith("doing nothing ...\ndoing nothing: ")


def test_a_tool_that_fails_is_quoted_at_its_end(tool):
    with pytest.raises(BuildError) as caught:
        tool().run(["sh", "-c", "seq 40; echo why >&2; exit 3"], title="counting")
    lines = str(caught.value).splitlines()
    assert lines[0] == "counting failed:"
    assert lines[-2:] == ["40", "why"]
    assert len(lines) <= 20


def test_what_a_user_has_set_for_such_tools_is_not_passed_on(tool, tmp_path):
    said = tool(STORAGE_DRIVER="vfs", HOME="/root", https_proxy="http://proxy:1", PATH="/usr/bin:/bin").run(["env"])
    variables = dict(line.split("=", 1) for line in said.splitlines())
    assert variables["HOME"] == variables["TMPDIR"] == str(tmp_path)
    assert variables["https_proxy"] == "http://proxy:1"
    assert "STORAGE_DRIVER" not in variables


def test_nothing_is_left_of_a_tool_that_does_not_end(tool, tmp_path, started):
    """Its children, also those in another session, and its mounts."""
    mount = f"mount -t tmpfs none {tmp_path / 'mounted'}"
    (tmp_path / "mounted").mkdir()
    script = f"{mount} && touch {tmp_path / 'mounted' / 'x'} && setsid sleep 1000 & sleep 1000"
    with pytest.raises(BuildError, match=r"^sleeping did not end in time"):
        tool(2, TMPDIR="-").run(["env", f"TMPDIR={tmp_path / 'tmp'}", "sh", "-c", script], title="sleeping")
    assert started.are_gone()
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert list((tmp_path / "mounted").iterdir()) == []
