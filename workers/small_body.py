"""Bodies of requests that are no frames: small, or not taken."""

from __future__ import annotations

from starlette.requests import Request

from sedna_py.errors import BodyTooLarge


async def read_bounded(request: Request, limit: int, what: str, advice: str = "") -> bytes:
    """Return the body. Raises BodyTooLarge over `limit` bytes, ClientDisconnect if it is cut off."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise BodyTooLarge(f"{what} is larger than {limit} bytes" + (f"; {advice}" if advice else ""))
    return bytes(body)
