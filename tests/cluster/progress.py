"""One line per long task: rewritten every second on a terminal, written at the start and at the end elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Progress:
    """Progress lines on this stream."""

    stream: TextIO

    def start(self, text: str) -> None:
        """Say that the task begins."""
        self._write(f"{text} ...", "" if self.stream.isatty() else "\n")

    def tick(self, text: str, seconds: float) -> None:
        """Show the seconds so far, where a line can be rewritten."""
        if self.stream.isatty():
            self._write(f"\r{text} ... {seconds:.0f} s", "")

    def end(self, text: str, seconds: float) -> None:
        """Say that the task is done and how long it took."""
        start = "\r" if self.stream.isatty() else ""
        self._write(
            f"{start}{text}: {seconds:.0f} s", "   \n" if start else "\n"
        )  # the spaces cover the rest of " ..."

    def _write(self, text: str, end: str) -> None:
        self.stream.write(text + end)
        self.stream.flush()
