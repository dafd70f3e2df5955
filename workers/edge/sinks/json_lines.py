"""The decision log as a file."""

from __future__ import annotations

import os
from pathlib import Path

from workers.edge.decision import FrameResult


class JsonLinesSink:
    """One JSON line a frame. A line is whole or absent: what a full disk cut short is taken back."""

    name = "decisions"

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: whoever follows the file sees each frame at once, and a failure belongs to the frame that met it.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

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
