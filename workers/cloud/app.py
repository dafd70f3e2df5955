"""The cloud worker as an ASGI application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from sedna_py import __version__
from workers.cloud.big_model import BigModel
from workers.cloud.drain import ClosingReplies
from workers.cloud.metrics import CloudMetrics
from workers.cloud.report_relay import ReportRelay
from workers.cloud.report_routes import report_routes
from workers.cloud.routes import RouteOptions, sedna_routes
from workers.health import health_routes


def create_app(model: BigModel, metrics: CloudMetrics, options: RouteOptions, relay: ReportRelay) -> FastAPI:
    """Return the application; the caller attaches the model and closes it, and runs the relay."""
    app = FastAPI(title="sedna-py cloud worker", version=__version__)
    app.include_router(sedna_routes(model, metrics, options))
    app.include_router(report_routes(relay, metrics))
    app.include_router(health_routes(metrics.registry, model.not_ready))
    # Upstream's server is open to pages of every origin, and its users' dashboards call it.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(ClosingReplies, draining=lambda: model.draining)
    return app
