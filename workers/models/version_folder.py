"""Which versions of a model there are at MODEL_URL, and what tells a changed one without reading it.

MODEL_URL is a model file, a folder with one model, or a folder of version folders `1/`, `2/`, ... with one model each: the
layout of Triton's model repository and of OpenVINO Model Server. Pure; the looking is in `listing`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from sedna_py.errors import ModelError, SettingsError
from workers.inference.model_files import MODEL_SUFFIXES

ONLY_VERSION: Final = "1"  # of a model without version folders
LATEST: Final = "latest"
SUMS: Final = "SHA256SUMS"
SUM_SUFFIX: Final = ".sha256"

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_BESIDE: Final = (".bin", ".bin" + SUM_SUFFIX, ".data", SUM_SUFFIX)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """What the settings say: MODEL_URL, MODEL_NAME and MODEL_VERSION (None for the latest).

    `any_files`: code of the user's own loads the model, so it may be of any files.
    """

    url: str
    name: str | None = None
    version: int | None = None
    any_files: bool = False


@dataclass(frozen=True, slots=True)
class FileMark:
    """What `stat` says of a file, links followed; `name` is relative to the model's folder, with "/" between parts."""

    name: str
    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is at MODEL_URL: `names` in `folder`, `files` those of them that are the model's, and the version folders' files.

    A version folder is in `versions` also while it is empty, and with the error's line where it cannot be read.
    """

    folder: Path
    names: tuple[str, ...] = ()
    files: tuple[FileMark, ...] = ()
    versions: Mapping[int, tuple[FileMark, ...] | str] = field(default_factory=dict)
    is_file: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may be served.

    `path` is what `create_predictor` takes for its model_url: the model file or its folder. `files` are those that the
    fingerprint is of, in `folder`; `model` is the file that they belong to, None where they are all of the folder's.
    `problem` says why it cannot even be tried, None where it can.
    """

    version: str
    path: Path
    fingerprint: str
    folder: Path
    files: tuple[str, ...] = ()
    model: str | None = None
    problem: str | None = None

    def owns(self, name: str) -> bool:
        """Return whether a file of that name in the folder is, or would be, part of this version."""
        return self.model is None or belongs(name, self.model)


@dataclass(frozen=True, slots=True)
class Survey:
    """The candidates, best first; the versions that are `present`, usable or not; and why there is no candidate."""

    candidates: tuple[Candidate, ...] = ()
    present: frozenset[str] = frozenset()
    problem: str | None = None


def parse_version(text: str) -> int | None:
    """Read MODEL_VERSION: None for the latest, else the pinned number. Raises SettingsError."""
    if text.strip().lower() in ("", LATEST):
        return None
    number = version_number(text.strip())
    if number is None:
        raise SettingsError(f"MODEL_VERSION is {text!r}; write {LATEST}, or the number of a version folder such as 3")
    return number


def version_number(name: str) -> int | None:
    """Return the version that a folder's name says: a positive number without leading zeros; None for any other name."""
    return int(name) if _NUMBER.fullmatch(name) else None


def one_model(names: Iterable[str], place: ModelPlace) -> str:
    """Return the one model file among a folder's names, by the rule of `find_model_file`. Raises ModelError."""
    names = set(names)
    if place.name:
        if place.name in names:
            return place.name
        raise ModelError(f"it has no file {place.name!r}; write a file of that folder in MODEL_NAME")
    found = sorted(name for name in names if "/" not in name and PurePath(name).suffix in MODEL_SUFFIXES)
    if len(found) == 1:
        return found[0]
    said = ", ".join(found) or "none"
    raise ModelError(f"it holds {len(found)} models ({said[:200]}); keep one, or write the file's name in MODEL_NAME")


def belongs(name: str, model: str) -> bool:
    """Return whether a file is the model, or one that it is read together with: weights, external data, checksums."""
    stem = str(PurePath(model).with_suffix(""))
    return name.startswith(model) or name == SUMS or name in {stem + suffix for suffix in _BESIDE}


def fingerprint(files: Iterable[FileMark]) -> str:
    """Return 64 hexadecimal digits that are others after any change, replacement or swapped link of a file."""
    marks = sorted((file.name, file.size, file.mtime_ns, file.inode) for file in files)
    return hashlib.sha256(repr(marks).encode("utf-8", "surrogateescape")).hexdigest()


def survey(listing: Listing, place: ModelPlace) -> Survey:
    """Return what may be served, the highest version first; only the pinned one where one is pinned.

    Version folders count where the folder itself holds no model, so that what was served before they existed still is.
    """
    if listing.problem is not None:
        return Survey(problem=listing.problem)
    if not listing.versions or _holds_a_model(listing, place):
        return _without_versions(listing, place)
    wanted = [number for number in listing.versions if place.version in (None, number)]
    candidates = [
        _version(listing, number, place) for number in sorted(wanted, reverse=True) if listing.versions[number]
    ]
    problem = None if candidates else _nothing(listing, place)
    return Survey(tuple(candidates), frozenset(str(number) for number in wanted), problem)


def _holds_a_model(listing: Listing, place: ModelPlace) -> bool:
    if place.any_files:  # code and labels may lie beside the version folders
        return False
    return place.name in listing.names or any(PurePath(name).suffix in MODEL_SUFFIXES for name in listing.names)


def _without_versions(listing: Listing, place: ModelPlace) -> Survey:
    if place.version not in (None, int(ONLY_VERSION)):
        return Survey(
            problem=f"{place.url!r} has no version folders, and MODEL_VERSION demands {place.version}; "
            f"make a folder {place.version}/ there with the model in it, or write MODEL_VERSION={LATEST}"
        )
    model: str | None = None
    try:
        if listing.is_file:
            model = Path(place.url).name
        elif not place.any_files:
            model = one_model(listing.names, place)
    except ModelError as error:
        return Survey(present=frozenset({ONLY_VERSION}), problem=f"{place.url!r} holds no model to serve: {error}")
    path = listing.folder / model if model and listing.is_file else listing.folder
    candidate = _candidate(ONLY_VERSION, path, listing.folder, listing.files, model)
    return Survey((candidate,), frozenset({ONLY_VERSION}))


def _version(listing: Listing, number: int, place: ModelPlace) -> Candidate:
    folder, files = listing.folder / str(number), listing.versions[number]
    if isinstance(files, str):
        return Candidate(str(number), folder, files, folder, problem=files)
    problem = None
    if not place.any_files:
        try:
            one_model((file.name for file in files), place)
        except ModelError as error:
            problem = f"{str(folder)!r} cannot be served: {error}"
    return _candidate(str(number), folder, folder, files, None, problem)


def _candidate(
    version: str, path: Path, folder: Path, files: tuple[FileMark, ...], model: str | None, problem: str | None = None
) -> Candidate:
    return Candidate(version, path, fingerprint(files), folder, tuple(f.name for f in files), model, problem)


def _nothing(listing: Listing, place: ModelPlace) -> str:
    there = ", ".join(str(number) for number in sorted(listing.versions)) or "none"
    wanted = "version" if place.version is None else f"version {place.version}"
    return f"{place.url!r} has no {wanted} with files in it (folders: {there}); copy a model into its folder"
