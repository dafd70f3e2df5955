from __future__ import annotations

from pathlib import Path

import pytest

from sedna_py.errors import SettingsError
from workers import program
from workers.settings import CloudSettings


@pytest.fixture
def container_file(tmp_path: Path) -> Path:
    """The file that Kubernetes makes in a container."""
    path = tmp_path / "termination-log"
    path.touch()
    return path


def test_why_a_worker_ends_is_left_for_kubernetes_in_one_line_without_a_password(container_file):
    program.leave_last_words("MODEL_URL is 'http://me:secret@host/m.xml'; write a path", container_file)
    assert container_file.read_text() == "MODEL_URL is 'http://***@host/m.xml'; write a path"


def test_it_is_not_longer_than_kubernetes_keeps(container_file):
    program.leave_last_words("é" * 5000, container_file)
    assert 0 < container_file.stat().st_size <= 4096


def test_no_file_is_made_outside_a_container(tmp_path):
    program.leave_last_words("the model is missing", tmp_path / "termination-log")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_changes_nothing(container_file, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    program.leave_last_words("the model is missing", container_file)


def test_a_program_that_cannot_start_says_so_and_returns_one(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(program, "leave_last_words", said.append)

    def work(_: CloudSettings) -> None:
        raise SettingsError("the model is missing\nlook for it")

    assert program.run_program("cloud", {"MODEL_URL": "/m.xml"}, CloudSettings, work) == 1
    assert program.run_program("cloud", {}, CloudSettings, work) == 1
    assert said[0] == "the model is missing; look for it"
    assert said[1].startswith("MODEL_URL is not set")
