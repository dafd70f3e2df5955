"""The program: status, the one line, signals, local files."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workers.storage_initializer.conftest import Program, WebServer, body, silent, status
from workers.storage_initializer.progress import Progress


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_local_file_is_copied(program: Program, tmp_path: Path, prefix: str) -> None:
    (tmp_path / "m.xml").write_bytes(b"<net/>")
    (tmp_path / "m.bin").write_bytes(b"weights")
    assert program.fetch(f"{prefix}{tmp_path}/m.xml") == 0
    assert program.files == {"m.xml": b"<net/>", "m.bin": b"weights"}


def test_a_local_file_that_is_not_there_is_one_line(program: Program) -> None:
    assert program.fetch("/no/such.pb") == 1
    assert program.error == "/no/such.pb is no file here; write the path of a file, or an s3, http or https URL\n"


def test_a_setting_that_cannot_be_used_is_one_line(program: Program) -> None:
    assert program.fetch("/x", DOWNLOAD_ATTEMPTS="none") == 1
    assert program.error.startswith("DOWNLOAD_ATTEMPTS is 'none'")


def test_the_reason_goes_where_kubernetes_looks_first(web: WebServer, program: Program, tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.touch()  # as the kubelet does
    assert program.fetch(web.serve("/m", status(404)), TERMINATION_LOG=str(log)) == 1
    assert log.read_text() == program.error.strip()


def test_a_folder_that_cannot_be_written_is_one_line(web: WebServer, program: Program) -> None:
    program.directory.write_text("a file where a folder should be")
    assert program.fetch(web.serve("/m", body(b"x"))) == 1
    assert "cannot be written" in program.error


def test_a_full_disk_is_one_line(web: WebServer, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("workers.storage_initializer.place.os.fsync", full)
    assert program.fetch(web.serve("/m", body(b"x"))) == 1
    assert program.error == f"no space for m in {program.directory}; give the node or the volume more\n"
    assert program.files == {}


def test_a_defect_is_one_line_as_well(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("workers.storage_initializer.fetch.open_local", broken)
    assert program.fetch("/x") == 1
    assert program.error == "a defect of the storage initializer: KeyError: 'x'\n"


def test_s3_without_minio_says_what_to_install(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "workers.storage_initializer.s3_source", raising=False)
    monkeypatch.setitem(sys.modules, "minio", None)
    assert program.fetch("s3://b/k") == 1
    assert "run: pip install 'sedna-py[storage]'" in program.error


@pytest.mark.parametrize(("size", "lines"), [(None, 5), (2 * 2**30, 10), (10 * 2**20, 0)])
def test_progress_is_a_few_lines(size: int | None, lines: int) -> None:
    said: list[str] = []
    progress = Progress("m", size, said.append)
    for count in range(2**20, (size or 2 * 2**30) + 1, 2**20):
        progress.received(count)
    assert abs(len(said) - lines) <= 1
    assert len(set(said)) == len(said)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "workers.storage_initializer", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.processes
def test_a_signal_ends_it_with_one_line(web: WebServer, program: Program) -> None:
    process = start(web.serve("/m", silent), str(program.directory))
    for _ in range(1000):
        if web.asked or process.poll() is not None:
            break
        web.released.wait(0.02)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (1, "ended by a signal before everything was fetched\n")


@pytest.mark.processes
def test_it_starts_without_the_heavy_packages() -> None:
    check = """
import sys, workers.storage_initializer.__main__
print([name for name in ("openvino", "cv2", "fastapi", "minio") if sys.modules.get(name)])
"""
    answer = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout == "[]\n"
