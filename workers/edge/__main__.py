"""`python -m workers.edge`: the edge worker, from nothing but its environment."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, MutableMapping
from types import FrameType

import cv2

from workers.edge.worker import EdgeWorker
from workers.program import leave, run_program
from workers.settings import EdgeSettings


def run(environment: Mapping[str, str]) -> int:
    """Run the worker; return the process's exit status: 0 at the source's end or after SIGTERM, 1 with one line why not."""
    # OpenCV's warnings about a source that cannot be opened say less than our one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    return run_program("edge", environment, EdgeSettings, _work)


def _work(settings: EdgeSettings) -> None:
    worker = EdgeWorker(settings)
    _stop_on_signals(worker)
    worker.run()


def _stop_on_signals(worker: EdgeWorker) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        # A handler runs between two bytecodes of the main thread, which may hold the very lock that `stop` needs.
        threading.Thread(target=worker.stop, name="stop").start()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, handle)


def shorten_lookups(environment: MutableMapping[str, str]) -> None:
    """Let the C library's resolver give up after 4 s instead of 20 s.

    A lookup that began while the link was down would else hold up the return to the cloud long after the link is back.
    """
    environment.setdefault("RES_OPTIONS", "timeout:1 attempts:2")


if __name__ == "__main__":
    shorten_lookups(os.environ)
    leave(run(os.environ))
