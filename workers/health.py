"""The three addresses that both workers serve: /healthz, /readyz, /metrics."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


def health_routes(
    registry: CollectorRegistry, not_ready: Callable[[], str | None], collect: Callable[[], None] = lambda: None
) -> APIRouter:
    """Return the routes. `not_ready` gives the reason why the worker should get no work now, None if it should."""
    routes = APIRouter()

    @routes.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @routes.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        reason = not_ready()
        if reason is None:
            return PlainTextResponse("ok\n")
        return JSONResponse({"detail": reason, "cause": "not_ready"}, status_code=503, headers={"Retry-After": "1"})

    @routes.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        collect()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return routes
