"""Runs the cloud worker: binds at once, loads beside it, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI

from workers.cloud.app import create_app
from workers.cloud.big_model import AnyPredictor, BigModel, Limits
from workers.cloud.metrics import CloudMetrics
from workers.cloud.report_relay import ReportRelay
from workers.cloud.routes import RouteOptions
from workers.listening import QuietServer, listen

LOG = logging.getLogger(__name__)
KEEP_ALIVE_S = 300  # upstream's
CLOSE_S = 5.0  # for a model that has to end what it is doing, after the drain

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where to listen, the bounds, and where reports go (None: nowhere). `drain_s`: seconds for requests after SIGTERM."""

    host: str = "0.0.0.0"  # noqa: S104 - a server in a pod
    port: int = 5000
    drain_s: float = 10.0
    limits: Limits = field(default_factory=Limits)
    routes: RouteOptions = field(default_factory=RouteOptions)
    lc_server: str | None = None


def serve(load: Callable[[], AnyPredictor], options: ServerOptions) -> None:
    """Serve until SIGTERM or SIGINT. `load` returns the warmed model; it runs in a thread while /readyz says 503.

    Raises SettingsError if the address is taken or lc_server is no address, and whatever `load` raises. A `load` that is
    under way at SIGTERM, or a model that does not come to rest within CLOSE_S, is left behind in its thread: the caller
    should end the process.
    """
    listener = listen(options.host, options.port, setting="BIG_MODEL_BIND_PORT")
    with contextlib.closing(listener):
        asyncio.run(_serve(load, options, listener))


async def _serve(load: Callable[[], AnyPredictor], options: ServerOptions, listener: socket.socket) -> None:
    model, metrics = BigModel(options.limits), CloudMetrics()
    relay = ReportRelay(options.lc_server, metrics)
    server = QuietServer(server_config(create_app(model, metrics, options.routes, relay), options))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    loading = in_daemon_thread(load)
    relay.start()
    first: set[asyncio.Future[Any]] = {loading, stopping, serving}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            predictor = loading.result()
            model.attach(predictor)
            metrics.watch(model.admission, predictor.streams)
            LOG.info("ready on port %d, %d streams", listener.getsockname()[1], predictor.streams)
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        LOG.info("stopping")
    finally:
        model.drain()
        server.should_exit = True
        stopping.cancel()
        loading.cancel()
        await asyncio.wait({serving})
        await relay.stop()
        await _close(model)
    serving.result()


async def _close(model: BigModel) -> None:
    closing = in_daemon_thread(model.close)
    done, _ = await asyncio.wait({closing}, timeout=CLOSE_S)
    if not done:
        closing.cancel()
        LOG.warning("the model is still busy after %g s and is left behind", CLOSE_S)


def in_daemon_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run `function` in a thread that neither the event loop nor the interpreter waits for when it ends."""
    promise: concurrent.futures.Future[T] = concurrent.futures.Future()
    promise.set_running_or_notify_cancel()

    def work() -> None:
        try:
            outcome = function()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the future is awaited
            promise.set_exception(error)
        else:
            promise.set_result(outcome)

    threading.Thread(target=work, name=getattr(function, "__name__", "work"), daemon=True).start()
    return asyncio.wrap_future(promise)


def server_config(app: FastAPI, options: ServerOptions) -> uvicorn.Config:
    """Return what uvicorn needs to know."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(round(options.drain_s), 1),
        server_header=False,
    )
