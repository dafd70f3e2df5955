"""Unpacks what somebody else packed: nothing lands outside its folder, and no more than the bound."""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from workers.storage_initializer.errors import TransferError
from workers.storage_initializer.place import flush, flush_directory

MOST_FILES: Final = 100_000
_DAMAGED: Final = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)
_UNREADABLE: Final = (
    RuntimeError,
    NotImplementedError,
    ValueError,
)  # a password, a method or a name that zipfile refuses


def unpack(archive: Path, directory: Path, max_bytes: int) -> None:
    """Unpack a .tar, .tar.gz or .zip into `directory`; files of the same names are replaced, others stay.

    Raises TransferError: not an archive, more than `max_bytes` or MOST_FILES, or a member that would land elsewhere.
    """
    staging = directory / f".{archive.name}.unpacked"
    shutil.rmtree(staging, ignore_errors=True)  # what an attempt that was ended has left
    staging.mkdir(parents=True)
    try:
        if archive.name.endswith(".zip"):
            _unzip(archive, staging, max_bytes)
        else:
            _untar(archive, staging, max_bytes)
        _settle(staging, directory)
    except (*_DAMAGED, *_UNREADABLE) as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise TransferError(f"{archive.name} cannot be unpacked: {reason}; pack it anew") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _untar(archive: Path, staging: Path, max_bytes: int) -> None:
    bound = _Bound(archive.name, max_bytes)
    with tarfile.open(archive) as tar:
        for member in tar:
            bound.add(member.size)
            tar.extract(member, staging, filter="data")  # refuses what leaves the folder, and devices


def _unzip(archive: Path, staging: Path, max_bytes: int) -> None:
    bound = _Bound(archive.name, max_bytes)
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            bound.add(info.file_size)  # no more than this is written, whatever is packed
            path = PurePosixPath(info.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                raise TransferError(
                    f"{archive.name} has a file {info.filename[:200]!r} outside its folder; pack it anew"
                )
            packed.extract(info, staging)


class _Bound:
    def __init__(self, name: str, max_bytes: int) -> None:
        self._name, self._left_bytes, self._left_files = name, max_bytes, MOST_FILES
        self._said = f"more than {max_bytes} bytes or {MOST_FILES} files"

    def add(self, size: int) -> None:
        self._left_bytes -= size
        self._left_files -= 1
        if self._left_bytes < 0 or self._left_files < 0:
            raise TransferError(f"{self._name} unpacks to {self._said}; pack less, or raise DOWNLOAD_MAX_BYTES")


def _settle(source: Path, target: Path) -> None:
    """Move everything to its place, readable for a worker that runs as another user."""
    for entry in _entries(source):
        place = target / entry.name
        if entry.is_symlink():
            entry.replace(place)
        elif entry.is_dir():
            if place.is_symlink() or not place.is_dir():
                place.unlink(missing_ok=True)
                place.mkdir()
            place.chmod(0o755)
            _settle(entry, place)
        else:
            executable = entry.stat().st_mode & stat.S_IXUSR
            entry.chmod(0o755 if executable else 0o644)
            flush(entry)
            entry.replace(place)
    flush_directory(target)


def _entries(directory: Path) -> Iterable[Path]:
    return sorted(directory.iterdir())
