"""A failure that passes alone is told and passes; one that fails twice, or comes with many others, fails the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running.second_try import FAILED, MOST_FILES, Outcome, files_to_try_again, run_tests, summary

GOOD = "def test_good():\n    pass\n"
BROKEN = "def test_broken():\n    assert False\n"
# The second time there is a file from the first.
ONCE = """
from pathlib import Path

def test_once():
    been = Path(__file__).with_suffix(".been")
    seen = been.exists()
    been.touch()
    assert seen, "the machine stood still"
"""
IN_THE_END = """
from pathlib import Path
import pytest

@pytest.fixture
def leaves_something():
    yield
    been = Path(__file__).with_suffix(".been")
    seen = been.exists()
    been.touch()
    assert seen

def test_ends(leaves_something):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"test_{name}.py").write_text(text)


def test_nothing_is_tried_again_where_all_pass(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, good=GOOD)
    assert run_tests([], folder) == Outcome(0)
    assert "trying" not in capfd.readouterr().out


def test_what_passes_alone_is_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, good=GOOD, once=ONCE)
    assert run_tests([], folder) == Outcome(0, ["test_once.py::test_once"])
    said = capfd.readouterr().out
    assert "the machine stood still" in said
    assert "trying once more, alone: test_once.py\n" in said


def test_what_fails_at_its_end_is_tried_again_as_well(folder: Path) -> None:
    write(folder, ends=IN_THE_END)
    assert run_tests(["--numprocesses=2"], folder) == Outcome(0, ["test_ends.py::test_ends"])


def test_what_fails_twice_fails(folder: Path) -> None:
    write(folder, once=ONCE, broken=BROKEN)
    assert run_tests([], folder) == Outcome(FAILED)


def test_many_failures_are_not_tried_again(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, **{f"once_{number}": ONCE for number in range(MOST_FILES + 1)})
    assert run_tests([], folder) == Outcome(FAILED)
    assert "trying" not in capfd.readouterr().out


def test_a_file_that_cannot_be_read_is_not_tried_again(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, good=GOOD, wrong="import no_such_module\n")
    assert run_tests([], folder).code not in {0, FAILED}
    assert "trying" not in capfd.readouterr().out


def test_whole_files_are_tried_again() -> None:
    assert files_to_try_again(FAILED, ["a.py::b", "a.py::c[1::2]", "d.py::e"]) == ["a.py", "d.py"]
    assert files_to_try_again(FAILED, []) == []
    assert files_to_try_again(2, ["a.py::b"]) == []


def test_the_summary_names_each() -> None:
    assert summary([]) == ""
    assert summary(["a.py::b"]).splitlines()[1:] == ["  a.py::b"]
