"""Files on this machine, for FileOps: written whole or not at all, and removed with care."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from sedna_py.errors import SednaError

LOCAL_PREFIX = "file://"


class FileError(SednaError, OSError):
    """A file cannot be fetched, stored or removed (an OSError, which is what upstream lets through)."""


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """What one transfer may take: bytes on disk, and seconds to connect, between two pieces, and in all."""

    max_bytes: int = 32 * 2**30  # a 13B-parameter model in 16 bits, with room to spare
    connect_seconds: float = 10.0
    idle_seconds: float = 60.0
    total_seconds: float = 3600.0


DEFAULT_LIMITS = TransferLimits()


def scheme(address: str) -> str:
    """Return what stands before "://", in lower case; "" for a path."""
    head, separator, _ = address.partition("://")
    return head.lower() if separator else ""


def local(path: str) -> Path:
    """Return the path, without `file://`."""
    return Path(path.removeprefix(LOCAL_PREFIX))


def shown(address: str) -> str:
    """Leave out what may be secret: user, password and query."""
    if not scheme(address):
        return address
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def base_name(address: str) -> str:
    """Return the last part of a path or of a URL's path."""
    return Path(urlsplit(address).path if scheme(address) else address).name or "file"


def into(dst: Path, name: str) -> Path:
    """Return where a file of this name goes: below `dst` if that is a directory."""
    return dst / name if dst.is_dir() else dst


def temporary_directory() -> Path:
    """Make a directory that nobody else uses."""
    return Path(tempfile.mkdtemp(prefix="sedna-"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; what was written there takes its place, unless there was an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def copy(src: Path, dst: Path) -> None:
    """Copy a file (into `dst` if that is a directory), or merge a directory into `dst`.

    Raises FileError where there is nothing to copy, and where a directory would be copied into itself.
    """
    if not src.exists():
        raise FileError(f"{src} does not exist; write a path of this machine or an s3, http or https URL")
    if src.is_dir():
        _copy_directory(src, dst)
        return
    target = into(dst, src.name)
    if not (target.exists() and src.samefile(target)):
        with replacing(target) as partial:
            shutil.copy(src, partial)


def _copy_directory(src: Path, dst: Path) -> None:
    inner, outer = dst.resolve(), src.resolve()
    if inner == outer:
        return
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise FileError(f"{dst} and {src} lie one inside the other; write a directory outside {src}")
    shutil.copytree(src, dst, dirs_exist_ok=True)


def empty(path: Path) -> None:
    """Remove what is in a directory, or the file in its place. Raises FileError as `remove` does."""
    if path.is_dir():
        refuse_vital(path)
        for entry in path.iterdir():
            remove(entry)
    else:
        remove(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a directory with all that is in it; nothing where there is none.

    Raises FileError for the root of the file system and for what holds the working directory.
    """
    if path.is_dir() and not path.is_symlink():
        refuse_vital(path)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def refuse_vital(path: Path) -> None:
    """Raise FileError for a directory that nobody means to lose: the root, or one that holds the working directory."""
    if Path.cwd().is_relative_to(path.resolve()):
        raise FileError(f"{path} holds the working directory; write a directory outside it")
