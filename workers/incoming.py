"""One HTTP request as whoever answers it in one piece sees it, whatever server it came through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

Field = tuple[bytes, bytes]  # name in small letters, and value
Fields = Iterable[Field]
Tell = Callable[[], object]
EXTENSION: Final = "sedna.connection"  # in an ASGI scope's `extensions`: the ConnectionWatch


class Incoming(Protocol):
    """A request whose head is there; `path_params` are the parts of its address that a route has found in it."""

    path: str
    fields: Fields
    path_params: Mapping[str, Any]

    async def next(self) -> tuple[bytes, bool]:
        """Return what of the body has come, and whether there is more. Raises ClientDisconnect."""

    def tell_if_lost(self, tell: Tell | None) -> None:
        """Call `tell` once the connection is lost, at once if it is already; None: nobody wants to know any more."""

    async def reply(self, status: int, fields: Sequence[Field], body: bytes) -> None:
        """Answer; does nothing where nobody is there to hear it."""


class ConnectionWatch:
    """Tells of the end of one connection, whose requests are answered one after the other.

    ASGI says so only to who asks (`receive`), which takes a task beside each request; this is a call from the connection itself.
    """

    __slots__ = ("_tell", "is_lost")

    def __init__(self) -> None:
        self._tell: Tell | None = None
        self.is_lost = False

    def tell_if_lost(self, tell: Tell | None) -> None:
        """As in Incoming."""
        self._tell = tell
        if self.is_lost and tell is not None:
            tell()

    def lost(self) -> None:
        """Note that the connection is gone."""
        self.is_lost = True
        if self._tell is not None:
            self._tell()


class AsgiRequest:
    """One that came through ASGI, and so through routes and middleware."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.path: str = scope["path"]
        self.fields: Fields = scope["headers"]
        self.path_params: Mapping[str, Any] = scope.get("path_params", {})
        self._watch: ConnectionWatch = (
            (scope.get("extensions") or {}).get(EXTENSION, {}).get("watch", ConnectionWatch())
        )
        self._receive = receive
        self._send = send

    async def next(self) -> tuple[bytes, bool]:
        """As in Incoming."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message.get("body", b""), message.get("more_body", False)

    def tell_if_lost(self, tell: Tell | None) -> None:
        """As in Incoming, under a server that has the extension; else nobody is ever told."""
        self._watch.tell_if_lost(tell)

    async def reply(self, status: int, fields: Sequence[Field], body: bytes) -> None:
        """As in Incoming."""
        await self._send({"type": "http.response.start", "status": status, "headers": fields})
        await self._send({"type": "http.response.body", "body": body})
