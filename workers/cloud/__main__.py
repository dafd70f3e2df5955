"""`python -m workers.cloud`: the cloud worker, from nothing but its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from workers.cloud.big_model import AnyPredictor, Limits
from workers.cloud.exchange import ExchangeLimits
from workers.cloud.model_source import ModelAtUrl
from workers.cloud.routes import RouteOptions
from workers.cloud.server import ServerOptions, serve
from workers.cpu_limit import CpuBudget, read_cpu_budget
from workers.inference.engine import the_core
from workers.models.version_folder import Candidate, ModelPlace, parse_version
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
            wait_s=settings.max_wait_ms / 1000,
            image_pixels=settings.max_image_pixels,
            body_bytes=settings.max_body_bytes,
        ),
        routes=RouteOptions(
            settings.job_name,
            settings.model_name or settings.service_name or "model",
            ExchangeLimits(settings.max_body_bytes, settings.request_timeout_s),
        ),
        lc_server=settings.lc_server,
        access_log=settings.access_log,
    )


def model_source(settings: CloudSettings, cpu: CpuBudget) -> ModelAtUrl:
    """Return where the settings say that the model is, and whether it is looked after."""
    place = ModelPlace(
        settings.model_url,
        settings.model_name,
        parse_version(settings.model_version),
        any_files=settings.estimator is not None,
    )

    def load(candidate: Candidate | None) -> AnyPredictor:
        return load_predictor(settings, cpu, candidate.path if candidate else None)

    if settings.hot_update:
        # A mapped file that somebody cuts off while it is compiled would end the process (OpenVINO 2026.4).
        the_core().set_property({"ENABLE_MMAP": False})
    return ModelAtUrl(place, load, hot=settings.hot_update, period_s=settings.poll_period_s)


def run(environment: Mapping[str, str]) -> int:
    """Run the worker; return the process's exit status: 0 after SIGTERM, 1 with one line why not."""
    return run_program("cloud", environment, CloudSettings, _work)


def _work(settings: CloudSettings) -> None:
    cpu = read_cpu_budget(settings.threads)
    serve(model_source(settings, cpu), server_options(settings), cpu)


if __name__ == "__main__":
    leave(run(os.environ))
