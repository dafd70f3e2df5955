"""A loopback HTTP server that remembers what it was asked, and a worker's environment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sedna_py.context import BaseConfig


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class LoopbackServer:
    """Answers every request with `status` and `reply`; with `hang` set it answers none until it is closed."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status = 200
        self.reply: object = {"result": [["cloud"]]}
        self.hang = False
        self.arrived = threading.Event()
        self._released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.received.append(Received(self.command, self.path, headers, self.rfile.read(length)))
                outer.arrived.set()
                if outer.hang:
                    outer._released.wait(30)
                    return
                body = outer.reply if isinstance(outer.reply, bytes) else json.dumps(outer.reply).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def loopback() -> Iterator[LoopbackServer]:
    server = LoopbackServer()
    yield server
    server.close()


_READ = [
    "JOB_NAME",
    "SERVICE_NAME",
    "NAMESPACE",
    "WORKER_NAME",
    "MODEL_URL",
    "MODEL_NAME",
    "MODEL_PATH",
    "MODEL_LOAD_MODE",
    "BACKEND_TYPE",
    "LC_SERVER",
    "LC_PERIOD",
    "BIG_MODEL_IP",
    "BIG_MODEL_PORT",
    "BIG_MODEL_BIND_IP",
    "BIG_MODEL_BIND_PORT",
    "HEM_NAME",
    "HEM_PARAMETERS",
    "MINING_MODE",
    "OFFLOAD_DEADLINE_MS",
    "OFFLOAD_FORMAT",
    "UNWRAP_CLOUD_REPLY",
    "CLOUD_POST_PROCESS",
    "COUNT_HARD_ONCE",
]


@pytest.fixture
def worker_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set a worker's variables; those that are not given are unset."""

    def set_variables(**values: object) -> None:
        for name in _READ:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))
        BaseConfig.reload()

    set_variables()
    yield set_variables
    monkeypatch.undo()
    BaseConfig.reload()
