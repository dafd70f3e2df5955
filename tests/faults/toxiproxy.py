"""Toxiproxy between an edge and its cloud: a real TCP proxy whose link is made bad while a test looks on.

Its HTTP API as far as it is needed here (github.com/Shopify/toxiproxy, README).
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from sedna_py.local.ports import free_port

START_S: Final = 10.0
HOST: Final = "127.0.0.1"
UP, DOWN = "upstream", "downstream"  # from the edge to the cloud, and back


class Link:
    """One proxied way to a port of this machine. `port` is where to connect to."""

    def __init__(self, api: httpx.Client, name: str, port: int) -> None:
        self._api = api
        self._name = name
        self.port = port

    def cut(self) -> None:
        """Refuse new connections and end those that there are."""
        self._post("", {"enabled": False})

    def restore(self) -> None:
        """Take connections again."""
        self._post("", {"enabled": True})

    def poison(self, kind: str, stream: str, toxicity: float = 1.0, **attributes: int) -> None:
        """Add a toxic to one direction, on a part `toxicity` of the connections, present ones included."""
        toxic = {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "toxicity": toxicity}
        self._post("/toxics", {**toxic, "attributes": attributes})

    def delay(self, round_trip_ms: int) -> None:
        """Make a round trip take so long, half of it each way."""
        for stream in (UP, DOWN):
            self.poison("latency", stream, latency=round_trip_ms // 2)

    def swallow(self) -> None:
        """Let nothing through and end no connection."""
        for stream in (UP, DOWN):
            self.poison("timeout", stream, timeout=0)

    def heal(self) -> None:
        """Be a good link again."""
        for toxic in self._api.get(f"/proxies/{self._name}/toxics").raise_for_status().json():
            self._api.delete(f"/proxies/{self._name}/toxics/{toxic['name']}").raise_for_status()
        self.restore()

    def _post(self, path: str, body: dict[str, Any]) -> None:
        self._api.post(f"/proxies/{self._name}{path}", json=body).raise_for_status()


class Toxiproxy:
    """A running proxy server."""

    def __init__(self, api: httpx.Client, pid: int) -> None:
        self._api = api
        self.pid = pid

    def link(self, to: int, port: int = 0) -> Link:
        """Make a way to a port of this machine, from a free one unless it is given."""
        name, at = f"to-{to}", port or free_port()
        body = {"name": name, "listen": f"{HOST}:{at}", "upstream": f"{HOST}:{to}", "enabled": True}
        self._api.post("/proxies", json=body).raise_for_status()
        return Link(self._api, name, at)


@contextmanager
def running(program: Path, seed: int = 1) -> Iterator[Toxiproxy]:
    """Run the server; `seed` is of its dice. It ends with the context."""
    port = free_port()
    command = [str(program), "-host", HOST, "-port", str(port), "-seed", str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False, timeout=START_S) as api:
            _wait(api, process)
            yield Toxiproxy(api, process.pid)
    finally:
        process.kill()
        process.wait(START_S)


def _wait(api: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"toxiproxy ended with status {process.returncode}")
        with contextlib.suppress(httpx.TransportError):
            if api.get("/version").status_code == 200:
                return
        time.sleep(0.02)
    raise TimeoutError("toxiproxy did not answer in time")
