"""A gate between a controller and the API server: open, shut, or with somebody in it who gives everybody the same answer."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.cluster.commands import HOST
from tests.cluster.control_plane import ControlPlane

_PIECE: Final = 1 << 16
_REPLY_S: Final = 5

OPEN: Final = 0
SHUT: Final = -1


class Gate:
    """Passes connections through, until `shut` or `answer`; either ends those that are there."""

    def __init__(self, plane: ControlPlane) -> None:
        self.answers = 0
        self._plane = plane
        self._mode = OPEN
        self._door = socket.create_server((HOST, 0), backlog=128)
        self._lock = threading.Lock()
        self._inside: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._certificate.load_cert_chain(plane.layout.authority, plane.layout.key)
        self._start(self._welcome)

    def kubeconfig(self, source: Path, target: Path) -> Path:
        """Write a kubeconfig that leads through the gate, and return its path."""
        text = source.read_text(encoding="utf-8")
        assert self._plane.layout.server in text
        here = f"https://{HOST}:{self._door.getsockname()[1]}"
        target.write_text(text.replace(self._plane.layout.server, here), encoding="utf-8")
        return target

    def open(self) -> None:
        """Let everybody through."""
        self._turn(OPEN)

    def shut(self) -> None:
        """Let nobody through, and end what is there."""
        self._turn(SHUT)

    def answer(self, status: int) -> None:
        """Give every request this HTTP status; `answers` counts from 0."""
        self.answers = 0
        self._turn(status)

    def close(self) -> None:
        """End everything and wait for it."""
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.shut()
        for thread in self._threads:
            thread.join(_REPLY_S * 2)

    def _start(self, what: object, *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments, name="gate")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _turn(self, mode: int) -> None:
        with self._lock:
            self._mode = mode
            for each in self._inside:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                self._start(self._serve, self._door.accept()[0])

    def _serve(self, outer: socket.socket) -> None:
        with closing(outer), suppress(OSError), self._counted(outer) as mode:
            if mode == OPEN:
                with socket.create_connection((HOST, self._plane.layout.port)) as inner, self._counted(inner):
                    back = threading.Thread(target=_pump, args=(inner, outer), name="gate")
                    back.start()
                    _pump(outer, inner)
                    back.join()
            elif mode != SHUT:
                self._reply(outer, mode)

    @contextmanager
    def _counted(self, connection: socket.socket) -> Iterator[int]:
        with self._lock:
            self._inside.add(connection)
            mode = self._mode
        try:
            yield mode
        finally:
            with self._lock:
                self._inside.discard(connection)

    def _reply(self, outer: socket.socket, status: int) -> None:
        said = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": "the gate says so",
            "code": status,
        }
        body = json.dumps(said).encode()
        head = f"HTTP/1.1 {status} Gate\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        outer.settimeout(_REPLY_S)
        with self._certificate.wrap_socket(outer, server_side=True) as speaker:
            asked = b""
            while b"\r\n\r\n" not in asked:
                piece = speaker.recv(_PIECE)
                if not piece:
                    return
                asked += piece
            speaker.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
            self.answers += 1


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def gate(plane: ControlPlane) -> Iterator[Gate]:
    """An open gate."""
    with closing(Gate(plane)) as one:
        yield one
