"""Cloud workers that are only played: servers on loopback that tell counters as a worker under load would."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from sedna_py.api.child_names import BIG_MODEL_PORT
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from sedna_py.protocol.reported_signals import SIGNALS_PATH, write_signals
from tests.integration.pod_pictures import Object, Picture, running

NETWORK = "127.77.0"
MOST = 12
REQUEST_S = 0.1

Behave = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class PlayedWorker:
    """One worker: `load` requests are inside all the time, each of which takes REQUEST_S."""

    address: str
    began: float = field(default_factory=time.time)
    behave: Behave | None = None
    load: float = 0.0
    present_s: float = 0.0
    at: float = field(default_factory=time.monotonic)

    def put_load(self, load: float) -> None:
        """Change the load from now on."""
        self.count()
        self.load = load

    def count(self) -> Snapshot:
        """Return the counters of this moment."""
        now = time.monotonic()
        self.present_s += (now - self.at) * self.load
        self.at = now
        done = self.present_s / REQUEST_S
        buckets = (0.0,) * 6 + (done,) * (len(names.STAGE_BUCKETS_S) - 5)
        return Snapshot(now, self.began, done, done, 0.0, self.present_s, 0.0, self.present_s, 1.0, buckets)


class PlayedWorkers:
    """A context manager with addresses for pods; `total` requests are spread evenly over the workers in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_pod: dict[str, PlayedWorker] = {}
        self._servers: dict[str, _Server] = {}
        self._total = 0.0

    def __enter__(self) -> Self:
        for number in range(1, MOST + 1):
            self._listen(f"{NETWORK}.{number}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def ready(self, pod: Object) -> Picture:
        """Let a pod be ready at an address of its own: to be played by a kubelet."""
        address = self.of(pod).address
        where = {"podIP": address, "podIPs": [{"ip": address}]}
        return Picture(running(ago_s=60), phase="Running", fields=where)

    def of(self, pod: Object) -> PlayedWorker:
        """Return a pod's worker; a new pod gets a free address."""
        uid = pod["metadata"]["uid"]
        with self._lock:
            if uid not in self._of_pod:
                taken = {worker.address for worker in self._of_pod.values()}
                free = [address for address in (f"{NETWORK}.{n}" for n in range(1, MOST + 1)) if address not in taken]
                self._of_pod[uid] = PlayedWorker(free[0])
                self._spread()
            return self._of_pod[uid]

    def keep(self, pods: list[Object]) -> None:
        """Free the addresses of all other pods."""
        kept = {pod["metadata"]["uid"] for pod in pods}
        with self._lock:
            self._of_pod = {uid: worker for uid, worker in self._of_pod.items() if uid in kept}
            self._spread()

    def put_load(self, total: float) -> None:
        """Have so many requests inside, over all workers."""
        with self._lock:
            self._total = total
            self._spread()

    def kill(self) -> None:
        """Let no worker answer any more."""
        for server in self._servers.values():
            server.shutdown()
            server.server_close()
            server.drop_all()
        self._servers.clear()

    def revive(self) -> None:
        """Let them answer again; they have counted all the time."""
        for number in range(1, MOST + 1):
            self._listen(f"{NETWORK}.{number}")

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request as the worker at its address does."""
        address = handler.connection.getsockname()[0]
        with self._lock:
            worker = next((one for one in self._of_pod.values() if one.address == address), None)
            body = json.dumps(write_signals(worker.count())).encode() if worker is not None else b""
        if worker is not None and worker.behave is not None:
            worker.behave(handler)
        elif worker is None or handler.path != SIGNALS_PATH:
            send(handler, 404, b"")
        else:
            send(handler, 200, body)

    def _spread(self) -> None:
        for worker in self._of_pod.values():
            worker.put_load(self._total / len(self._of_pod))

    def _listen(self, address: str) -> None:
        server = self._servers[address] = _Server((address, BIG_MODEL_PORT), self)
        threading.Thread(target=server.serve_forever, args=(0.05,), name=f"worker {address}", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], workers: PlayedWorkers) -> None:
        self._open: set[socket.socket] = set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                workers.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                return None

        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        return None  # the other side has gone

    def drop_all(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
