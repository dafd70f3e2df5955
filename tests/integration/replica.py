"""A controller process that can be killed, held and started again, as replicas in a cluster are."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from sedna_py.metrics import names
from tests.cluster.control_plane import free_port
from tests.cluster.processes import ChildProcess, start_process

END_S: Final = 20
POLL_S: Final = 0.05


@dataclass
class Replica:
    """A replica by name; its log goes on over its restarts."""

    name: str
    folder: Path
    kubeconfig: Path
    settings: Mapping[str, str]
    port: int = field(default_factory=free_port)
    _process: ChildProcess | None = None

    def start(self) -> None:
        """Start the process; returns at once."""
        environment = {
            "KUBECONFIG": str(self.kubeconfig),
            "HTTP_HOST": "127.0.0.1",
            "METRICS_API": "false",  # several controllers run on one machine; tests of it switch it on
            "HTTP_PORT": str(self.port),
            "POD_NAME": self.name,
            **self.settings,
        }
        words = [f"{name}={value}" for name, value in environment.items()]
        command = ["/usr/bin/env", *words, sys.executable, "-m", "controller"]
        self._process = start_process(self.name, command, self.folder, tied=True)

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        return self._running.popen.pid

    @property
    def _running(self) -> ChildProcess:
        assert self._process is not None, "start it first"
        return self._process

    def crash(self) -> None:
        """Kill it, as the kernel does with one that is out of memory."""
        assert not self._running.has_ended(), f"{self.name} ended by itself:\n{self.log_tail()}"
        self._running.kill()

    def hold(self) -> None:
        """Take its processor away, as on a node that hangs."""
        self._running.popen.send_signal(signal.SIGSTOP)

    def let_go(self) -> None:
        """Give it back."""
        self._running.popen.send_signal(signal.SIGCONT)

    def ask_to_go(self) -> None:
        """Send SIGTERM."""
        self._running.popen.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Send SIGTERM and wait for a good end."""
        self.ask_to_go()
        assert self._running.popen.wait(END_S) == 0, self.log_tail()

    def end(self) -> None:
        """End it in whatever state it is; nothing happens when it never began."""
        if self._process is not None:
            self._process.kill()

    def has_ended(self) -> bool:
        """Return whether it ended, by itself or not."""
        return self._running.has_ended()

    def log(self) -> str:
        """Return what it has said since its first start."""
        path = self.folder / f"{self.name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of that."""
        return "\n".join(self.log().splitlines()[-lines:])

    def times_served(self) -> int:
        """Return how often it has begun to serve, over all its starts."""
        return len(re.findall(r"serving \d+ services", self.log()))

    def metric(self, name: str) -> float | None:
        """Return the value of a metric without labels; None while it does not answer."""
        try:
            page = httpx.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False, timeout=5).text
        except httpx.TransportError:
            return None
        return next((float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{name} ")), None)

    def leads(self) -> bool:
        """Return whether it says that it leads."""
        return self.metric(names.CONTROLLER_LEADER) == 1


@contextmanager
def replica(name: str, folder: Path, kubeconfig: Path, settings: Mapping[str, str]) -> Iterator[Replica]:
    """A replica that is not started yet; at the end it is ended by force."""
    one = Replica(name, folder, kubeconfig, settings)
    try:
        yield one
    finally:
        one.end()


def seconds_until(condition: Callable[[], object], what: str, limit_s: float = 30) -> float:
    """Wait for a condition and return the seconds it took; an AssertionError that says what did not come."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit_s, f"{what}: not within {limit_s:g} s"
        time.sleep(POLL_S)
    return time.monotonic() - begun
