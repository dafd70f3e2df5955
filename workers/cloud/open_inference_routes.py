"""The addresses of Open Inference Protocol v2, for one model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from sedna_py import __version__
from sedna_py.errors import BodyTooLarge, ProtocolError
from sedna_py.protocol.media_types import JSON
from sedna_py.protocol.open_inference import json_form
from sedna_py.protocol.open_inference.metadata import (
    IndexEntry,
    error_document,
    model_ready,
    read_index_request,
    server_live,
    server_metadata,
    server_ready,
)
from workers.cloud.big_model import BigModel, UnknownModel
from workers.cloud.open_inference import model_metadata
from workers.cloud.open_inference_dialect import OpenInferenceDialect
from workers.cloud.routes import AsgiResponse

SERVER: Final = "sedna-py"
_MAX_INDEX_BYTES: Final = 4096
_MODEL: Final = "/v2/models/{model}"
_VERSION: Final = _MODEL + "/versions/{version}"
_INFER_DOC: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object"}}, "application/octet-stream": {}}}
}


def open_inference_routes(model: BigModel, name: str, dialect: OpenInferenceDialect, infer: ASGIApp) -> APIRouter:
    """Return the routes; `infer` answers questions, and the app calls it directly where no version is named."""
    routes = APIRouter(tags=["Open Inference Protocol v2"])

    @routes.get("/v2")
    async def server() -> Response:
        return document(server_metadata(SERVER, __version__))

    @routes.get("/v2/health/live")
    async def live() -> Response:
        return document(server_live(True))

    @routes.get("/v2/health/ready")
    async def ready() -> Response:
        return document(server_ready(model.not_ready() is None), 200 if model.not_ready() is None else 503)

    def about(path: dict[str, Any], answer: Callable[[], Response]) -> Response:
        try:
            dialect.check(path)
        except UnknownModel as error:
            return document(error_document(str(error)), 404)
        return answer()

    def metadata() -> Response:
        found = model_metadata(name, platform=model.platform, detector=model.detector, versions=(model.version,))
        return document(found.document())

    def readiness() -> Response:
        reason = model.not_ready()
        return document(model_ready(name, reason is None), 200 if reason is None else 503)

    @routes.get(_MODEL)
    @routes.get(_VERSION)
    async def describe_model(request: Request) -> Response:
        return about(request.path_params, metadata)

    @routes.get(_MODEL + "/ready")
    @routes.get(_VERSION + "/ready")
    async def is_model_ready(request: Request) -> Response:
        return about(request.path_params, readiness)

    @routes.post(_MODEL + "/infer", openapi_extra=_INFER_DOC)
    @routes.post(_VERSION + "/infer", openapi_extra=_INFER_DOC)
    async def infer_route(request: Request) -> Response:
        return AsgiResponse(infer)

    @routes.post("/v2/repository/index")
    async def repository_index(request: Request) -> Response:
        try:
            only_ready = read_index_request(await _read(request))
        except ProtocolError as error:
            return document(error_document(str(error)), 400)
        reason = model.not_ready()
        entry = IndexEntry(name, reason is None, model.version, reason or "")
        return document([entry.document()] if entry.ready or not only_ready else [])

    return routes


def document(content: object, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(json_form.dump(content), status, media_type=JSON)


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _MAX_INDEX_BYTES:
                raise BodyTooLarge(f"the body is larger than {_MAX_INDEX_BYTES} bytes; send none, or ready true")
    except ClientDisconnect:
        return b""
    return bytes(body)
