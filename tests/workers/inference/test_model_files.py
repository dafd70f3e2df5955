"""Which file a MODEL_URL means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sedna_py.errors import ModelError
from workers.inference.model_files import find_model_file, model_folder


def folder_with(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).touch()
    return str(folder)


def test_a_file_is_itself_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "weights.of-any-kind").touch()
    assert find_model_file(str(tmp_path / "weights.of-any-kind")) == tmp_path / "weights.of-any-kind"


@pytest.mark.parametrize("name", ["a.xml", "a.onnx", "a.tflite"])
def test_the_one_model_of_a_folder(tmp_path: Path, name: str) -> None:
    url = folder_with(tmp_path, name, "a.bin", "labels.txt")
    assert find_model_file(url) == tmp_path / name
    assert find_model_file(url + "/") == tmp_path / name


def test_the_name_chooses(tmp_path: Path) -> None:
    url = folder_with(tmp_path, "a.xml", "b.xml", "c.pb")
    assert find_model_file(url, "b.xml") == tmp_path / "b.xml"
    assert find_model_file(url, "c.pb") == tmp_path / "c.pb"


@pytest.mark.parametrize(
    ("names", "choice", "says"),
    [
        (("a.xml", "b.onnx"), None, r"holds 2 models \(a.xml, b.onnx\); .* MODEL_NAME"),
        (("a.bin",), None, r"holds 0 models \(none\)"),
        (("a.xml",), "b.xml", "no file 'b.xml' in .* MODEL_NAME"),
    ],
)
def test_a_folder_that_does_not_say(tmp_path: Path, names: tuple[str, ...], choice: str | None, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        find_model_file(folder_with(tmp_path, *names), choice)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model at .* in MODEL_URL") as caught:
        find_model_file(str(tmp_path / "missing"))
    assert isinstance(caught.value, FileExistsError)  # upstream's class for it


def test_a_path_that_cannot_be_looked_at() -> None:
    with pytest.raises(ModelError, match=r"cannot look for a model at .*name too long"):
        find_model_file("/" + "x" * (os.pathconf("/", "PC_NAME_MAX") + 1))


def test_the_folder_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "a.pb").touch()
    assert model_folder(str(tmp_path / "a.pb")) == tmp_path
    assert model_folder(f"{tmp_path}/") == tmp_path
    assert model_folder(str(tmp_path / "missing.xml")) == tmp_path
    assert model_folder(f"{tmp_path}/{'x' * 300}") == tmp_path
