"""The cloud worker as an ASGI application."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from sedna_py import __version__
from workers.cloud.admission import ByteBudget
from workers.cloud.big_model import BigModel
from workers.cloud.drain import ClosingReplies
from workers.cloud.exchange import Exchange
from workers.cloud.handled import Observer
from workers.cloud.metrics import CloudMetrics
from workers.cloud.open_inference_dialect import OpenInferenceDialect, OpenInferenceLimits
from workers.cloud.open_inference_routes import http_error, open_inference_routes
from workers.cloud.report_relay import ReportRelay
from workers.cloud.report_routes import report_routes
from workers.cloud.routes import RouteOptions, sedna_routes
from workers.cloud.sedna_dialect import SednaDialect
from workers.health import health_routes

BODIES_AT_ONCE = 4  # of the largest size


class CloudApp(FastAPI):
    """FastAPI, but for the addresses that frames come to: whoever answers there is called without it, by path."""

    def __init__(self) -> None:
        super().__init__(title="sedna-py cloud worker", version=__version__)
        self.directs: dict[bytes, Exchange] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that came through ASGI: under another server, or to an address that is written another way."""
        direct = None
        if scope["type"] == "http" and scope["method"] == "POST":
            direct = self.directs.get(scope["path"].encode())
        await (super().__call__ if direct is None else direct)(scope, receive, send)


def create_app(
    model: BigModel,
    metrics: CloudMetrics,
    options: RouteOptions,
    relay: ReportRelay,
    observers: Sequence[Observer] = (),
) -> FastAPI:
    """Return the application; the caller attaches the model and closes it, and runs the relay.

    `observers` hear of each request for a prediction, besides the metrics.
    """
    observers = (metrics.request_done, *observers)
    app = CloudApp()
    budget = ByteBudget(BODIES_AT_ONCE * options.limits.max_body_bytes, model.admission.refused_elsewhere)
    predict = Exchange(model, options.limits, SednaDialect(model), budget, observers)
    app.directs[options.predict_path.encode()] = predict
    app.include_router(sedna_routes(model, options, predict))
    dialect = OpenInferenceDialect(model, options.model_name, OpenInferenceLimits())
    infer = Exchange(model, options.limits, dialect, budget, observers)
    app.directs[f"/v2/models/{options.model_name}/infer".encode()] = infer
    app.include_router(open_inference_routes(model, options.model_name, dialect, infer))
    app.add_exception_handler(HTTPException, http_error)
    app.include_router(report_routes(relay, metrics))
    app.router.routes.extend(health_routes(metrics.registry, model.not_ready, metrics.collect, metrics.load))
    # Upstream's server is open to pages of every origin, and its users' dashboards call it.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(ClosingReplies, draining=lambda: model.draining)
    return app
