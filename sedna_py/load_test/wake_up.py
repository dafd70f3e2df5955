"""A timer that is exact to a tenth of a millisecond, for the requests of an open loop.

The event loops' own are exact to a whole one: asyncio's sleeps up to that much too long, uvloop's spins the rest. Both would be
in the figures, one as latency, the other as processor time. Linux tells through a file descriptor when a time has come.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import Any, Final

_CLOCK_MONOTONIC: Final = 1
_FLAGS: Final = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)  # TFD_NONBLOCK and TFD_CLOEXEC are the same bits
_NS: Final = 1_000_000_000


class _Setting(ctypes.Structure):
    """struct itimerspec: how often, which is never, and when first."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("s", ctypes.c_long),
        ("ns", ctypes.c_long),
    )


class WakeUp:
    """Calls `back` in the running event loop when a time is over; one time at once."""

    def __init__(self, back: Callable[[], None]) -> None:
        self._back = back
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None  # where there is no descriptor
        self._library = _library()
        self._setting = _Setting()
        self._closed = False
        self._descriptor = -1
        if self._library is not None:
            self._descriptor = int(self._library.timerfd_create(_CLOCK_MONOTONIC, _FLAGS))
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._ring)

    def after(self, seconds: float) -> None:
        """Call back after so many seconds, at once if there are none left; an earlier time that is not over is forgotten."""
        if self._closed:
            return
        if self._descriptor >= 0:
            # 0 would switch it off; a day is enough for it.
            self._setting.s, self._setting.ns = divmod(max(int(min(seconds, 86_400.0) * _NS), 1), _NS)
            self._library.timerfd_settime(self._descriptor, 0, ctypes.byref(self._setting), None)
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(min(max(seconds, 0.0), 86_400.0), self._back)

    def close(self) -> None:
        """Call back no more."""
        self._closed = True
        if self._handle is not None:
            self._handle.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _ring(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:  # set anew meanwhile
            return
        self._back()


def _library() -> Any:
    """Return the C library if it has such timers, else None."""
    try:
        library = ctypes.CDLL(None)
        found = library.timerfd_create, library.timerfd_settime
    except (OSError, AttributeError, TypeError):
        return None
    return library if all(found) else None
