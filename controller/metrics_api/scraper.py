"""Reading the pages of cloud workers, each as often as its autoscaler needs it, spread over the time.

One turn of the wheel every SLOT_S asks the pods of one slot. What a pod has not answered when its turn comes again is given up,
so a slow one holds one connection and nobody else's value.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from controller.metrics_api.scrape_connection import ScrapeConnection, ScrapeFailure
from controller.metrics_api.worker_pods import WorkerKey, WorkerPod
from sedna_py.api.child_names import BIG_MODEL_PORT
from sedna_py.protocol.reported_signals import SIGNALS_PATH

_log = logging.getLogger(__name__)

INTERVAL_S: Final = 2.0
SLOT_S: Final = 0.05
SLOTS: Final = round(INTERVAL_S / SLOT_S)
MOST_PODS: Final = 4096
"""Pods beyond these are not read, which the log says once."""

MOST_AT_ONCE: Final = 128
"""Pods of one slot; those beyond have the next one, SLOT_S later."""

PATHS: Final = (SIGNALS_PATH, "/metrics")
"""A worker of ours answers the first; somebody's own may have the counters on its page for Prometheus only."""

Take = Callable[[str, bytes, float], bool]
"""A pod's uid, its page, and when it was asked for; returns whether the page could be used."""


@dataclass
class _Target:
    """One pod."""

    uid: str
    address: str
    port: int
    path: str = PATHS[0]
    connection: ScrapeConnection | None = None
    connecting: asyncio.Task[None] | None = None
    asked_at: float | None = None  # of the question that is not answered
    again: bool = False  # it was sent once more, over a new connection
    outcome: str = ""

    @property
    def request(self) -> bytes:
        """What is sent."""
        return _request(self.address, self.port, self.path)

    def close(self) -> None:
        """Give up what is under way, and the connection."""
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        if self.connection is not None:
            self.connection.drop()
            self.connection = None
        self.asked_at = None


@dataclass
class _Slot:
    targets: dict[str, _Target] = field(default_factory=dict)


class Scraper:
    """Asks the pods that it was told of until it is closed; `run` is to be a task."""

    def __init__(
        self,
        take: Take,
        count: Callable[[str], None],
        *,
        port: int = BIG_MODEL_PORT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`count` is told the outcome of each question: ok, or a ScrapeFailure."""
        self._take = take
        self._count = count
        self._port = port
        self._clock = clock
        self._slots = [_Slot() for _ in range(SLOTS)]
        self._slot_of: dict[str, _Slot] = {}
        self._first: dict[WorkerKey, int] = {}
        self._said_too_many = False

    def __len__(self) -> int:
        """Return how many pods are read."""
        return len(self._slot_of)

    def follow(self, pods: Iterable[WorkerPod]) -> None:
        """Read these pods from now on, and no others."""
        wanted = {pod.uid: pod for pod in pods if pod.address}
        if len(wanted) > MOST_PODS and not self._said_too_many:
            _log.warning("%d cloud worker pods; only %d are read for metrics", len(wanted), MOST_PODS)
            self._said_too_many = True
        for uid, slot in list(self._slot_of.items()):
            if uid not in wanted or wanted[uid].address != slot.targets[uid].address:
                slot.targets.pop(uid).close()
                del self._slot_of[uid]
        kept = {pod.worker for pod in wanted.values()}
        self._first = {worker: first for worker, first in self._first.items() if worker in kept}
        for uid, pod in wanted.items():
            if uid not in self._slot_of and len(self._slot_of) < MOST_PODS:
                slot = self._place(pod.worker)
                slot.targets[uid] = _Target(uid, pod.address, self._port)
                self._slot_of[uid] = slot

    async def run(self) -> None:
        """Turn the wheel until cancelled."""
        try:
            turn, due = 0, self._clock()
            while True:
                try:
                    self._turn(self._slots[turn])
                except Exception:  # noqa: BLE001 - a defect with one pod must not end the others' values
                    _log.exception("reading workers: unexpected error")
                turn = (turn + 1) % SLOTS
                # A process that was held up does not make up for what it has missed.
                due = max(due + SLOT_S, self._clock() - SLOT_S)
                await asyncio.sleep(max(0.0, due - self._clock()))
        finally:
            self.close()

    def close(self) -> None:
        """End all connections."""
        for slot in self._slots:
            for target in slot.targets.values():
                target.close()
            slot.targets.clear()
        self._slot_of.clear()

    def _place(self, worker: WorkerKey) -> _Slot:
        """Return the slot for another pod of a worker, whose pods are read together so that their sum is of one moment."""
        first = self._first.get(worker)
        if first is None:
            least = min(len(slot.targets) for slot in self._slots)
            emptiest = [number for number, slot in enumerate(self._slots) if len(slot.targets) == least]
            first = self._first[worker] = random.choice(emptiest)
        behind = (self._slots[(first + number) % SLOTS] for number in range(SLOTS))
        return next((slot for slot in behind if len(slot.targets) < MOST_AT_ONCE), self._slots[first])

    def _turn(self, slot: _Slot) -> None:
        now = self._clock()
        for target in slot.targets.values():
            if target.asked_at is not None:
                target.close()
                self._end(target, ScrapeFailure.TIMED_OUT)
            target.asked_at, target.again = now, False
            self._ask(target)

    def _ask(self, target: _Target) -> None:
        connection = target.connection
        if connection is not None and not connection.gone:
            connection.ask(target.request, lambda answer: self._answered(target, connection, answer))
        elif target.connecting is None:
            target.connection = None
            target.connecting = asyncio.create_task(self._connect(target))

    async def _connect(self, target: _Target) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(ScrapeConnection, target.address, self._port)
        except (OSError, ValueError):  # an address may be anything
            target.connecting = None
            self._end(target, ScrapeFailure.UNREACHABLE)
            return
        target.connecting, target.connection = None, connection
        self._ask(target)

    def _answered(self, target: _Target, connection: ScrapeConnection, answer: bytes | ScrapeFailure) -> None:
        if answer is ScrapeFailure.UNREACHABLE and connection.answered and not target.again:
            # A server may close a connection that rests at any moment, just then too.
            target.again, target.connection = True, None
            self._ask(target)
            return
        if answer is ScrapeFailure.NOT_FOUND and not target.again:
            target.again, target.connection = True, None
            target.path = PATHS[1] if target.path == PATHS[0] else PATHS[0]
            self._ask(target)
            return
        if isinstance(answer, ScrapeFailure):
            self._end(target, answer)
            return
        asked_at = target.asked_at if target.asked_at is not None else self._clock()
        self._end(target, None if self._take(target.uid, answer, asked_at) else ScrapeFailure.MALFORMED)

    def _end(self, target: _Target, failure: ScrapeFailure | None) -> None:
        target.asked_at = None
        outcome = str(failure) if failure is not None else "ok"
        self._count(outcome)
        if outcome != target.outcome:
            _log.debug("metrics of the worker at %s: %s", target.address, outcome)
        target.outcome = outcome


@lru_cache(maxsize=2 * MOST_PODS)
def _request(address: str, port: int, path: str) -> bytes:
    host = f"[{address}]" if ":" in address else address
    return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\nUser-Agent: sedna-controller\r\n\r\n".encode()
