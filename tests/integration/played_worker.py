"""The page on which a cloud worker tells what it has counted, played: a pod's address is one of this machine's own."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler

from sedna_py.api.child_names import BIG_MODEL_PORT
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.protocol.reported_signals import SIGNALS_PATH, write_signals
from tests.played_server import PlayedServer, Reply


class PlayedWorker(PlayedServer):
    """A worker at `address` that has answered so many requests, and has so many inside. `reads` counts who has looked."""

    def __init__(self, address: str) -> None:
        super().__init__(self._answer, address, BIG_MODEL_PORT)
        self.address = address
        self.began = time.time()
        self.done = 0
        self.inside = 0
        self.reads = 0

    def page(self) -> str:
        offered, done, busy_s = float(self.done + self.inside), float(self.done), self.done / 10
        # Its clock is another machine's.
        return json.dumps(
            write_signals(Snapshot(time.monotonic() + 5000, self.began, offered, done, 0.0, busy_s, 0.0, busy_s, 1.0))
        )

    def _answer(self, request: BaseHTTPRequestHandler) -> Reply:
        self.reads += 1
        return Reply(200, self.page().encode() if request.path == SIGNALS_PATH else b"")
