from __future__ import annotations

import subprocess
import sys

import pytest

from sedna_py.compat import uninstall
from sedna_py.errors import SednaError
from sedna_py.script_runner import main, run_script


@pytest.fixture(autouse=True)
def aliases_are_removed():
    yield
    uninstall()


@pytest.fixture
def script(tmp_path):
    def write(text):
        (tmp_path / "infer.py").write_text(text)
        return str(tmp_path / "infer.py")

    return write


def run_process(*arguments):
    command = [sys.executable, "-m", "sedna_py.script_runner", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_script_runs_as_a_program(script, tmp_path, capsys):
    (tmp_path / "interface.py").write_text("VALUE = 'beside the script'\n")
    path = script(
        "import sys\n"
        "from interface import VALUE\n"
        "from sedna.common.config import Context\n"
        "print(__name__, sys.argv, VALUE, Context.__module__)\n"
    )
    argv, search = list(sys.argv), list(sys.path)
    run_script(path, ["--fast", "1"])
    sys.modules.pop("interface")
    assert capsys.readouterr().out == f"__main__ ['{path}', '--fast', '1'] beside the script sedna_py.context\n"
    assert (sys.argv, sys.path) == (argv, search)


@pytest.mark.parametrize(("text", "code"), [("raise SystemExit(7)", 7), ("import sys; sys.exit()", None)])
def test_exit_codes_pass(script, text, code):
    with pytest.raises(SystemExit) as left:
        run_script(script(text))
    assert left.value.code == code


def test_exceptions_pass(script):
    with pytest.raises(ZeroDivisionError):
        run_script(script("1 / 0"))


def test_no_such_script(tmp_path):
    with pytest.raises(SednaError, match=r"infer.py' does not exist; write the path of a Python script"):
        run_script(tmp_path / "infer.py")
    with pytest.raises(SednaError, match="is a folder"):
        run_script(tmp_path)


def test_main_needs_a_script():
    with pytest.raises(SystemExit, match="no script; write: python -m"):
        main([])


@pytest.mark.processes
@pytest.mark.parametrize(
    ("text", "status", "output"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("from sedna.core.federated_learning import X", 1, "sedna-py has no 'sedna.core.federated_learning'"),
        ("from sedna_py.errors import ModelError\nraise ModelError('/m.pb miss')", 1, "ModelError: /m.pb miss\n"),
    ],
)
def test_how_a_process_ends(script, text, status, output):
    finished = run_process(script(text))
    assert finished.returncode == status
    assert output in finished.stderr


@pytest.mark.processes
def test_a_missing_script_is_one_line(tmp_path):
    finished = run_process(str(tmp_path / "no.py"))
    assert (finished.returncode, finished.stderr.count("\n")) == (1, 1)
