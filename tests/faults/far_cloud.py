"""A cloud on another machine, as far as this one's processors can tell: it answers after a while and computes nothing.

    python -m tests.faults.far_cloud PORT [--seconds 0.05] [--streams 0] [--host 127.0.0.1] [--input 192x192]

It takes what the edge sends, its Server-Timing is the cloud worker's, and so is what it says of its model's input
(X-Sedna-Input). `POST /mode/<mode>` changes how it answers, `GET /count` tells how many predictions it answered well.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

ROOT: Final = Path(__file__).parents[2]
START_S: Final = 10.0
BOXES: Final = b'{"result": [[10, 20, 30, 40, 0.9, 1]]}'
HUGE: Final = 9_000_000  # bytes; more than the edge takes of one reply
OK, UNAVAILABLE, MALFORMED, HUGE_REPLY = "ok", "unavailable", "malformed", "huge"


class FarModel:
    """Answers each request `seconds` after it began; `streams` at a time, 0 for as many as there are."""

    def __init__(self, seconds: float, streams: int, model_input: str = "") -> None:
        self.seconds = seconds
        self.says = f"X-Sedna-Input: {model_input}\r\n" if model_input else ""
        self.mode = OK
        self.answered = 0
        self._free = [0.0] * streams  # when each stream is free

    def schedule(self, now: float) -> tuple[float, float]:
        """Return when the work on a request that came now begins and ends."""
        begins = max(self._free[0], now) if self._free else now
        ends = begins + self.seconds
        if self._free:
            heapq.heapreplace(self._free, ends)
        return begins, ends


class Exchange(asyncio.Protocol):
    """One connection: the least of HTTP that serves the edge's client."""

    def __init__(self, model: FarModel) -> None:
        self._model = model
        self._read = bytearray()
        self._needs = 0  # bytes until the request is whole, once its head is known
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._needs:
            end = self._read.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._read[:end]).lower().split(b"\r\n")
            length = next((int(line.split(b":")[1]) for line in head if line.startswith(b"content-length:")), 0)
            self._needs = end + 4 + length
        if len(self._read) < self._needs:
            return
        method, path = bytes(self._read[: self._read.find(b"\r\n")]).decode().split(" ")[:2]
        del self._read[: self._needs]
        self._needs = 0
        self._handle(method, path)

    def _handle(self, method: str, path: str) -> None:
        if path.startswith("/mode/"):
            self._model.mode = path.removeprefix("/mode/")
            self._answer(200, b"{}")
        elif method == "GET":
            self._answer(200, json.dumps({"infos": [], "answered": self._model.answered}).encode())
        elif self._model.mode == UNAVAILABLE:
            self._answer(503, b'{"detail": "not now", "cause": "unavailable"}', "Retry-After: 1\r\n")
        elif self._model.mode == MALFORMED:
            self._answer(200, BOXES[:-3])
        elif self._model.mode == HUGE_REPLY:
            self._answer(200, b'{"result": [' + b" " * HUGE + b"]}", chunked=True)
        else:
            loop = asyncio.get_running_loop()
            now = loop.time()
            begins, ends = self._model.schedule(now)
            timing = f"queue;dur={(begins - now) * 1000:.3f}, infer;dur={(ends - begins) * 1000:.3f}"
            loop.call_at(ends, self._predicted, f"Server-Timing: {timing}\r\n{self._model.says}")

    def _predicted(self, headers: str) -> None:
        self._model.answered += 1
        self._answer(200, BOXES, headers)

    def _answer(self, status: int, body: bytes, headers: str = "", *, chunked: bool = False) -> None:
        if self._transport is None:
            return
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}{length}\r\n\r\n"
        framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
        self._transport.write(head.encode() + framed)


class FarCloud:
    """A running far cloud, seen from outside."""

    def __init__(self, host: str, port: int, process: subprocess.Popen[bytes]) -> None:
        self.host = host
        self.port = port
        self.pid = process.pid

    def switch(self, mode: str) -> None:
        """Answer so from now on."""
        httpx.post(f"http://{self.host}:{self.port}/mode/{mode}", trust_env=False).raise_for_status()

    def answered(self) -> int:
        """Return how many predictions were answered well."""
        answer = httpx.get(f"http://{self.host}:{self.port}/count", trust_env=False).raise_for_status()
        return int(answer.json()["answered"])


@contextmanager
def far_cloud(
    port: int, seconds: float = 0.05, streams: int = 0, host: str = "127.0.0.1", model_input: str = ""
) -> Iterator[FarCloud]:
    """Run one; it ends with the context. `model_input`: what it says of it, nothing by default."""
    command = [sys.executable, "-m", "tests.faults.far_cloud", str(port)]
    command += ["--seconds", str(seconds), "--streams", str(streams), "--host", host, "--input", model_input]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        cloud = FarCloud(host, port, process)
        _wait(cloud, process)
        yield cloud
    finally:
        process.kill()
        process.wait(START_S)


def _wait(cloud: FarCloud, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            cloud.answered()
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the far cloud does not answer") from None
            time.sleep(0.02)
        else:
            return


async def serve(host: str, port: int, model: FarModel) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(lambda: Exchange(model), host, port, backlog=256)
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--seconds", type=float, default=0.05)
    parser.add_argument("--streams", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--input", default="")
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.host, chosen.port, FarModel(chosen.seconds, chosen.streams, chosen.input)))


if __name__ == "__main__":
    main()
