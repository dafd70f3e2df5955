"""The three addresses that both workers serve: /healthz, /readyz, /metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


def health_routes(
    registry: CollectorRegistry, not_ready: Callable[[], str | None], collect: Callable[[], None] = lambda: None
) -> list[Route]:
    """Return the routes. `not_ready` gives the reason why the worker should get no work now, None if it should."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reason = not_ready()
        if reason is None:
            return PlainTextResponse("ok\n")
        return JSONResponse({"detail": reason, "cause": "not_ready"}, status_code=503, headers={"Retry-After": "1"})

    async def metrics(_: Request) -> Response:
        collect()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", healthz, include_in_schema=False),
        Route("/readyz", readyz, include_in_schema=False),
        Route("/metrics", metrics, include_in_schema=False),
    ]
