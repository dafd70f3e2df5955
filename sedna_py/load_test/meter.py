"""What this process and a local server use while requests are counted."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sedna_py.load_test import processes
from sedna_py.load_test.processes import ServerUse


@dataclass(frozen=True, slots=True)
class _Reading:
    own_s: float
    server_s: float | None
    rss: int | None


class Meter:
    """Reads the accounts of processor time when counting begins and when it ends; `pid` is the server's, if it is here."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._begin: _Reading | None = None
        self._end: _Reading | None = None
        self._pss: int | None = None

    def begin(self) -> None:
        """Read for the first time."""
        self._begin = self._read()

    def end(self) -> None:
        """Read for the last time; nothing happens before `begin`, and the second time."""
        if self._begin is None or self._end is not None:
            return
        self._end = self._read()
        if self._pid is not None:
            self._pss = processes.pss_bytes(self._pid)

    @property
    def own_s(self) -> float:
        """Processor seconds of this process; 0 where nothing was counted."""
        return self._end.own_s - self._begin.own_s if self._begin and self._end else 0.0

    def server(self, answers: int) -> ServerUse | None:
        """Return what the server used for so many answers; None if there is none to be looked at."""
        if self._pid is None or self._begin is None or self._end is None:
            return None
        cpu_s = None
        if self._begin.server_s is not None and self._end.server_s is not None:
            cpu_s = self._end.server_s - self._begin.server_s
        each = answers / cpu_s if cpu_s else None
        return ServerUse(cpu_s, each, self._begin.rss, self._end.rss, self._pss)

    def _read(self) -> _Reading:
        own_s = time.process_time()
        if self._pid is None:
            return _Reading(own_s, None, None)
        return _Reading(own_s, processes.cpu_seconds(self._pid), processes.rss_bytes(self._pid))
