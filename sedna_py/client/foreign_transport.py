"""Any httpx transport behind the face of our own connections: for who wants to put one in their place."""

from __future__ import annotations

import httpx

from sedna_py.client.http_connection import Follower, Reply
from sedna_py.client.http_pool import Request


class ForeignTransport:
    """An Exchanger that sends by an httpx transport, and takes no body over `most_bytes`."""

    def __init__(self, transport: httpx.AsyncBaseTransport, most_bytes: int) -> None:
        self._transport = transport
        self._most_bytes = most_bytes

    async def exchange(self, request: Request, follower: Follower, connect_s: float | None = None) -> Reply:
        """As in Exchanger; of the steps only the begin of the reply is told."""
        sent = httpx.Request(
            request.method,
            request.url,
            content=request.body or None,
            headers=dict(request.headers),
            extensions={"timeout": {"connect": connect_s}},
        )
        response = await self._transport.handle_async_request(sent)
        follower.reply_begun()
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status_code, headers, await self._read(response))
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _read(self, response: httpx.Response) -> bytes | None:
        chunks = bytearray()
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - an asynchronous transport's
        async for chunk in response.stream:
            chunks += chunk
            if len(chunks) > self._most_bytes:
                return None
        return bytes(chunks)
