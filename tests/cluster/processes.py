"""Start programs, find them again and end them, never another that got the same pid."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError

TIED = Path(__file__).with_name("tied.py")
LONGEST_END_S = 20


@dataclass(frozen=True)
class ProcessIdentity:
    """One process for all time: its pid and when it started, in clock ticks since the machine's start."""

    pid: int
    start_ticks: int

    def is_running(self) -> bool:
        """Return whether this very process exists and is not a zombie."""
        state_and_start = read_stat(self.pid)
        return state_and_start is not None and state_and_start[0] not in "ZX" and state_and_start[1] == self.start_ticks

    def kill(self) -> None:
        """End it and wait until it has ended; nothing happens when it has ended before."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # Checked after the open: from here on the handle cannot mean another process.
            if not self.is_running():
                return
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(LONGEST_END_S * 1000):
                raise ClusterError(f"process {self.pid} is still there {LONGEST_END_S} s after SIGKILL")
        finally:
            os.close(handle)


def read_stat(pid: int) -> tuple[str, int] | None:
    """Return state letter and start time of /proc/<pid>/stat, None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the name in brackets, may hold spaces and brackets itself.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


@dataclass(frozen=True)
class ChildProcess:
    """A program that this process started."""

    name: str
    identity: ProcessIdentity
    popen: subprocess.Popen[bytes]
    log: Path

    def has_ended(self) -> bool:
        """Return whether it ended, by itself or not."""
        return self.popen.poll() is not None

    def kill(self) -> None:
        """End it and wait until it is gone."""
        self.popen.kill()
        self.popen.wait(LONGEST_END_S)

    def log_tail(self, lines: int = 12) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def start_process(name: str, command: Sequence[str], folder: Path, *, tied: bool) -> ChildProcess:
    """Start a program in this folder with its output appended to `<name>.log` there; a tied one ends with this process."""
    log = folder / f"{name}.log"
    prefix = [sys.executable, "-I", "-S", str(TIED), str(os.getpid())] if tied else []
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [*prefix, *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the terminal's Ctrl-C is for pytest, which then ends these in order
        )
    stat = read_stat(popen.pid)
    if stat is None:  # cannot be: an ended child stays as a zombie until it is waited for
        raise ClusterError(f"{name} (pid {popen.pid}) is not in /proc")
    return ChildProcess(name, ProcessIdentity(popen.pid, stat[1]), popen, log)
