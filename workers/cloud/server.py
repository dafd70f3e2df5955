"""Runs the cloud worker: binds at once, loads beside it, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI

from workers.cloud.app import create_app
from workers.cloud.big_model import AnyPredictor, BigModel, Limits
from workers.cloud.drain import StopSignals, await_last_arrivals, be_lame_duck
from workers.cloud.metrics import CloudMetrics
from workers.cloud.report_relay import ReportRelay
from workers.cloud.routes import RouteOptions
from workers.cpu_limit import CpuBudget
from workers.lingering import LingeringProtocol
from workers.listening import QuietServer, listen

LOG = logging.getLogger(__name__)
KEEP_ALIVE_S = 300  # upstream's
CLOSE_S = 2.0  # for a model that has to end what it is doing, after the drain

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where to listen, the bounds, and where reports go (None: nowhere).

    `lame_duck_s`: seconds in which requests are taken after SIGTERM; `drain_s`: seconds that those under way get after that.
    """

    host: str = "0.0.0.0"  # noqa: S104 - a server in a pod
    port: int = 5000
    lame_duck_s: float = 5.0
    drain_s: float = 10.0
    limits: Limits = field(default_factory=Limits)
    routes: RouteOptions = field(default_factory=RouteOptions)
    lc_server: str | None = None


def serve(load: Callable[[], AnyPredictor], options: ServerOptions, cpu: CpuBudget | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `load` returns the warmed model; it runs in a thread while /readyz says 503.

    Raises SettingsError if the address is taken or lc_server is no address, and whatever `load` raises. A `load` that is
    under way at SIGTERM, or a model that does not come to rest within CLOSE_S, is left behind in its thread: the caller
    should end the process.
    """
    listener = listen(options.host, options.port, setting="BIG_MODEL_BIND_PORT")
    with contextlib.closing(listener):
        asyncio.run(_serve(load, options, CloudMetrics(cpu), listener))


async def _serve(
    load: Callable[[], AnyPredictor], options: ServerOptions, metrics: CloudMetrics, listener: socket.socket
) -> None:
    model = BigModel(options.limits)
    relay = ReportRelay(options.lc_server, metrics)
    server = QuietServer(server_config(create_app(model, metrics, options.routes, relay), options))
    signals = StopSignals()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(signals.stop.wait())
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
            LOG.info("stopping: not ready, still answering")
            model.drain()
            await be_lame_duck(model, options.lame_duck_s, signals.hurry)
            await server.stop_listening(listener)
            if options.lame_duck_s:
                await await_last_arrivals(server, signals.hurry)
        LOG.info("stopping")
    finally:
        model.drain()
        server.should_exit = True
        stopping.cancel()
        loading.cancel()
        await asyncio.wait({serving})
        await asyncio.gather(relay.stop(), _close(model))
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
        http=LingeringProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(round(options.drain_s), 1),
        server_header=False,
    )
