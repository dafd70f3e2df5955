"""A cloud worker's server in a thread of the test, on a free port, with whatever model code the test brings."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.workers.inference.tiny_models import save_colour_detector
from workers.cloud.app import create_app
from workers.cloud.big_model import BigModel, Limits
from workers.cloud.exchange import ExchangeLimits
from workers.cloud.handled import Observer
from workers.cloud.metrics import CloudMetrics
from workers.cloud.model_source import ModelAtUrl
from workers.cloud.report_relay import ReportRelay
from workers.cloud.routes import RouteOptions
from workers.cloud.server import ServerOptions, server_config
from workers.inference.predictor import EstimatorPredictor, create_predictor
from workers.listening import QuietServer, listen


@dataclass
class Worker:
    """A running server, seen from outside."""

    port: int
    model: BigModel
    server: QuietServer
    loop: asyncio.AbstractEventLoop
    listener: socket.socket
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def predict(self, **kwargs: Any) -> httpx.Response:
        return self.client.post("/sedna/predict", **kwargs)

    def metric(self, name: str, **labels: str) -> float:
        """Read one sample of /metrics; 0 where there is none."""
        wanted = name + ("{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}" if labels else "")
        for line in self.client.get("/metrics").text.splitlines():
            if line.rpartition(" ")[0] == wanted:
                return float(line.rpartition(" ")[2])
        return 0.0

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until the condition holds, looking at it from the server's own loop, where its state changes."""

        async def watch() -> None:
            async with asyncio.timeout(timeout_s):
                while not condition():  # noqa: ASYNC110 - a condition of code that sends no event
                    await asyncio.sleep(0.005)

        asyncio.run_coroutine_threadsafe(watch(), self.loop).result(timeout_s + 1)

    def wait_until_idle(self) -> None:
        admission = self.model.admission
        self.wait_for(lambda: admission.in_flight == 0 and admission.waiting == 0)

    def connect(self, head: str, body: bytes = b"") -> socket.socket:
        """Open a raw connection and send a request's head (lines end with \\n) and what there is of its body."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(head.strip().replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        return connection


@contextmanager
def serving(
    predictor: Any, limits: Limits, routes: RouteOptions, drain_s: float, observers: Sequence[Observer] = ()
) -> Iterator[Worker]:
    listener = listen("127.0.0.1", 0, setting="-")
    started: Future[Worker] = Future()

    async def main() -> None:
        metrics = CloudMetrics()
        model = BigModel(limits, metrics.model_served)
        metrics.watch(model.admission)
        options = ServerOptions(drain_s=drain_s, limits=limits, routes=routes)
        server = QuietServer(
            server_config(create_app(model, metrics, routes, ReportRelay(None, metrics), observers), options)
        )
        running = asyncio.create_task(server.serve(sockets=[listener]))
        if isinstance(predictor, ModelAtUrl):
            await predictor.begin(model, metrics)
        elif predictor is not None:
            model.attach(predictor)
        started.set_result(Worker(listener.getsockname()[1], model, server, asyncio.get_running_loop(), listener))
        await running
        if isinstance(predictor, ModelAtUrl):
            await predictor.end()
        await asyncio.to_thread(model.close)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="server")
    thread.start()
    worker = started.result(20)
    try:
        yield worker
    finally:
        worker.client.close()
        worker.server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


def starter(stack: ExitStack) -> Callable[..., Worker]:
    """Return a function that serves a predictor, or an estimator's instance, until the stack is closed."""

    def start(
        code: Any = None,
        *,
        concurrency: int = 0,
        waiting: int = 64,
        wait_s: float = 0.0,
        pixels: int = 50_000_000,
        body_bytes: int = 64 * 1024 * 1024,
        timeout_s: float = 30.0,
        prefix: str = "sedna",
        drain_s: float = 1.0,
        observers: Sequence[Observer] = (),
    ) -> Worker:
        predictor = code
        if code is not None and not isinstance(code, ModelAtUrl) and not hasattr(code, "submit"):
            predictor = EstimatorPredictor(code, requests=max(concurrency, 1))
        limits = Limits(concurrency, waiting, wait_s, pixels, body_bytes)
        routes = RouteOptions(prefix, "model", ExchangeLimits(body_bytes, timeout_s))
        return stack.enter_context(serving(predictor, limits, routes, drain_s, observers))

    return start


@pytest.fixture
def serve() -> Iterator[Callable[..., Worker]]:
    with ExitStack() as stack:
        yield starter(stack)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_colour_detector(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def worker(model_path: str) -> Iterator[Worker]:
    """One worker with the colour detector for all tests of a module."""
    with ExitStack() as stack:
        yield starter(stack)(create_predictor(model_path))


class Gate:
    """An estimator whose `predict` waits until the test opens it."""

    thread_safe = True

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)
        self.calls = 0
        self.lock = threading.Lock()

    def load(self, model_url: str = "") -> None: ...

    def predict(self, data: Any, **kwargs: Any) -> Any:
        with self.lock:
            self.calls += 1
        self.entered.release()
        if not self.opened.wait(30):
            raise TimeoutError("the test never opened the gate")
        return [len(data)]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()
