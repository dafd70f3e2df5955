"""Looks at MODEL_URL: names and `stat` only, links followed, names with a dot in front ignored.

Kubernetes and the init container write what is not ready under such names. Looking is all there is: a mount of a network
or of an object store tells nobody of a change.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sedna_py.errors import ModelError
from workers.models.version_folder import (
    FileMark,
    Listing,
    ModelPlace,
    Survey,
    belongs,
    one_model,
    survey,
    version_number,
)

MOST_VERSIONS: Final = 32  # the highest ones; each is looked into at every poll
MOST_FILES: Final = 1000  # of one model
DEEPEST: Final = 6  # folders in each other; links can make circles
_NOT_THE_MODEL: Final = frozenset({"__pycache__"})  # Python writes it beside an estimator's code while that is loaded


def look(place: ModelPlace) -> Survey:
    """Return which versions there are now. Raises nothing: what cannot be read is the survey's problem."""
    return survey(list_place(place), place)


def list_place(place: ModelPlace) -> Listing:
    """Return what is at the place; its `problem` says why nothing can be listed."""
    path = Path(place.url)
    try:
        if path.is_file():
            names = tuple(name for name in os.listdir(path.parent) if belongs(name, path.name))  # noqa: PTH208 - names
            return Listing(path.parent, names, _marks(path.parent, names), is_file=True)
        if not path.is_dir():
            problem = f"no model at {place.url!r}; write a .xml, .onnx or .tflite file, or its folder, in MODEL_URL"
            return Listing(path, problem=problem)
        return _list_folder(path, place)
    except ModelError as error:
        return Listing(path, problem=str(error))
    except OSError as error:
        return Listing(path, problem=f"cannot look for a model at {place.url!r}: {error.strerror}; mend that path")


def _list_folder(path: Path, place: ModelPlace) -> Listing:
    names, numbers = _read(path)
    if place.version is not None:
        numbers = [number for number in numbers if number == place.version]
    versions = {number: _list_version(path / str(number)) for number in sorted(numbers)[-MOST_VERSIONS:]}
    return Listing(path, tuple(names), _own_files(path, names, versions, place), versions)


def _read(path: Path) -> tuple[list[str], list[int]]:
    names, numbers = [], []
    with os.scandir(path) as entries:
        for entry in entries:
            number = version_number(entry.name)
            if number is not None and _is_folder(entry):
                numbers.append(number)
            elif not entry.name.startswith(".") and _is_file(entry):
                names.append(entry.name)
    return names, numbers


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _own_files(path: Path, names: list[str], versions: Mapping[int, object], place: ModelPlace) -> tuple[FileMark, ...]:
    if place.any_files:
        return () if versions else _all_marks(path)
    try:
        model = one_model(names, place)
    except ModelError:  # `survey` says so
        return ()
    return _marks(path, tuple(name for name in names if belongs(name, model)))


def _list_version(path: Path) -> tuple[FileMark, ...] | str:
    try:
        return _all_marks(path)
    except ModelError as error:
        return str(error)
    except OSError as error:
        return f"cannot read {str(path)!r}: {error.strerror}; mend that folder"


def _all_marks(path: Path) -> tuple[FileMark, ...]:
    names: list[str] = []
    _walk(path, "", 1, names)
    return _marks(path, tuple(names))


def _walk(path: Path, prefix: str, depth: int, names: list[str]) -> None:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _NOT_THE_MODEL:
                continue
            if _is_file(entry):
                names.append(prefix + entry.name)
            elif _is_folder(entry) and depth < DEEPEST:
                _walk(path / entry.name, f"{prefix}{entry.name}/", depth + 1, names)
            if len(names) > MOST_FILES:
                raise ModelError(f"{str(path)!r} holds more than {MOST_FILES} files; keep only the model's there")


def _marks(folder: Path, names: tuple[str, ...]) -> tuple[FileMark, ...]:
    marks = []
    for name in sorted(names):
        try:
            status = (folder / name).stat()
        except FileNotFoundError:  # removed since the folder was read
            continue
        marks.append(FileMark(name, status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(marks)
