"""What whoever answers a request would know of its connection, and ASGI does not say.

That its client has gone: ASGI says so only to who asks (`receive`), which takes a task beside each request; this is a call from
the connection itself. And that head and body of the answer are all there is: ASGI has them in two messages, which would be two
packets and two system calls at each end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

EXTENSION: Final = "sedna.connection"  # in the scope's `extensions`


class ConnectionWatch:
    """One connection; its requests are answered one after the other."""

    __slots__ = ("_lost", "_tell", "writing_at_once")

    def __init__(self, writing_at_once: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        """`writing_at_once` gives a context in which what is written is kept, to go out as one at its end."""
        self.writing_at_once = writing_at_once
        self._tell: Callable[[], object] | None = None
        self._lost = False

    @contextmanager
    def telling(self, tell: Callable[[], object]) -> Iterator[None]:
        """Call `tell` if the connection is lost meanwhile, or has been before."""
        if self._lost:
            tell()
        self._tell = tell
        try:
            yield
        finally:
            self._tell = None

    def lost(self) -> None:
        """Note that the connection is gone."""
        self._lost = True
        if self._tell is not None:
            self._tell()


def connection_of(scope: Any) -> ConnectionWatch:
    """Return the watch of a request's connection; one that never tells under a server that has none."""
    watch = (scope.get("extensions") or {}).get(EXTENSION, {}).get("watch")
    return watch if isinstance(watch, ConnectionWatch) else ConnectionWatch()
