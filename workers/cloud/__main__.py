"""`python -m workers.cloud`: the cloud worker, from nothing but its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from workers.cloud.big_model import Limits
from workers.cloud.routes import RouteOptions
from workers.cloud.server import ServerOptions, serve
from workers.cpu_limit import read_cpu_budget
from workers.program import leave, load_predictor, run_program
from workers.settings import CloudSettings


def server_options(settings: CloudSettings) -> ServerOptions:
    """Return the part of the settings that the server needs."""
    return ServerOptions(
        host=settings.bind_ip,
        port=settings.bind_port,
        lame_duck_s=settings.lame_duck_s,
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
        lc_server=settings.lc_server,
    )


def run(environment: Mapping[str, str]) -> int:
    """Run the worker; return the process's exit status: 0 after SIGTERM, 1 with one line why not."""
    return run_program("cloud", environment, CloudSettings, _work)


def _work(settings: CloudSettings) -> None:
    cpu = read_cpu_budget(settings.threads)
    serve(lambda: load_predictor(settings, cpu), server_options(settings), cpu)


if __name__ == "__main__":
    leave(run(os.environ))
