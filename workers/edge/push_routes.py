"""The address that takes pictures: `POST /frames`, `POST /frames/{source}`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sedna_py.errors import BodyTooLarge, MalformedBody, ProtocolError, UnsupportedMediaType
from sedna_py.protocol import images
from sedna_py.protocol.headers import CAPTURED_AT, parse_captured_at
from sedna_py.protocol.media_types import JPEG, PNG
from workers.edge.sources.push import NotTaking, PushSource
from workers.inference.image_codec import decode_image
from workers.small_body import read_bounded

LOG = logging.getLogger(__name__)
BODY_S: Final = 10.0  # for a picture to come whole
OFFER_S: Final = 1.0  # that a picture waits for the reader, which waits itself only under BUFFER_POLICY=wait
AT_ONCE: Final = 32  # requests whose pictures are on their way; more are told to come again
DECODED_AT_ONCE: Final = 2


class NoSuchSource(ProtocolError):
    """No source of this name takes pictures."""


class TooMany(ProtocolError):
    """More requests at once than are taken."""


@dataclass(frozen=True, slots=True)
class PushLimits:
    """What a picture may have."""

    body_bytes: int
    pixels: int


def push_routes(sources: Sequence[PushSource], limits: PushLimits) -> list[Route]:
    """Return the routes to these sources; without any, every picture is told that none is taken here."""
    door = _Door({source.name: source for source in sources}, limits)
    return [Route(path, door.take, methods=["POST"]) for path in ("/frames", "/frames/{source}")]


class _Door:
    def __init__(self, sources: Mapping[str, PushSource], limits: PushLimits) -> None:
        self._sources = sources
        self._limits = limits
        self._inside = 0
        self._decoding: anyio.CapacityLimiter | None = None

    async def take(self, request: Request) -> Response:
        """Take one picture: 202 with its source and number, or a 4xx or 503 that says why not."""
        try:
            chosen = self._choose(request.path_params.get("source", ""))
            captured_at = parse_captured_at(request.headers.get(CAPTURED_AT), now=time.time())
            number = await self._hand_over(request, chosen, captured_at)
        except ClientDisconnect:
            return Response(status_code=400)
        except (ProtocolError, NotTaking, TimeoutError) as error:
            return refusal(error)
        return JSONResponse({"source": chosen.name, "frame": number}, status_code=202)

    def _choose(self, name: str) -> PushSource:
        if not name and len(self._sources) == 1:
            return next(iter(self._sources.values()))
        if (found := self._sources.get(name or "push")) is not None:
            return found
        there = " or ".join(f"/frames/{known}" for known in self._sources)
        advice = f"send it to {there}" if there else "write push:// into the worker's video_url"
        raise NoSuchSource(f"no source {name[:63] or 'push'!r} takes pictures; {advice}")

    async def _hand_over(self, request: Request, source: PushSource, captured_at: float) -> int:
        if self._inside >= AT_ONCE:
            raise TooMany(f"{AT_ONCE} pictures are on their way already; send fewer at once")
        self._inside += 1
        try:
            _check_type(request.headers.get("content-type"))
            async with asyncio.timeout(BODY_S):
                body = await read_bounded(request, self._limits.body_bytes, "the picture", "send a smaller one")
            if self._decoding is None:
                self._decoding = anyio.CapacityLimiter(DECODED_AT_ONCE)
            return await anyio.to_thread.run_sync(self._offer, source, body, captured_at, limiter=self._decoding)
        finally:
            self._inside -= 1

    def _offer(self, source: PushSource, body: bytes, captured_at: float) -> int:
        try:
            images.probe(body, max_pixels=self._limits.pixels)
            images.check_complete(body)
            picture = decode_image(body)
        except MalformedBody:
            source.note_broken()
            raise
        return source.offer(picture, captured_at, OFFER_S)


def refusal(error: Exception) -> JSONResponse:
    """Return what a sender is told of a picture that is not taken."""
    status, cause = _MEANING.get(type(error), (400, "bad_request"))
    detail = f"the picture did not come whole within {BODY_S:g} s" if isinstance(error, TimeoutError) else str(error)
    again = {"Retry-After": "1"} if status in (429, 503) else {}
    return JSONResponse({"detail": detail, "cause": cause}, status_code=status, headers=again)


_MEANING: Final[Mapping[type[Exception], tuple[int, str]]] = {
    NoSuchSource: (404, "unknown_source"),
    UnsupportedMediaType: (415, "unsupported_media_type"),
    BodyTooLarge: (413, "body_too_large"),
    MalformedBody: (422, "malformed_body"),
    TooMany: (429, "overloaded"),
    NotTaking: (503, "not_ready"),
    TimeoutError: (408, "too_slow"),
}


def _check_type(header: str | None) -> None:
    given = (header or "").partition(";")[0].strip().lower()
    if given not in (JPEG, PNG):
        raise UnsupportedMediaType(f"Content-Type {given[:80]!r} is not taken here; send {JPEG} or {PNG}")
