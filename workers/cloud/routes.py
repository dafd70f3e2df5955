"""The addresses of Sedna's protocol: `GET /{prefix}` and `POST /{prefix}/predict`."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sedna_py.protocol import sedna_json
from sedna_py.protocol.media_types import ACCEPTED, JSON
from workers.cloud.big_model import BigModel, NotReady
from workers.cloud.exchange import ExchangeLimits
from workers.cloud.failures import failure_of
from workers.cloud.sedna_dialect import refusal


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """The first part of Sedna's path, the model's name in the Open Inference Protocol, and what holds for every request."""

    prefix: str = "sedna"
    model_name: str = "model"
    limits: ExchangeLimits = field(default_factory=ExchangeLimits)

    @property
    def predict_path(self) -> str:
        """The address that frames are sent to."""
        return f"/{self.prefix.strip('/')}/predict"


class AsgiResponse(Response):
    """Lets a bare ASGI application answer a route."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self._app(scope, receive, send)


def sedna_routes(model: BigModel, options: RouteOptions, predict: ASGIApp) -> APIRouter:
    """Return both routes; the app answers the second one itself, so that it is here for its documentation."""
    routes = APIRouter()

    @routes.get("/" + options.prefix.strip("/"))
    async def model_info() -> Response:
        # A readiness probe asks here: upstream's server has this address, too.
        if (reason := model.not_ready()) is not None:
            reply = refusal(failure_of(NotReady(reason)))
            headers = {name.decode(): value.decode() for name, value in reply.headers}
            return Response(reply.body, reply.status, headers, JSON)
        return JSONResponse(sedna_json.service_infos(options.prefix))

    @routes.post(
        options.predict_path,
        summary="Ask the big model about one picture, or any data its estimator takes",
        openapi_extra={"requestBody": {"required": True, "content": {accepted: {} for accepted in ACCEPTED}}},
    )
    async def predict_route(request: Request) -> Response:
        return AsgiResponse(predict)

    return routes
