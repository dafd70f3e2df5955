"""The HTTP face of the big model: Sedna's two addresses."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from sedna_py.errors import BodyTooLarge, MalformedBody, ProtocolError, UnsupportedMediaType
from sedna_py.protocol import sedna_json
from sedna_py.protocol.headers import RequestHeaders, render_server_timing
from sedna_py.protocol.media_types import ACCEPTED, JSON, parse_content_type
from workers.cloud.admission import Account, ByteBudget, Refused
from workers.cloud.big_model import BigModel, NotReady, PredictionFailed, Stages
from workers.cloud.metrics import CloudMetrics

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """`timeout_s` holds for a request that brings no deadline, and bounds one that brings a longer one."""

    prefix: str = "sedna"
    max_body_bytes: int = 64 * 1024 * 1024
    timeout_s: float = 30.0


class PredictRoute:
    """`POST /{prefix}/predict`: reads, asks the model, answers; every refusal is JSON with a cause."""

    def __init__(self, model: BigModel, metrics: CloudMetrics, options: RouteOptions) -> None:
        self._model = model
        self._metrics = metrics
        self._options = options
        self._bytes = ByteBudget(4 * options.max_body_bytes)

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        self._model.last_asked = asyncio.get_running_loop().time()
        stages = Stages()
        begun = time.perf_counter()
        echoed: dict[str, str] = {}
        try:
            headers = RequestHeaders.parse(request.headers)
            echoed = RequestHeaders(headers.frame_id, headers.request_id).render()
            timeout = self._options.timeout_s
            if headers.deadline_s is not None:  # 0 is a deadline that has passed
                timeout = min(headers.deadline_s, timeout)
            media_type = parse_content_type(request.headers.get("content-type"))
            with self._bytes.account() as account:
                async with asyncio.timeout(timeout):
                    body = await self._read(request, account)
                    stages.read = time.perf_counter() - begun
                    result = await self._model.predict(body, media_type, stages)
            outcome, response = "ok", Response(encode_result(result), media_type=JSON)
        except asyncio.CancelledError:  # the server's time for draining is over; the client must hear of that, too
            outcome, response = error_response(NotReady("the worker is shutting down"))
        except Exception as error:  # noqa: BLE001 - the client must hear of it, and the worker must live on
            outcome, response = error_response(error)
            if isinstance(error, TimeoutError) and not stages.read:
                response.headers["Connection"] = "close"  # else the rest of a slow body would keep it open for ever
        timings = [(name, getattr(stages, name)) for name in ("read", "queue", "decode", "infer")]
        self._metrics.request_done(outcome, [(name, spent) for name, spent in timings if spent])
        response.headers.update(echoed)
        response.headers["Server-Timing"] = render_server_timing(
            {name: spent * 1000 for name, spent in timings if spent}
        )
        return response

    async def _read(self, request: Request, account: Account) -> bytes:
        limit = self._options.max_body_bytes
        too_large = BodyTooLarge(f"the body is larger than {limit} bytes; send a JPEG, or raise MAX_BODY_BYTES")
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > limit:
            raise too_large
        chunks = bytearray()
        async for chunk in request.stream():
            if len(chunks) + len(chunk) > limit:
                raise too_large
            account.take(len(chunk))
            chunks += chunk
        return bytes(chunks)


def error_response(error: Exception) -> tuple[str, Response]:
    """Return the cause and the response for an exception: the one table of status codes."""
    detail: object = str(error)
    retry: dict[str, str] = {}
    match error:
        case UnsupportedMediaType():
            status, cause = 415, "unsupported_media_type"
        case BodyTooLarge():
            status, cause = 413, "body_too_large"
        case MalformedBody():
            status, cause, detail = 422, "malformed_body", getattr(error, "detail", None) or str(error)
        case ProtocolError():
            status, cause = 400, "bad_request"
        case Refused():
            status, cause, retry = 429, "overloaded", {"Retry-After": str(error.retry_after_s)}
        case NotReady():
            status, cause, retry = 503, "not_ready", {"Retry-After": "1"}
        case TimeoutError():
            status, cause, detail = 504, "deadline_exceeded", "no result before the request's deadline"
        case ClientDisconnect():
            status, cause, detail = 400, "client_disconnected", "the client went away"
        case PredictionFailed():
            status, cause = 500, "prediction_failed"
            LOG.warning("a prediction failed: %s", error)
        case _:
            status, cause, detail = 500, "internal", type(error).__name__
            LOG.error("a request failed", exc_info=error)
    return cause, JSONResponse(sedna_json.error_body(cause, detail), status_code=status, headers=retry)


def encode_result(result: list[Any]) -> bytes:
    """Return the reply's body. Raises PredictionFailed for what JSON cannot carry: that is the estimator's doing."""
    try:
        return sedna_json.encode_reply(result)
    except MalformedBody as error:
        raise PredictionFailed(f"the result cannot be sent: {error}") from error


def sedna_routes(model: BigModel, metrics: CloudMetrics, options: RouteOptions) -> APIRouter:
    """Return `GET /{prefix}` and `POST /{prefix}/predict`."""
    routes = APIRouter()
    prefix = "/" + options.prefix.strip("/")
    predict = PredictRoute(model, metrics, options)

    @routes.get(prefix)
    async def model_info() -> Response:
        # A readiness probe asks here: upstream's server has this address, too.
        if (reason := model.not_ready()) is not None:
            return error_response(NotReady(reason))[1]
        return JSONResponse(sedna_json.service_infos(options.prefix))

    @routes.post(
        f"{prefix}/predict",
        summary="Ask the big model about one picture, or any data its estimator takes",
        openapi_extra={"requestBody": {"required": True, "content": {accepted: {} for accepted in ACCEPTED}}},
    )
    async def predict_route(request: Request) -> Response:
        return await predict(request)

    return routes
