"""The address to which edge workers report, as upstream's local controller has it."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from sedna_py.errors import BodyTooLarge, MalformedBody
from sedna_py.protocol.worker_report import MAX_REPORT_BYTES, RELAYED, ROUTE, answer_body, parse_report
from workers.cloud.metrics import CloudMetrics
from workers.cloud.report_relay import ReportRelay
from workers.small_body import read_bounded

_READ_S: Final = 5.0
_CLOSE: Final = {"Connection": "close"}  # where the rest of the body is not worth waiting for


def report_routes(relay: ReportRelay, metrics: CloudMetrics, read_s: float = _READ_S) -> APIRouter:
    """Return `POST /sedna/workers/{name}/info`; `read_s` is the time in which a body has to arrive."""
    routes = APIRouter()

    @routes.post(ROUTE, include_in_schema=False)
    async def report(name: str, request: Request) -> Response:
        try:
            async with asyncio.timeout(read_s):
                body = await read_bounded(request, MAX_REPORT_BYTES, "the report")
            parsed = parse_report(name, body)
        except MalformedBody as error:
            return refused(400, str(error))
        except BodyTooLarge as error:
            return refused(413, str(error), _CLOSE)
        except TimeoutError:
            return refused(408, f"the report did not arrive within {read_s:g} s", _CLOSE)
        except ClientDisconnect:
            return refused(400, "the report was cut off", _CLOSE)
        if RELAYED in request.headers:
            return refused(400, "the report was passed on before; write the controller's address in LC_SERVER")
        relay.accept(parsed, body)
        return JSONResponse(answer_body(200, parsed.problem or "OK"))

    def refused(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        metrics.report("refused")
        return JSONResponse(answer_body(status, message), status_code=status, headers=headers)

    return routes
