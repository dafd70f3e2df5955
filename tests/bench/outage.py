"""Edge frames/s while the cloud is gone or silent, over those with a healthy cloud: the real workers, the demo's filter."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sedna_py.local.ports import free_port
from tests.bench.cloud import serving
from tests.bench.edge import worker_frames_per_second
from tests.bench.pairs import Pair

THRESHOLD = '[{"key":"threshold","value":"0.5"}]'


def measure_outage(pair: Pair, rounds: int) -> dict[str, list[float]]:
    """Return frames/s of each round with a cloud that answers, refuses, and accepts without ever answering, in turn."""
    figures: dict[str, list[float]] = {"healthy": [], "refusing": [], "silent": []}
    for _ in range(rounds):
        with serving(pair) as port:
            figures["healthy"].append(frames_per_second(pair, port))
        figures["refusing"].append(frames_per_second(pair, free_port()))
        with silent_server() as port:
            figures["silent"].append(frames_per_second(pair, port))
    return figures


def frames_per_second(pair: Pair, port: int) -> float:
    """Return the edge's frames/s with its cloud at that port."""
    cloud = {
        "HEM_NAME": "Threshold",
        "HEM_PARAMETERS": THRESHOLD,
        "BIG_MODEL_IP": "127.0.0.1",
        "BIG_MODEL_PORT": str(port),
    }
    return worker_frames_per_second(pair, cloud)


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept every connection and never answer on it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for connection in held:
            connection.close()
