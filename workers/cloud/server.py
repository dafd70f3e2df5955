"""Runs the cloud worker: binds at once, loads beside it, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI

from sedna_py.errors import SednaError
from workers.cloud.app import create_app
from workers.cloud.big_model import AnyPredictor, BigModel, Limits
from workers.cloud.metrics import CloudMetrics
from workers.cloud.routes import RouteOptions
from workers.listening import listen

LOG = logging.getLogger(__name__)
KEEP_ALIVE_S = 300  # upstream's


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where to listen, and the bounds. `drain_s`: seconds for requests under way after SIGTERM."""

    host: str = "0.0.0.0"  # noqa: S104 - a server in a pod
    port: int = 5000
    drain_s: float = 10.0
    limits: Limits = field(default_factory=Limits)
    routes: RouteOptions = field(default_factory=RouteOptions)


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process by the signal instead of with status 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`."""
        yield


def serve(load: Callable[[], AnyPredictor], options: ServerOptions) -> None:
    """Serve until SIGTERM or SIGINT. `load` returns the warmed model; it runs in a thread while /readyz says 503.

    Raises SettingsError if the address is taken, and whatever `load` raises.
    """
    listener = listen(options.host, options.port, setting="BIG_MODEL_BIND_PORT")
    with contextlib.closing(listener):
        asyncio.run(_serve(load, options, listener))


async def _serve(load: Callable[[], AnyPredictor], options: ServerOptions, listener: socket.socket) -> None:
    model, metrics = BigModel(options.limits), CloudMetrics()
    server = QuietServer(_config(create_app(model, metrics, options.routes), options))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    loading = asyncio.create_task(asyncio.to_thread(load))
    try:
        await asyncio.wait({loading, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            predictor = loading.result()
            model.attach(predictor)
            metrics.watch(model.admission, predictor.streams)
            port = listener.getsockname()[1]
            LOG.info("ready on port %d, %d streams", port, predictor.streams)
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        model.drain()
        server.should_exit = True
        await serving
        stopping.cancel()
        await asyncio.to_thread(model.close)
        LOG.info("stopped")


def _config(app: FastAPI, options: ServerOptions) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(round(options.drain_s), 1),
        server_header=False,
    )


def explain(error: SednaError) -> str:
    """Return an error as the one line that a worker prints before it ends."""
    return "; ".join(str(error).splitlines())
