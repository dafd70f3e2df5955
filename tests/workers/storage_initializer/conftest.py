"""A web server that misbehaves on demand, and the program run in this process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from workers.storage_initializer.__main__ import run


class Handler(BaseHTTPRequestHandler):
    """Hands each request to what the test put at its path; the last answer of a list stays."""

    server: WebServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0]
        answers = self.server.answers.get(path, [not_found])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Answer = Callable[[Handler], None]


class WebServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.released = threading.Event()
        self.host = f"127.0.0.1:{self.server_address[1]}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def serve(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return self.url(path)


def body(data: bytes, **headers: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def torn(data: bytes, announced: int) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(announced))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def status(code: int, **headers: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


not_found = status(404)


def silent(handler: Handler) -> None:
    handler.server.released.wait(20)


def dripping(handler: Handler) -> None:
    """Send a byte now and then, for ever."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while not handler.server.released.wait(0.005):
            handler.wfile.write(b"x")
    except OSError:
        return


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


@dataclass
class Program:
    """Runs the initializer and keeps what it said."""

    capsys: pytest.CaptureFixture[str]
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    said: str = ""
    error: str = ""

    def __call__(self, *arguments: str, **environment: str) -> int:
        result = run(arguments, {**self.environment, **environment})
        self.said, self.error = self.capsys.readouterr()
        assert self.error.count("\n") == (1 if result else 0)
        return result

    def fetch(self, url: str, **environment: str) -> int:
        return self(url, str(self.directory), **environment)

    @property
    def files(self) -> dict[str, bytes]:
        """What a worker sees: all files but the records, by their path below the directory."""
        found = [path for path in self.directory.rglob("*") if path.is_file() and not path.name.endswith(".fetched")]
        return {str(path.relative_to(self.directory)): path.read_bytes() for path in found}


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setattr("workers.storage_initializer.fetch.FIRST_PAUSE_S", 0.001)
    return Program(capsys, tmp_path / "downloads", {"TERMINATION_LOG": str(tmp_path / "none")})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
