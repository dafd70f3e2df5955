"""The HTTP server behind `sedna_py.BigModelService.start`, found through the entry point `sedna_py.big_model_server`."""

from __future__ import annotations

import os
from typing import Any

from workers.cloud.routes import RouteOptions
from workers.cloud.server import ServerOptions, serve
from workers.inference.predictor import EstimatorPredictor
from workers.settings import RelaySettings


def serve_estimator(estimator: Any, *, host: str, port: int, prefix: str) -> None:
    """Serve an estimator that has loaded its model, until SIGTERM or SIGINT; reports go to LC_SERVER.

    Raises SettingsError if the port is taken or LC_SERVER is no address.
    """
    relay = RelaySettings.from_environment(os.environ)
    options = ServerOptions(host=host, port=port, routes=RouteOptions(prefix=prefix), lc_server=relay.lc_server)
    serve(lambda: EstimatorPredictor(estimator), options)
