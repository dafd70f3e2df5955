"""A cloud worker that is scaled to zero, played: who stands in for it, a cold start, and the worker, all at one address."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from sedna_py.protocol.asleep import RETRY_AFTER_S, asleep_body

ANSWER = json.dumps({"result": [[1.0, 1.0, 9.0, 9.0, 0.75, 0]]}).encode()


class SleepyCloud:
    """Sleeps until somebody asks, is awake `cold_s` later, and stays so until `sleep`. A context manager.

    `asked` and `answered` count requests to predict; `frames` has the ids of those that were answered.
    """

    def __init__(self, cold_s: float) -> None:
        self._cold_s = cold_s
        self._lock = threading.Lock()
        self._wakes_at: float | None = None
        self.asked = 0
        self.frames: list[str] = []
        self.wakes = 0
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if cloud._ask(self.headers.get("X-Frame-Id", "")):
                    self._reply(200, ANSWER)
                else:
                    body = json.dumps(asleep_body("it wakes")).encode()
                    self._reply(503, body, Retry_After=str(RETRY_AFTER_S), Connection="close")

            def _reply(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    @property
    def awake_since(self) -> float | None:
        """The time of day since when it has been ready, None while it is not."""
        wakes_at = self._wakes_at
        return wakes_at if wakes_at is not None and wakes_at <= time.time() else None

    def sleep(self) -> None:
        """Let its last pod go."""
        with self._lock:
            self._wakes_at = None

    def _ask(self, frame: str) -> bool:
        with self._lock:
            self.asked += 1
            if self._wakes_at is None:
                self._wakes_at = time.time() + self._cold_s
                self.wakes += 1
            if time.time() < self._wakes_at:
                return False
            self.frames.append(frame)
            return True
