"""`python -m controller`: the operator, from nothing but its environment and a kubeconfig or a pod's service account."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from controller.app import Controller
from controller.errors import ControllerError
from controller.library_logs import quieten_libraries
from controller.settings import ControllerSettings
from sedna_py.errors import SednaError
from sedna_py.log import configure_logging

_log = logging.getLogger("controller")


def run(environment: Mapping[str, str]) -> int:
    """Run the controller; return the process's exit status: 0 after SIGTERM, 1 with one line why not."""
    configure_logging(worker=environment.get("POD_NAME") or "controller")
    try:
        settings = ControllerSettings.from_environment(environment)
        configure_logging(level=settings.log_level, worker=settings.pod_name, as_json=settings.log_format == "json")
        quieten_libraries(time.monotonic)
        _runner()(Controller(settings).run())
    except (SednaError, ControllerError) as error:
        _log.critical("%s", "; ".join(str(error).splitlines()))
        return 1
    return 0


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    try:
        import uvloop
    except ImportError:  # not on every platform
        return asyncio.run
    return uvloop.run


if __name__ == "__main__":
    sys.exit(run(os.environ))
