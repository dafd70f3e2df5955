"""Pictures that somebody else sends to this worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from sedna_py.errors import SednaError
from sedna_py.estimator import Frame


class NotTaking(SednaError):
    """The worker takes no pictures now: it has not begun, is ending, or is full and its source waits."""


class PushSource:
    """Yields what `offer` brings, from any thread, in the order in which it comes.

    It keeps one picture at most: what waits for the model waits in the buffer.
    """

    live = endless = True
    up = True
    fps = 0.0
    frames = outages = 0

    def __init__(self, name: str = "push") -> None:
        self.name = name
        self.broken = 0
        self.captured_at = 0.0
        self._brought: tuple[Frame, float] | None = None
        self._taken = 0
        self._reading = False
        self._closed = False
        self._changed = threading.Condition()

    def offer(self, picture: Frame, captured_at: float, timeout_s: float) -> int:
        """Hand a picture over; return its number among this source's frames, from 1.

        `captured_at` in seconds since the epoch, 0 for now. Raises NotTaking.
        """
        with self._changed:
            if not self._closed and not self._reading:
                raise NotTaking("the worker is starting")
            self._changed.wait_for(lambda: self._brought is None or self._closed, timeout_s)
            if self._closed:
                raise NotTaking(f"the source {self.name!r} has ended")
            if self._brought is not None:
                raise NotTaking("the worker is full")
            self._brought = picture, captured_at
            self._taken += 1
            self._changed.notify_all()
            return self._taken

    def note_broken(self) -> None:
        """Count a picture that could not be read."""
        with self._changed:
            self.broken += 1

    def __iter__(self) -> Iterator[Frame]:
        while (brought := self._next()) is not None:
            picture, self.captured_at = brought
            yield picture

    def close(self) -> None:
        """Take no more; one that was taken still goes through."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self) -> tuple[Frame, float] | None:
        with self._changed:
            self._reading = True
            self._changed.wait_for(lambda: self._brought is not None or self._closed)
            brought, self._brought = self._brought, None
            self._changed.notify_all()
            return brought
