"""Runs the cloud worker: binds at once, loads beside it, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI

from workers.cloud.access_log import AccessLog
from workers.cloud.app import create_app
from workers.cloud.big_model import BigModel, Limits
from workers.cloud.drain import StopSignals, await_last_arrivals, be_lame_duck
from workers.cloud.handled import Observer
from workers.cloud.metrics import CloudMetrics
from workers.cloud.model_source import ModelSource
from workers.cloud.report_relay import ReportRelay
from workers.cloud.routes import RouteOptions
from workers.cloud.tracing import start_tracing
from workers.cpu_limit import CpuBudget
from workers.http_protocol import WorkerProtocol
from workers.listening import QuietServer, listen
from workers.models.threads import in_daemon_thread

LOG = logging.getLogger(__name__)
KEEP_ALIVE_S = 300  # upstream's
SWITCH_S = 0.0005
CLOSE_S = 2.0  # for a model that has to end what it is doing, after the drain


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where to listen, the bounds, where reports go (None: nowhere), and what part of the requests gets a line in the log.

    `lame_duck_s`: seconds in which requests are taken after SIGTERM; `drain_s`: seconds that those under way get after that.
    """

    host: str = "0.0.0.0"  # noqa: S104 - a server in a pod
    port: int = 5000
    lame_duck_s: float = 5.0
    drain_s: float = 10.0
    limits: Limits = field(default_factory=Limits)
    routes: RouteOptions = field(default_factory=RouteOptions)
    lc_server: str | None = None
    access_log: float = 0.0


def serve(source: ModelSource, options: ServerOptions, cpu: CpuBudget | None = None) -> None:
    """Serve until SIGTERM or SIGINT; while `source` loads its first model, /readyz says 503.

    Raises SettingsError if the address is taken, lc_server is no address or tracing is asked for and not installed, and whatever
    loading raises. A load that is under way at SIGTERM, or a model that does not come to rest within CLOSE_S, is left behind in
    its thread: the caller should end the process.
    """
    # While the event loop has one refusal after another to write, each thread of the model would wait up to 5 ms, which is
    # Python's default, for every little Python between its decoding and its answer.
    sys.setswitchinterval(SWITCH_S)
    listener = listen(options.host, options.port, setting="BIG_MODEL_BIND_PORT")
    tracing = start_tracing(os.environ, {"service.name": options.routes.model_name})
    with contextlib.closing(listener), contextlib.ExitStack() as stack:
        observers: list[Observer] = [AccessLog(options.access_log)] if options.access_log else []
        if tracing is not None:
            observers.append(tracing.observe)
            stack.callback(tracing.close)
        metrics = CloudMetrics(cpu)
        work = _serve(source, options, metrics, listener, observers)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(work)


async def _serve(
    source: ModelSource,
    options: ServerOptions,
    metrics: CloudMetrics,
    listener: socket.socket,
    observers: Sequence[Observer],
) -> None:
    model = BigModel(options.limits, metrics.model_served)
    metrics.watch(model.admission)
    relay = ReportRelay(options.lc_server, metrics)
    server = QuietServer(server_config(create_app(model, metrics, options.routes, relay, observers), options))
    signals = StopSignals()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(signals.stop.wait())
    loading = asyncio.create_task(source.begin(model, metrics))
    relay.start()
    first: set[asyncio.Future[Any]] = {loading, stopping, serving}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()
            LOG.info("ready on port %d, %d streams", listener.getsockname()[1], model.streams)
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
        await asyncio.gather(relay.stop(), source.end())
        await _close(model)
    serving.result()


async def _close(model: BigModel) -> None:
    closing = in_daemon_thread(model.close, "close")
    done, _ = await asyncio.wait({closing}, timeout=CLOSE_S)
    if not done:
        closing.cancel()
        LOG.warning("the model is still busy after %g s and is left behind", CLOSE_S)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop that the worker serves on: libuv's where there is one, for half of asyncio's own time per request."""
    try:
        import uvloop
    except ImportError:  # on Windows
        return asyncio.new_event_loop()
    # Else libuv sleeps after each connection that it accepts, so that other processes get some: here there are none.
    os.environ.setdefault("UV_TCP_SINGLE_ACCEPT", "0")
    return uvloop.new_event_loop()


def server_config(app: FastAPI, options: ServerOptions) -> uvicorn.Config:
    """Return what uvicorn needs to know."""
    return uvicorn.Config(
        app,
        http=WorkerProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(round(options.drain_s), 1),
        server_header=False,
        proxy_headers=False,  # nobody asks who the client is
    )
