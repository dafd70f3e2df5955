"""A cloud worker that is scaled to zero, played: who stands in for it, a cold start, and the worker, all at one address."""

from __future__ import annotations

import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler

from sedna_py.protocol.asleep import RETRY_AFTER_S, asleep_body
from tests.played_server import PlayedServer, Reply

ANSWER = json.dumps({"result": [[1.0, 1.0, 9.0, 9.0, 0.75, 0]]}).encode()
ASLEEP = Reply(
    503, json.dumps(asleep_body("it wakes")).encode(), {"Retry-After": str(RETRY_AFTER_S), "Connection": "close"}
)


class SleepyCloud(PlayedServer):
    """Sleeps until somebody asks, is awake `cold_s` later, or that long after `wake`, and stays so until `sleep`.

    `asked` counts requests to predict; `frames` has the ids of those that were answered.
    """

    def __init__(self, cold_s: float, *, held: bool = False) -> None:
        """`held`: its cold start begins with `wake` only."""
        super().__init__(self._answer)
        self._cold_s = cold_s
        self._held = held
        self._lock = threading.Lock()
        self._wakes_at: float | None = None
        self.asked = 0
        self.frames: list[str] = []
        self.wakes = 0

    @property
    def awake_since(self) -> float | None:
        """The time of day since when it has been ready, None while it is not."""
        wakes_at = self._wakes_at
        return wakes_at if wakes_at is not None and wakes_at <= time.time() else None

    def wake(self) -> None:
        """Begin the cold start of one that is held."""
        with self._lock:
            self._wakes_at = time.time() + self._cold_s

    def sleep(self) -> None:
        """Let its last pod go."""
        with self._lock:
            self._wakes_at = None

    def _answer(self, request: BaseHTTPRequestHandler) -> Reply:
        if request.command == "POST" and self._ask(request.headers.get("X-Frame-Id", "")):
            return Reply(200, ANSWER)
        return ASLEEP

    def _ask(self, frame: str) -> bool:
        with self._lock:
            self.asked += 1
            if self._wakes_at is None:
                self._wakes_at = math.inf if self._held else time.time() + self._cold_s
                self.wakes += 1
            if time.time() < self._wakes_at:
                return False
            self.frames.append(frame)
            return True
