"""Tells whoever answers a request that its client has gone.

ASGI says so only to who asks (`receive`), which takes a task beside each request; this is a call from the connection itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

EXTENSION: Final = "sedna.connection"  # in the scope's `extensions`


class ConnectionWatch:
    """One connection; its requests are answered one after the other."""

    __slots__ = ("_lost", "_tell")

    def __init__(self) -> None:
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
