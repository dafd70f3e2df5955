"""Threads that give way to the others of this process's container."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
# A tenth of the processor time where others want all of it (sched(7)); all that they leave otherwise.
NICENESS: Final = 10


def in_background(work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises; every thread that it starts has low priority from then on.

    On Linux a thread has a niceness of its own, which those that it starts inherit (sched(7)); elsewhere nothing is changed.
    """
    with ThreadPoolExecutor(1, "background", initializer=_give_way) as thread:
        return thread.submit(work).result()


def _give_way() -> None:
    if sys.platform == "linux":
        mine = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, mine, min(os.getpriority(os.PRIO_PROCESS, mine) + NICENESS, 19))
