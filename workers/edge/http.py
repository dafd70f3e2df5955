"""The edge worker's own small HTTP server, in a thread, for probes, Prometheus and pictures that are sent here.

Starlette without FastAPI: a worker imports for a sixth less processor time, of which a killed one's successor has little.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from workers.edge.metrics import EdgeMetrics
from workers.health import health_routes
from workers.listening import PortTaken, QuietServer, listen

LOG = logging.getLogger(__name__)


class HealthServer:
    """Serves /healthz, /readyz, /metrics and what is in `more` until `close`."""

    def __init__(
        self, port: int, metrics: EdgeMetrics, not_ready: Callable[[], str | None], more: Sequence[Route] = ()
    ) -> None:
        app = Starlette(routes=[*health_routes(metrics.registry, not_ready, metrics.collect), *more])
        self._socket = _listen(port)
        self.port = int(self._socket.getsockname()[1])
        self._server = QuietServer(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()


def _listen(port: int) -> socket.socket:
    """Return a listening socket, of a free port where this one is taken: on the host's network a replica has it already."""
    try:
        return listen("", port, setting="EDGE_HTTP_PORT")
    except PortTaken:
        listener = listen("", 0, setting="EDGE_HTTP_PORT")
        LOG.warning("EDGE_HTTP_PORT %d is taken, serving on %d", port, listener.getsockname()[1])
        return listener
