"""Keeps a balancer up to date: looks the pods up about every second, and probes those that have yet to show that they answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from sedna_py.client.balancer import Balancer, Pod, Verdict
from sedna_py.client.pod_lookup import PodLookup

_PROBES_AT_ONCE: Final = 8
_JITTER: Final = 0.2

Probe = Callable[[Pod], Awaitable[Verdict]]  # raises nothing


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """The watch's constants; times in seconds.

    `stale_s`: how long the last answer of a DNS that has stopped answering is good for; a pod that is gone fails by itself.
    """

    lookup_s: float = 1.0
    backoff_factor: float = 2.0
    max_lookup_s: float = 4.0
    stale_s: float = 10.0


class PodWatch:
    """Runs in the background of one event loop, between `start` and `close`."""

    def __init__(
        self,
        balancer: Balancer,
        lookup: PodLookup,
        probe: Probe,
        policy: WatchPolicy,
        chance: random.Random,
        clock: Callable[[], float],
    ) -> None:
        self._balancer = balancer
        self._lookup = lookup
        self._probe = probe
        self._policy = policy
        self._chance = chance
        self._clock = clock
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(_PROBES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered_at: float | None = None
        self._pause_s = policy.lookup_s
        self.trouble = ""  # why the last lookup failed

    def start(self) -> None:
        """Begin, if it has not begun yet; call on the event loop."""
        if not self._tasks:
            self._spawn(self._look_up_for_ever())
            self._spawn(self._probe_for_ever())

    def wake(self) -> None:
        """Say that a pod has been set aside and is to be probed in time."""
        self._changed.set()

    def close(self) -> None:
        """End; nothing is waited for."""
        for task in tuple(self._tasks):
            task.cancel()
        self._lookup.close()

    async def _look_up_for_ever(self) -> None:
        while True:
            await self._look_up()
            await asyncio.sleep(self._pause_s * self._chance.uniform(1 - _JITTER, 1 + _JITTER))

    async def _look_up(self) -> None:
        try:
            found = await self._lookup.look_up(self._balancer.addresses)
        except OSError as error:
            self._failed(f"DNS: {error.strerror or error}", self._clock())
            return
        if found:
            self._answered_at, self.trouble, self._pause_s = self._clock(), "", self._policy.lookup_s
        else:
            self._failed("DNS names no pod", self._clock(), empty=True)
        self._balancer.update(found, self._clock())
        self._changed.set()

    def _failed(self, trouble: str, now: float, *, empty: bool = False) -> None:
        self.trouble = trouble
        # A Service that had pods will have some again soon; one that never had any may not be there at all.
        if not empty or self._answered_at is None:
            self._pause_s = min(self._pause_s * self._policy.backoff_factor, self._policy.max_lookup_s)
        if self._answered_at is not None and now - self._answered_at > self._policy.stale_s:
            self._balancer.update((), now)

    async def _probe_for_ever(self) -> None:
        while True:
            self._changed.clear()
            for pod in self._balancer.due(self._clock()):
                self._spawn(self._probe_one(pod))
            due = self._balancer.next_due()
            try:
                async with asyncio.timeout(None if due is None else max(due - self._clock(), 0)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _probe_one(self, pod: Pod) -> None:
        verdict = Verdict.NOTHING
        try:
            async with self._places:
                verdict = await self._probe(pod)
        finally:
            self._balancer.probed(pod, verdict, self._clock())
            self._changed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
