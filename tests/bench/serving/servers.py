"""The servers that are compared, each a process group of its own on a port of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from sedna_py.local.ports import free_port
from sedna_py.protocol import headers
from tests.bench.pairs import ROOT
from tests.bench.serving.environments import environment

READY_S: Final = 90.0
POLL_S: Final = 0.1
END_S: Final = 15.0
OURS: Final = "sedna-py"
TASKSET: Final = ("taskset", "--cpu-list")
# By peer: the address that takes a picture.
PATHS: Final[Mapping[str, str]] = {
    "fastapi": "/sedna/predict",
    "kserve": "/v1/models/model:predict",
    "mlserver": "/model/predict",
    "litserve": "/model/predict",
}


class NotServing(Exception):
    """A server did not answer its first picture."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers; `boxes` is how many it found in the first picture, `model_input` what it says of its model's."""

    name: str
    port: int
    path: str
    pid: int
    boxes: int
    model_input: str = ""

    def text(self, path: str) -> str:
        """Return what it says at another address."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False).raise_for_status().text


@contextmanager
def worker(model: Mapping[str, str], picture: bytes, prefix: Sequence[str] = (), **settings: str) -> Iterator[Server]:
    """Run our cloud worker, behind a command such as taskset; yields once it has answered."""
    port = free_port()
    variables = {**model, "BIG_MODEL_BIND_IP": "127.0.0.1", "BIG_MODEL_BIND_PORT": str(port), "LAME_DUCK_S": "0"}
    command = [*prefix, sys.executable, "-m", "workers.cloud"]
    with _running(OURS, command, {**variables, **settings}, port, "/sedna/predict", picture) as server:
        yield server


@contextmanager
def peer(name: str, model: Mapping[str, str], picture: bytes, **settings: str) -> Iterator[Server]:
    """Run a peer with the same model; yields once it has answered. Raises NoPeer, NotServing."""
    port = free_port()
    command = [str(environment(name)), "-m", f"tests.bench.serving.peers.{name}_server", str(port)]
    variables = {**model, "PYTHONPATH": str(ROOT), **settings}
    with _running(name, command, variables, port, PATHS[name], picture) as server:
        yield server


@contextmanager
def _running(
    name: str, command: Sequence[str], variables: Mapping[str, str], port: int, path: str, picture: bytes
) -> Iterator[Server]:
    passed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**passed, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # LitServe has processes of its own, which end with it only if it ends well
    )
    try:
        reply = _first_answer(name, f"http://127.0.0.1:{port}{path}", picture, process)
        yield Server(
            name, port, path, process.pid, _count_boxes(reply.json()), reply.headers.get(headers.MODEL_INPUT, "")
        )
    finally:
        _end(process)


def _first_answer(name: str, url: str, picture: bytes, process: subprocess.Popen[bytes]) -> httpx.Response:
    """Return the first good answer."""
    until = time.monotonic() + READY_S
    said = "nothing"
    while time.monotonic() < until:
        if process.poll() is not None:
            raise NotServing(f"{name} ended with status {process.returncode} before it served")
        try:
            reply = httpx.post(
                url, content=picture, headers={"Content-Type": "image/jpeg"}, trust_env=False, timeout=30
            )
        except httpx.TransportError as error:
            said = str(error)
        else:
            if reply.status_code == 200:
                return reply
            said = f"status {reply.status_code}: {reply.text[:200]}"
        time.sleep(POLL_S)
    raise NotServing(f"{name} did not serve within {READY_S:g} s; last: {said}")


def _count_boxes(answer: dict[str, object]) -> int:
    found = answer.get("result", answer.get("predictions"))
    boxes = found.get("result", found) if isinstance(found, dict) else found
    if not isinstance(boxes, list):
        raise NotServing(f"there are no boxes in the answer {str(answer)[:200]}")
    return len(boxes)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process group, the hard way if it takes long."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    # What is left of the group has lost its parent; it got the second signal.


def picture_files(folder: Path, jpegs: Sequence[bytes]) -> Path:
    """Write pictures into a folder for the programs that read them; return it."""
    folder.mkdir()
    for number, jpeg in enumerate(jpegs):
        (folder / f"{number:03}.jpg").write_bytes(jpeg)
    return folder
