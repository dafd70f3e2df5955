"""Gives the memory of a closed model back to the system."""

from __future__ import annotations

import ctypes
import gc
import threading
import weakref
from typing import Any, Final

LAST_HOLDERS_S: Final = 2.0  # for the requests that the old model has answered but that still hold it


def let_go(held: list[Any]) -> None:
    """Drop the one object in the list, which must be the caller's only reference, and give its memory back.

    Where somebody else holds it, wait for them, at most LAST_HOLDERS_S.
    """
    gone = threading.Event()
    try:
        reference = weakref.ref(held[0], lambda _: gone.set())
    except TypeError:  # a class with __slots__
        reference = None
    held.clear()
    gc.collect()
    if reference is not None and reference() is not None:
        gone.wait(LAST_HOLDERS_S)
    give_memory_back()


def give_memory_back() -> bool:
    """Have glibc return what is free; return whether there was any, False where that cannot be done.

    Without it a worker keeps the memory of two models after a reload: glibc's arenas hold on to what was freed.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
        trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
        return bool(trim(0))
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return False
