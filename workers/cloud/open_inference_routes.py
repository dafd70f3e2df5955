"""The addresses of Open Inference Protocol v2, for one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from sedna_py import __version__
from sedna_py.errors import ProtocolError
from sedna_py.protocol.media_types import JSON
from sedna_py.protocol.open_inference import json_form
from sedna_py.protocol.open_inference.binary_form import CONTENT_TYPE
from sedna_py.protocol.open_inference.metadata import (
    IndexEntry,
    error_document,
    model_ready,
    read_index_request,
    server_live,
    server_metadata,
    server_ready,
)
from sedna_py.protocol.open_inference.pictures import IMAGE
from workers.cloud.big_model import BigModel, UnknownModel
from workers.cloud.open_inference import DATA, OUTPUTS, model_metadata
from workers.cloud.open_inference_dialect import OpenInferenceDialect
from workers.cloud.routes import AsgiResponse
from workers.small_body import read_bounded

SERVER: Final = "sedna-py"
_MAX_INDEX_BYTES: Final = 4096
_MODEL: Final = "/v2/models/{model}"
_VERSION: Final = _MODEL + "/versions/{version}"
_INFER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    "name": {"type": "string", "enum": [IMAGE, DATA]},
                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                    "datatype": {"type": "string", "enum": ["UINT8", "BYTES"]},
                    "data": {"type": "array"},
                    "parameters": {"type": "object"},
                },
            },
        },
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "enum": list(OUTPUTS)}, "parameters": {"type": "object"}},
            },
        },
        "parameters": {"type": "object"},
    },
}
_INFER_DOC: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": _INFER_SCHEMA}, CONTENT_TYPE: {}},
    }
}
_INDEX_DOC: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {JSON: {"schema": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}},
    }
}


def _documented(path: str, name: str, **more: Any) -> dict[str, Any]:
    """Return what OpenAPI must know of an address beside what FastAPI sees, which are not its parameters."""
    values = {"model": {"type": "string", "enum": [name]}, "version": {"type": "string", "example": "1"}}
    parameters = [
        {"name": key, "in": "path", "required": True, "schema": schema}
        for key, schema in values.items()
        if f"{{{key}}}" in path
    ]
    return {"path": path, "openapi_extra": {"parameters": parameters, **more}}


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
        is_ready = model.not_ready() is None
        return document(server_ready(is_ready), 200 if is_ready else 503)

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

    @routes.get(**_documented(_MODEL, name))
    @routes.get(**_documented(_VERSION, name))
    async def describe_model(request: Request) -> Response:
        return about(request.path_params, metadata)

    @routes.get(**_documented(_MODEL + "/ready", name))
    @routes.get(**_documented(_VERSION + "/ready", name))
    async def is_model_ready(request: Request) -> Response:
        return about(request.path_params, readiness)

    @routes.post(**_documented(_MODEL + "/infer", name, **_INFER_DOC))
    @routes.post(**_documented(_VERSION + "/infer", name, **_INFER_DOC))
    async def infer_route(request: Request) -> Response:
        return AsgiResponse(infer)

    @routes.post("/v2/repository/index", openapi_extra=_INDEX_DOC)
    async def repository_index(request: Request) -> Response:
        try:
            only_ready = read_index_request(await _read(request))
        except ProtocolError as error:
            return document(error_document(str(error)), 400)
        reason = model.not_ready()
        entry = IndexEntry(name, reason is None, model.version, reason or "")
        return document([entry.document()] if entry.ready or not only_ready else [])

    return routes


async def http_error(request: Request, error: Exception) -> Response:
    """Say in the protocol's own form what is not to be had under its addresses; its clients fail on anything else."""
    if not isinstance(error, HTTPException):
        raise error
    path, headers = request.url.path, error.headers or {}
    if not path.startswith("/v2/"):
        return await http_exception_handler(request, error)
    says = str(error.detail)
    if error.status_code == 404:
        says = f"there is no {path[:200]!r} here; GET /v2 and /v2/models/<name> say what there is"
    elif error.status_code == 405:
        says = f"{path[:200]!r} takes no {request.method[:20]}; use {headers.get('Allow', 'another')}"
    return document(error_document(says), error.status_code, headers)


def document(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(json_form.dump(content), status, headers, JSON)


async def _read(request: Request) -> bytes:
    try:
        return await read_bounded(request, _MAX_INDEX_BYTES, "the body", advice="send none, or ready true")
    except ClientDisconnect:
        return b""
