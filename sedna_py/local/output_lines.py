"""What a process writes, as lines of bounded length."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

LINE_LIMIT = 64 * 1024  # bytes; what a line has beyond is left out
CHUNK = 64 * 1024
CUT = " ... (cut)"


class LineSplitter:
    """Cuts bytes into lines: pure. Of a line that a progress bar wrote over again and again, the last state counts."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._begun = b""
        self._skipping = False  # the rest of a line that was too long

    def add(self, chunk: bytes) -> list[str]:
        """Return the lines that `chunk` completes."""
        *ended, rest = chunk.split(b"\n")
        lines = [line for part in ended for line in self._end(part)]
        return lines + self._continue(rest)

    def finish(self) -> list[str]:
        """Return the last line, if it has no end."""
        return self._end(b"") if self._begun else []

    def _end(self, part: bytes) -> list[str]:
        cut = self._continue(part)
        line, skipping = self._begun, self._skipping
        self._begun, self._skipping = b"", False
        return cut if skipping else [_shown(line)]

    def _continue(self, part: bytes) -> list[str]:
        if self._skipping:
            return []
        self._begun += part
        if len(self._begun) <= self._limit:
            return []
        line, self._begun, self._skipping = self._begun[: self._limit], b"", True
        return [_shown(line) + CUT]


async def follow_lines(descriptor: int, tell: Callable[[str], None]) -> None:
    """Call `tell` for every line that comes out of a pipe until all its writers have closed it; then close it."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    splitter = LineSplitter()
    try:
        while chunk := await reader.read(CHUNK):
            for line in splitter.add(chunk):
                tell(line)
        for line in splitter.finish():
            tell(line)
    finally:
        transport.close()


def _shown(line: bytes) -> str:
    return line.decode(errors="replace").rstrip().rpartition("\r")[2]
