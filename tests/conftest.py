"""For all tests: no library reports home, and the processes that a test started are found whoever their parent is now.

Here is also what happens where a tier of tests cannot run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

import workers  # noqa: F401 - first of all: it keeps OpenVINO, which some tests import by themselves, from reporting home
from sedna_py import ClassFactory

# What the tests share asserts, too, and pytest shall say what was found there as well.
pytest.register_assert_rewrite(
    *(f"tests.{path.stem}" for path in Path(__file__).parent.iterdir() if path.stem != "conftest")
)


@dataclass(frozen=True)
class Started:
    """The processes with this text in their environment; the dead that nobody has reaped yet have no environment."""

    text: str

    def pids(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if self.text.encode() in environment.split(b"\0"):
                found.append(int(entry.name))
        return found

    def with_argument(self, argument: str) -> list[int]:
        """Return those that have this among the words of their command line."""
        return [pid for pid in self.pids() if argument in _command_line(pid)]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20) -> bool:
        """Wait until the condition holds; False when it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def are_gone(self, seconds: float = 5) -> bool:
        """Wait until none is left."""
        return self.wait_for(lambda: not self.pids(), seconds)


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """The processes with TMPDIR in this test's folder, which their temporary files go to as well. The test must leave none."""
    (tmp_path / "tmp").mkdir()
    processes = Started(f"TMPDIR={tmp_path / 'tmp'}")
    yield processes
    left = processes.pids()
    for pid in left:
        os.kill(pid, 9)
    assert not left, f"processes {left} were left running"


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers with ClassFactory is known to no other one: they come in any order, in any of several processes."""
    kept = {kind: dict(names) for kind, names in ClassFactory._registry.items()}
    monkeypatch.setattr(ClassFactory, "_registry", kept)


@pytest.fixture(scope="session")
def tier_unavailable() -> Callable[[str, str], NoReturn]:
    """The call for a tier (integration, ...) that this machine cannot run: a skip with the reason, in CI a failure."""

    def report(tier: str, reason: str) -> NoReturn:
        message = f"{tier} tests cannot run here: {reason}"
        if in_ci(os.environ.get("CI", "")):
            pytest.fail(f"{message} (CI is set: nothing is skipped)", pytrace=False)
        pytest.skip(message)

    return report


def in_ci(value: str) -> bool:
    """Return whether this value of the variable CI means a CI run."""
    return value.lower() not in ("", "0", "false", "no")
