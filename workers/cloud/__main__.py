"""`python -m workers.cloud`: the cloud worker, from nothing but its environment."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import NoReturn

from sedna_py.errors import SednaError
from sedna_py.log import configure_logging
from workers.cloud.big_model import Limits
from workers.cloud.routes import RouteOptions
from workers.cloud.server import ServerOptions, explain, serve
from workers.inference.engine import EngineOptions
from workers.inference.predictor import create_predictor
from workers.settings import CloudSettings

LOG = logging.getLogger("workers.cloud")


def server_options(settings: CloudSettings) -> ServerOptions:
    """Return the part of the settings that the server needs."""
    return ServerOptions(
        host=settings.bind_ip,
        port=settings.bind_port,
        drain_s=settings.drain_s,
        limits=Limits(
            concurrency=settings.max_concurrency,
            waiting=settings.max_waiting,
            image_pixels=settings.max_image_pixels,
            body_bytes=settings.max_body_bytes,
        ),
        routes=RouteOptions(
            prefix=settings.job_name, max_body_bytes=settings.max_body_bytes, timeout_s=settings.request_timeout_s
        ),
    )


def run(environment: Mapping[str, str]) -> int:
    """Run the worker; return the process's exit status."""
    configure_logging(worker=environment.get("WORKER_NAME") or "cloud")
    try:
        settings = CloudSettings.from_environment(environment)
        configure_logging(
            level=settings.log_level, worker=settings.worker_name or "cloud", as_json=settings.log_format == "json"
        )
        serve(
            lambda: create_predictor(
                settings.model_url,
                model_name=settings.model_name,
                estimator=settings.estimator,
                detection_threshold=settings.detection_threshold,
                model_type=settings.model_type,
                options=EngineOptions(settings.device, settings.streams),
            ),
            server_options(settings),
        )
    except SednaError as error:
        LOG.critical("%s", explain(error))
        return 1
    return 0


def leave(status: int) -> NoReturn:
    """End the process, also where a thread is stuck in a model's code: the interpreter would wait for it."""
    if threading.active_count() > 1:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    leave(run(os.environ))
