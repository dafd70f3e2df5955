"""Processor time and memory of a local server with all its children, from /proc (Linux)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sedna_py.errors import SettingsError

MAX_PROCESSES: Final = 1000
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class ServerUse:
    """What a server used while requests were counted. None: the system did not say, or the server is gone."""

    cpu_s: float | None
    answers_per_cpu_s: float | None
    rss_begin: int | None  # bytes, of all its processes; shared pages count for each
    rss_end: int | None
    pss_end: int | None  # bytes; shared pages count in parts


def require_process(pid: int) -> None:
    """Raise SettingsError where there is no such process to be looked at."""
    if cpu_seconds(pid) is None:
        raise SettingsError(f"--pid {pid}: there is no such process here; give the server's, or leave --pid out")


def cpu_seconds(pid: int) -> float | None:
    """Return the seconds that the process, its children and those that have ended used; None if it is gone.

    Children count from their birth: if one ends and is reaped, its parent's account takes over its seconds.
    """
    ticks = [_ticks(member) for member in family(pid)]
    if not ticks or ticks[0] is None:
        return None
    return sum(filter(None, ticks)) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int | None:
    """Return the resident memory of the process and its children."""
    pages = [_read(member, "statm").split() for member in family(pid)]
    resident = [int(fields[1]) for fields in pages if len(fields) > 1]
    return sum(resident) * os.sysconf("SC_PAGE_SIZE") if resident else None


def pss_bytes(pid: int) -> int | None:
    """Return the proportional memory of the process and its children; None where one of them may not be read."""
    total = 0
    for member in family(pid):
        lines = _read(member, "smaps_rollup").splitlines()
        found = next((line.split()[1] for line in lines if line.startswith("Pss:")), None)
        if found is None:
            return None
        total += int(found) * 1024
    return total or None


def family(pid: int) -> list[int]:
    """Return the process and all below it, itself first; it alone where the kernel does not list children."""
    members = [pid]
    for member in members:  # grows meanwhile
        try:
            threads = list((_PROC / str(member) / "task").iterdir())
        except OSError:
            continue
        for thread in threads:
            members += [int(child) for child in _read_file(thread / "children").split()]
        if len(members) > MAX_PROCESSES:
            break
    return members[:MAX_PROCESSES]


def _ticks(pid: int) -> int | None:
    # The name in parentheses may hold anything; behind it field 3 begins, and 14 to 17 are what is wanted.
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) if len(fields) > 14 else None


def _read(pid: int, name: str) -> str:
    return _read_file(_PROC / str(pid) / name)


def _read_file(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
