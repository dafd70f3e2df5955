"""The HTTP server behind `sedna_py.BigModelService.start`, found through the entry point `sedna_py.big_model_server`."""

from __future__ import annotations

from typing import Any

from workers.cloud.routes import RouteOptions
from workers.cloud.server import ServerOptions, serve
from workers.inference.predictor import EstimatorPredictor


def serve_estimator(estimator: Any, *, host: str, port: int, prefix: str) -> None:
    """Serve an estimator that has loaded its model, until SIGTERM or SIGINT. Raises SettingsError if the port is taken."""
    options = ServerOptions(host=host, port=port, routes=RouteOptions(prefix=prefix))
    serve(lambda: EstimatorPredictor(estimator), options)
