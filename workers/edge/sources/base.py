"""What a frame source is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sedna_py.estimator import Frame


class FrameSource(Protocol):
    """Yields pictures, BGR. `name` is safe to log. `fps`, `frames`: 0 where unknown, or not known yet.

    `live`: its pictures lose their worth while they wait. `endless`: only `close`, from another thread, ends it.
    `up`: it gives pictures now, as far as it knows. `outages`: how often a source that is to give pictures did not.
    `broken`: pictures that could not be read. `captured_at`: when the picture that was yielded last was taken, in seconds since
    the epoch, where the source knows that better than its reader does; else 0.
    """

    name: str
    live: bool
    endless: bool
    fps: float
    frames: int
    outages: int
    broken: int
    captured_at: float

    @property
    def up(self) -> bool: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...
