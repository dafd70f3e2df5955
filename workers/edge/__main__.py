"""`python -m workers.edge`: the edge worker, from nothing but its environment."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import FrameType

import cv2

from sedna_py.errors import SednaError
from sedna_py.log import configure_logging
from workers.edge.worker import EdgeWorker
from workers.settings import EdgeSettings

LOG = logging.getLogger("workers.edge")


def run(environment: Mapping[str, str]) -> int:
    """Run the worker; return the process's exit status: 0 at the source's end or after SIGTERM, 1 with one line why not."""
    configure_logging(worker=environment.get("WORKER_NAME") or "edge")
    # Its warnings about a source that cannot be opened say less than our one line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        settings = EdgeSettings.from_environment(environment)
        configure_logging(
            level=settings.log_level, worker=settings.worker_name or "edge", as_json=settings.log_format == "json"
        )
        worker = EdgeWorker(settings)
        _stop_on_signals(worker)
        worker.run()
    except SednaError as error:
        LOG.critical("%s", "; ".join(str(error).splitlines()))
        return 1
    return 0


def _stop_on_signals(worker: EdgeWorker) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        # A handler runs between two bytecodes of the main thread, which may hold the very lock that `stop` needs.
        threading.Thread(target=worker.stop, name="stop").start()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, handle)


if __name__ == "__main__":
    sys.exit(run(os.environ))
