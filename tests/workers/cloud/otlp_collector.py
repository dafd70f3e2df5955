"""Takes spans over HTTP, as an OpenTelemetry collector does."""

from __future__ import annotations

import http.server
import queue
import threading
from typing import Any


class Collector:
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.bodies: queue.Queue[bytes] = queue.Queue()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.put(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words: Any) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def spans(self) -> list[Any]:
        """Return the spans that have come so far."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found = []
        while not self.bodies.empty():
            request = ExportTraceServiceRequest.FromString(self.bodies.get())
            found += [s for resource in request.resource_spans for scope in resource.scope_spans for s in scope.spans]
        return found

    def close(self) -> None:
        """End the server."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
