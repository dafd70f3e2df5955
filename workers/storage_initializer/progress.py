"""How far a download is, in a bounded number of lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_FIRST: Final = 64 * 1024 * 1024
_STEPS: Final = 10


class Progress:
    """Says a line for each tenth of a file, or at each doubling where nobody knows its size; small files say nothing."""

    def __init__(self, name: str, size: int | None, say: Callable[[str], None]) -> None:
        self._name = name
        self._size = size
        self._say = say
        self._next = max(_FIRST, (size or 0) // _STEPS)

    def received(self, count: int) -> None:
        """Note that `count` bytes are there in all."""
        if count < self._next:
            return
        of = f" of {_mib(self._size)}" if self._size else ""
        self._say(f"{self._name}: {_mib(count)}{of}")
        step = self._size // _STEPS if self._size else count
        self._next = count + max(_FIRST, step)


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"
