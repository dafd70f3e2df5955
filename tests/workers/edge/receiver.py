"""A real HTTP server that receives a webhook, and fails as a script says."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """Does with request n (from 0) what `script(n)` says: a status, (status, headers), or something of its own."""

    daemon_threads = True

    def __init__(self, script: Callable[[int], object], port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.script, self.ended = script, threading.Event()
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook/t0ken"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def get_request(self):
        self.connections += 1
        return super().get_request()

    def close(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()
        self._thread.join(5)

    @property
    def bodies(self):
        return [json.loads(body) for _, body in self.requests]

    def handle_error(self, *_: object) -> None: ...  # clients that go away are what is tested


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((fields, body))
        what = self.server.script(len(self.server.requests) - 1)
        if callable(what):
            what(self)
            return
        status, more = what if isinstance(what, tuple) else (what, {})
        self.send_response(status)
        for name, value in {"Content-Length": "2", **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...
