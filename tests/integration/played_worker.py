"""The page on which a cloud worker tells what it has counted, played: a pod's address is one of this machine's own."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from sedna_py.api.child_names import BIG_MODEL_PORT
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.protocol.reported_signals import SIGNALS_PATH, write_signals


class PlayedWorker:
    """A worker at `address` that has answered so many requests; a context manager. `reads` counts who has looked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.began = time.time()
        self.done = 0
        self.reads = 0
        worker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                worker.reads += 1
                body = worker.page().encode() if self.path == SIGNALS_PATH else b""
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer((address, BIG_MODEL_PORT), Handler)
        self._server.daemon_threads = True
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

    def page(self) -> str:
        done, busy_s = float(self.done), self.done / 10
        # Its clock is another machine's.
        return json.dumps(
            write_signals(Snapshot(time.monotonic() + 5000, self.began, done, done, 0.0, busy_s, 0.0, busy_s, 1.0))
        )
