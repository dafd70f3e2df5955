"""Compares a model's files with the checksums beside them, where somebody wrote some.

`sha256sum model.xml model.bin > SHA256SUMS` in the model's folder makes such a file; `model.sha256` and `model.xml.sha256`
count as well. Each line is 64 hexadecimal digits, two blanks (or a blank and a star), and a name.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Final

from sedna_py.errors import ModelError
from workers.models.version_folder import SUM_SUFFIX, SUMS, Candidate

LARGEST_SUMS: Final = 1024 * 1024  # bytes of one file of checksums
SHOWN: Final = 12  # digits of a checksum in a message

_LINE: Final = re.compile(r"([0-9a-fA-F]{64})(?: [ *](.+))?", re.ASCII)


def verify(candidate: Candidate) -> tuple[str, ...]:
    """Return the names of the files that have the checksum written for them; () where nobody wrote any.

    Raises ModelError for a file that has another one, is missing or cannot be read, and for unreadable checksums.
    """
    verified: list[str] = []
    for name in candidate.files:
        if not is_sums(name):
            continue
        where = PurePosixPath(name).parent
        for file, wanted in read_sums(candidate.folder / name).items():
            told = str(where / file)
            if candidate.owns(told):
                _compare(candidate.folder / told, wanted, name)
                verified.append(told)
    return tuple(verified)


def is_sums(name: str) -> bool:
    """Return whether a file of that name holds checksums."""
    path = PurePosixPath(name)
    return path.name == SUMS or path.suffix == SUM_SUFFIX


def read_sums(path: Path) -> dict[str, str]:
    """Return the checksums (hex, lower case) by name of a file of them. Raises ModelError."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SUMS + 1)
    except OSError as error:
        raise ModelError(f"the checksums in {str(path)!r} cannot be read: {error.strerror}; copy them again") from error
    if len(content) > LARGEST_SUMS:
        raise ModelError(f"{str(path)!r} has more than {LARGEST_SUMS} bytes; write only the model's checksums there")
    return parse_sums(content.decode("utf-8", "surrogateescape"), path.name)


def parse_sums(text: str, name: str) -> dict[str, str]:
    """Return the checksums by name of what `sha256sum` wrote: pure.

    Only digits are the checksum of the file that `name` says without its `.sha256`. Raises ModelError.
    """
    sums: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.rstrip())
        if found is None:
            raise ModelError(f"{name} has the line {line[:80]!r}; write 64 hexadecimal digits, two blanks and a name")
        file = found[2] or name.removesuffix(SUM_SUFFIX)
        if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
            raise ModelError(f"{name} names {file[:200]!r}; run sha256sum inside the model's folder")
        digest = found[1].lower()
        if sums.setdefault(str(PurePosixPath(file)), digest) != digest:
            raise ModelError(f"{name} has two checksums for {file[:200]!r}; keep one")
    if not sums:
        raise ModelError(f"{name} is empty; write the model's checksums into it, or remove it")
    return sums


def _compare(path: Path, wanted: str, said_by: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()  # in chunks
    except OSError as error:
        raise ModelError(
            f"{str(path)!r} cannot be read: {error.strerror}; {said_by} wants {wanted[:SHOWN]}: copy it again"
        ) from error
    if found != wanted:
        raise ModelError(
            f"{str(path)!r} has sha256 {found[:SHOWN]}, and {said_by} wants {wanted[:SHOWN]}; copy both again"
        )
