"""The addresses that both workers serve: /healthz, /readyz, /metrics, and for the controller /signals."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.protocol.reported_signals import SIGNALS_PATH, write_signals


def health_routes(
    registry: CollectorRegistry,
    not_ready: Callable[[], str | None],
    collect: Callable[[], None] = lambda: None,
    load: Callable[[], Snapshot | None] | None = None,
) -> list[Route]:
    """Return the routes. `not_ready` gives the reason why the worker should get no work now, None if it should.

    `load` is what signals are made of, None while there is nothing to tell; without it there is no such address.
    """

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

    async def signals(_: Request) -> Response:
        collect()
        now = load() if load is not None else None
        return JSONResponse(write_signals(now)) if now is not None else PlainTextResponse("none yet\n", status_code=503)

    return [
        *([Route(SIGNALS_PATH, signals, include_in_schema=False)] if load is not None else []),
        Route("/healthz", healthz, include_in_schema=False),
        Route("/readyz", readyz, include_in_schema=False),
        Route("/metrics", metrics, include_in_schema=False),
    ]
