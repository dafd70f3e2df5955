"""Threads of low priority."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.inference.background import NICENESS, in_background

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own only on Linux")


def niceness(thread: int = 0) -> int:
    return os.getpriority(os.PRIO_PROCESS, thread)


@linux
def test_threads_started_in_the_background_give_way_and_the_caller_does_not() -> None:
    before = niceness()

    def start() -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(1)
        pool.submit(threading.get_native_id).result()  # its thread is there now
        return pool

    with in_background(start) as pool:
        assert pool.submit(lambda: niceness(threading.get_native_id())).result() == min(before + NICENESS, 19)
    assert niceness() == before


def test_the_caller_gets_what_comes_back_or_is_raised() -> None:
    assert in_background(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 // 0)


SHOW = """
import os
from pathlib import Path
from tests.workers.inference.tiny_models import reshape_network
from workers.inference.engine import EngineOptions, compile_model

def tasks():
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}

others = tasks()
compiled = compile_model(reshape_network(), EngineOptions(streams=2))
print(os.getpriority(os.PRIO_PROCESS, 0))
for thread in tasks() - others:
    try:
        print(os.getpriority(os.PRIO_PROCESS, thread))
    except ProcessLookupError:
        pass  # it only helped to compile
"""


@linux
def test_openvinos_streams_give_way() -> None:
    # In a process of its own: OpenVINO gives a model the streams of one that is gone.
    told = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, timeout=60, check=True).stdout
    mine, *found = map(int, told.split())
    assert len(found) >= 2
    assert set(found) == {min(mine + NICENESS, 19)}
