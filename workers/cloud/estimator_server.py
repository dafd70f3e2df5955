"""The HTTP server behind `sedna_py.BigModelService.start`, found through the entry point `sedna_py.big_model_server`."""

from __future__ import annotations

import os
from typing import Any

from workers.cloud.model_source import FixedModel
from workers.cloud.routes import RouteOptions
from workers.cloud.server import ServerOptions, serve
from workers.cpu_limit import read_cpu_budget
from workers.inference.predictor import EstimatorPredictor
from workers.settings import ServingSettings


def serve_estimator(estimator: Any, *, host: str, port: int, prefix: str) -> None:
    """Serve an estimator that has loaded its model, until SIGTERM or SIGINT; reports go to LC_SERVER.

    Raises SettingsError if the port is taken or LC_SERVER is no address.
    """
    settings = ServingSettings.from_environment(os.environ)
    options = ServerOptions(
        host=host,
        port=port,
        lame_duck_s=settings.lame_duck_s,
        drain_s=settings.drain_s,
        routes=RouteOptions(prefix),
        lc_server=settings.lc_server,
    )
    cpu = read_cpu_budget()
    serve(FixedModel(lambda: EstimatorPredictor(estimator, cpu.threads)), options, cpu)
