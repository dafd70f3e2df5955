"""The disk of the offline queue: one folder a worker, held by a lock that dies with its process.

A folder whose lock can be had has no living owner: its frames are adopted by whoever gets the lock. So a worker that was killed,
or one whose pod came back under another name, loses none, and no two workers ever have the same frame.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sedna_py.errors import MalformedBody, SettingsError
from workers.edge.offline_queue.backlog import Waiting
from workers.edge.offline_queue.stored_frame import HEAD_BYTES, Head, read_head

_PREFIX: Final = "worker-"
_SUFFIX: Final = ".frame"
_UNFINISHED: Final = ".part"
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_TRIES: Final = 20


class HeldFolder:
    """A folder of stored frames whose lock this process has. Names of frames begin with the folder's own."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._last = 0

    @classmethod
    def create(cls, base: Path) -> HeldFolder:
        """Make a new one under `base`. Raises OSError, or SettingsError where the file system has no locks."""
        for _ in range(
            _TRIES
        ):  # somebody may take the lock of a folder that has just been made, and find nothing in it
            path = base / f"{_PREFIX}{secrets.token_hex(6)}"
            path.mkdir(parents=True)
            if held := _hold(path):
                return held
        raise OSError(errno.EBUSY, "others take every new folder", str(base))

    def scan(self) -> Iterator[tuple[Path, Waiting | None]]:
        """Yield what was left here; None for a file that is no whole frame. Unfinished ones are removed. Raises OSError."""
        for path in sorted(self.path.iterdir()):
            if path.name.endswith(_UNFINISHED):
                path.unlink(missing_ok=True)
            elif path.name.endswith(_SUFFIX):
                head, size = _look(path)
                name = f"{self.path.name}/{path.name}"
                yield path, None if head is None else Waiting(name, head.score, head.captured, size)

    def new_name(self) -> str:
        """Return a name that no frame here has."""
        self._last += 1
        return f"{self.path.name}/{secrets.token_hex(4)}-{self._last}{_SUFFIX}"

    def close(self) -> None:
        """Let go of it; an empty one is removed. Raises nothing."""
        with contextlib.suppress(OSError):  # it still holds frames
            self.path.rmdir()
        os.close(self._lock)


def adopt(base: Path, mine: set[Path]) -> Iterator[HeldFolder]:
    """Yield the folders whose owners are dead, each held now. Raises OSError where `base` cannot be read."""
    for path in sorted(base.glob(f"{_PREFIX}*")):
        if path not in mine and path.is_dir() and (held := _hold(path)):
            yield held


def write(base: Path, name: str, data: bytes) -> None:
    """Write a frame: after a kill, or on a full disk, all of it is there or nothing. Raises OSError."""
    path = base / name
    unfinished = path.with_suffix(_UNFINISHED)
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def _hold(path: Path) -> HeldFolder | None:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last owner may have removed it meanwhile: the lock is then one of a folder that has no name any more.
        if os.path.samestat(os.fstat(lock), path.stat()):
            return HeldFolder(path, lock)
    except OSError as error:
        os.close(lock)
        if error.errno in _NO_LOCKS:
            raise SettingsError(
                f"OFFLINE_QUEUE_DIR: the file system of {str(path)!r} has no locks; name a folder on a local disk"
            ) from None
        return None
    os.close(lock)
    return None


def _look(path: Path) -> tuple[Head | None, int]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            head = read_head(file.read(HEAD_BYTES))
        except MalformedBody:
            return None, size
    return (head if head.size == size else None), size
