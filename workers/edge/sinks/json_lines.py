"""The decision log as a file."""

from __future__ import annotations

import os
from pathlib import Path

from workers.edge.decision import FrameResult

BLOCK = 65536  # bytes


class JsonLinesSink:
    """One JSON line a frame. A line is whole or absent: what a full disk, or a kill, cut short is taken back."""

    name = "decisions"

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: whoever follows the file sees each frame at once, and a failure belongs to the frame that met it.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if path.is_file():
            cut_torn_line(path)

    def write(self, result: FrameResult) -> None:
        """Append the record. Raises OSError."""
        line = result.record.to_line().encode()
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            if written:
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def cut_torn_line(path: Path) -> None:
    """Take back a last line without its end: the next record would be glued to it and make both unreadable."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(end - BLOCK, 0)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            end = start + newline + 1 if newline >= 0 else start
            if newline >= 0:
                break
        file.truncate(end)
