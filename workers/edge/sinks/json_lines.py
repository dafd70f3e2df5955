"""The decision log as a file, which several workers may share."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workers.edge.decision import FrameResult

BLOCK: Final = 65536  # bytes
LOCK_S: Final = 1.0  # another worker holds the file for one line at a time
NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


class JsonLinesSink:
    """One JSON line a frame. A line is whole or absent: what a full disk, or a kill, cut short is taken back.

    The file is held (flock) from the look at its end until the line is written, so that a line without an end is always one
    whose writer is dead, never one that another worker has just begun.
    """

    name = "decisions"

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: whoever follows the file sees each frame at once, and a failure belongs to the frame that met it.
        mode = os.O_RDWR if path.is_file() or not path.exists() else os.O_WRONLY
        self._file = os.open(path, mode | os.O_CREAT | os.O_APPEND, 0o644)
        self._is_file = stat.S_ISREG(os.fstat(self._file).st_mode)
        try:
            with self._held():
                self._mend()
        except OSError:
            self.close()
            raise

    def write(self, result: FrameResult) -> None:
        """Append the record. Raises OSError."""
        line = result.record.to_line().encode()
        with self._held():
            self._mend()
            self._append(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            if written and self._is_file:
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        held = self._is_file and _lock(self._file)
        try:
            yield
        finally:
            if held:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _mend(self) -> None:
        """Take back a last line without its end: the next record would be glued to it and make both unreadable."""
        size = os.fstat(self._file).st_size if self._is_file else 0
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.ftruncate(self._file, end_of_lines(self._file, size))


def end_of_lines(file: int, size: int) -> int:
    """Return the length of a file up to the end of its last whole line."""
    end = size
    while end:
        start = max(end - BLOCK, 0)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _lock(file: int) -> bool:
    """Hold the file; return False where its file system has no locks. Raises OSError if it stays held by somebody."""
    limit = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= limit:
                raise
            time.sleep(0.001)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return False
            raise
        else:
            return True
