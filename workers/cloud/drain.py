"""The end of a cloud worker, step by step: not ready, still answering, not listening, done.

Between the first and the third step lies the time that others need to hear of the first: kube-proxy, DNS, edge workers.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.cloud.big_model import BigModel
from workers.listening import QuietServer

QUIET_S = 2.0  # nobody asks any more: Endpoints are changed within a second, and clients look each second
LAST_ARRIVALS_S = 0.5  # for a request on a connection that was accepted just before
TICK_S = 0.1


class StopSignals:
    """SIGTERM begins the drain. SIGINT, and any second signal, leave out what of it only helps others to notice."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._came, name)

    def _came(self, name: signal.Signals) -> None:
        if name == signal.SIGINT or self.stop.is_set():
            self.hurry.set()
        self.stop.set()


def lame_duck_left(now: float, began: float, last_asked: float, longest_s: float) -> float:
    """Return for how many seconds the worker goes on accepting, 0 or less for no more: until it is quiet, or `longest_s`."""
    return min(began + longest_s, max(began, last_asked) + QUIET_S) - now


async def be_lame_duck(model: BigModel, longest_s: float, hurry: asyncio.Event) -> None:
    """Answer whoever still comes, until nobody does or for `longest_s`."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while (left := lame_duck_left(clock(), began, model.last_asked, longest_s)) > 0 and not hurry.is_set():
        await _wait(hurry, left)


async def await_last_arrivals(server: QuietServer, hurry: asyncio.Event) -> None:
    """Give those who connected just before the listener went the time to send their request."""
    clock = asyncio.get_running_loop().time
    until = clock() + LAST_ARRIVALS_S
    while server.server_state.connections and (left := until - clock()) > 0 and not hurry.is_set():
        await _wait(hurry, min(left, TICK_S))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class ClosingReplies:
    """ASGI middleware: while the worker drains, each reply says that its connection ends, so that clients go elsewhere."""

    def __init__(self, app: ASGIApp, draining: Callable[[], bool]) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining():
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, closing)
