"""`python -m controller` as a process of its own, with the rights that a kubeconfig gives it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cluster.control_plane import ControlPlane, free_port
from tests.cluster.errors import KubectlError
from tests.cluster.processes import ChildProcess, start_process

ENV = "/usr/bin/env"
END_S = 20


@dataclass(frozen=True)
class ControllerProcess:
    """A controller that runs."""

    process: ChildProcess
    port: int

    def log(self) -> str:
        """Return everything that it has said so far."""
        return self.process.log.read_text(encoding="utf-8")

    def metrics(self) -> str:
        """Return its metrics page."""
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False, timeout=5).text

    def has_asked(self, verb: str, resource: str) -> bool:
        """Return whether the API server has answered such a request of it, and well."""
        start = f'sedna_controller_api_requests_total{{code="2xx",resource="{resource}",verb="{verb}"}}'
        return any(line.startswith(start) for line in self.metrics().splitlines())


@contextmanager
def running_controller(folder: Path, kubeconfig: Path, settings: Mapping[str, str]) -> Iterator[ControllerProcess]:
    """Run a controller; at the end it gets SIGTERM and must go by itself, with status 0."""
    port = free_port()
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "HTTP_HOST": "127.0.0.1",
        "METRICS_API": "false",  # several controllers run on one machine; tests of it switch it on
        "HTTP_PORT": str(port),
        "POD_NAME": "controller-under-test",
        **settings,
    }
    words = [f"{name}={value}" for name, value in environment.items()]
    command = [ENV, *words, sys.executable, "-m", "controller"]
    process = start_process("controller", command, folder, tied=True)
    try:
        yield ControllerProcess(process, port)
        assert not process.has_ended(), process.log_tail(30)
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(END_S) == 0, process.log_tail(30)
    finally:
        process.kill()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for a condition; an AssertionError that says what was waited for when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)


def serves_our_kinds(control_plane: ControlPlane) -> bool:
    """Return whether the API server knows the CRDs; `kubectl wait` fails on one that is a moment old."""
    try:
        control_plane.kubectl("get", "jointinferenceservices,models", "-A")
    except KubectlError:
        return False
    return True
