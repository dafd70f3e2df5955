"""Which pod gets the next request: pure; the time and the source of chance are arguments.

The power of some choices (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12(10), 2001): of
a few pods drawn at random, the one with the fewest requests on their way; with three, a service of three pods is seen whole.
Where pods say how long they work on a request (Server-Timing), a request on its way to a clearly slower pod counts for as many
as that pod is times slower: it goes where it would be done first. Linux Virtual Server has that rule as the scheduler `sed`,
shortest expected delay, with weights that somebody writes down. Without it a slow pod, given as many requests at once as the
others, gets no more of them than it can answer, but each waits there for as many times longer.

A pod gets requests only after it has answered a
probe, so that no frame pays for a pod that cannot be reached; after a failure it is probed again, at growing intervals.

Not thread-safe; it belongs to one event loop.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Where pods share processors each request takes as long as the others let it, so a few of them tell nothing about a pod.
_LEARNT: Final = 10  # times, from which their mean counts
_MEAN_OF: Final = 50  # times, in the long run


class PodState(StrEnum):
    """What is known of a pod that is in DNS; only a ready one gets requests."""

    NEW = "new"  # has not been probed yet
    READY = "ready"
    DRAINING = "draining"  # said that it is going away
    QUARANTINED = "quarantined"  # failed just now


class Verdict(StrEnum):
    """What a request, or a probe, tells about its pod."""

    ANSWERED = "answered"
    CLOSING = "closing"  # answered, and said `Connection: close`
    FAILED = "failed"  # refused, broke off, or not ready
    NO_ANSWER = "no_answer"  # none in time
    NOTHING = "nothing"  # given up by the caller


@dataclass(frozen=True, slots=True)
class BalancerPolicy:
    """The balancer's constants; times in seconds.

    `misses`: requests in a row without an answer in time that count as a failure; one alone may be a slow frame.
    `drain_s`: how long a pod that said `Connection: close` is left alone, if DNS names it for so long.
    `choices`: how many pods are compared. `slower`: times the fastest pod's time, from which one counts as slower.
    `forget_s`: how long a pod's time is believed after its last answer; it may have been given more processors since.
    """

    quarantine_s: float = 0.5
    backoff_factor: float = 2.0
    max_quarantine_s: float = 8.0
    drain_s: float = 5.0
    misses: int = 3
    choices: int = 3
    slower: float = 2.0
    forget_s: float = 10.0


class Pod:
    """One address and what is known of it."""

    __slots__ = (
        "address", "closes_always", "due_at", "in_flight", "misses", "probing", "quarantine_s", "state", "told", "told_at",
        "work_s",
    )  # fmt: skip

    def __init__(self, address: str, quarantine_s: float, now: float) -> None:
        self.address = address
        self.state = PodState.NEW
        self.in_flight = 0
        self.misses = 0
        self.quarantine_s = quarantine_s
        self.due_at = now  # when it is to be probed
        self.probing = False
        self.work_s = 0.0  # on a request, without waiting in line; the mean of what it told
        self.told = 0  # times that went into it
        self.told_at = now
        self.closes_always = False  # its server keeps no connection at all, so a `Connection: close` tells nothing


class Balancer:
    """The pods that DNS names, and the choice among them."""

    def __init__(self, policy: BalancerPolicy, chance: random.Random) -> None:
        self._policy = policy
        self._chance = chance
        self._pods: dict[str, Pod] = {}
        self._ready: list[Pod] = []

    @property
    def usable(self) -> bool:
        """Whether any pod may get a request."""
        return bool(self._ready)

    @property
    def addresses(self) -> Collection[str]:
        """The addresses that are known."""
        return self._pods.keys()

    def counts(self) -> dict[PodState, int]:
        """Return how many pods are in each state."""
        counts = dict.fromkeys(PodState, 0)
        for pod in tuple(self._pods.values()):
            counts[pod.state] += 1
        return counts

    def update(self, addresses: Iterable[str], now: float) -> None:
        """Take over what DNS says; a pod that it no longer names gets no new request, what is on its way there ends."""
        known = self._pods
        self._pods = {
            address: known.get(address) or Pod(address, self._policy.quarantine_s, now) for address in addresses
        }
        for pod in self._pods.values():
            if now - pod.told_at > self._policy.forget_s:
                pod.told = 0
        self._sort()

    def choose(self, tried: Collection[str] = ()) -> Pod | None:
        """Return a ready pod, none of those that were `tried`, and count the request; None if there is none.

        Give it back to `settle` exactly once.
        """
        ready = [pod for pod in self._ready if pod.address not in tried] if tried else self._ready
        if not ready:
            return None
        pod = ready[0] if len(ready) == 1 else self._soonest(ready)
        pod.in_flight += 1
        return pod

    def others(self, pod: Pod) -> bool:
        """Whether another pod than this one may get a request."""
        return any(other is not pod for other in self._ready)

    def settle(self, pod: Pod, verdict: Verdict, now: float, work_s: float = 0.0) -> None:
        """Learn how a request ended, and how many seconds the pod says that it worked on it (0: it does not say).

        What an earlier one says of a pod that is set aside already changes nothing.
        """
        pod.in_flight -= 1
        if work_s > 0:
            pod.told = min(pod.told + 1, _MEAN_OF)
            pod.work_s += (work_s - pod.work_s) / pod.told
            pod.told_at = now
        if pod.state is not PodState.READY or verdict is Verdict.NOTHING:
            return
        if verdict is Verdict.ANSWERED or (verdict is Verdict.CLOSING and pod.closes_always):
            pod.misses = 0
            pod.quarantine_s = self._policy.quarantine_s
        elif verdict is Verdict.CLOSING:
            self._set_aside(pod, PodState.DRAINING, now + self._policy.drain_s)
        elif verdict is Verdict.FAILED or self._missed(pod):
            self._quarantine(pod, now)

    def due(self, now: float) -> list[Pod]:
        """Return the pods that are to be probed now; hand each back to `probed` exactly once."""
        due = [pod for pod in self._pods.values() if self._waits(pod) and pod.due_at <= now]
        for pod in due:
            pod.probing = True
        return due

    def next_due(self) -> float | None:
        """Return when the next probe is due; None if no pod waits for one."""
        return min((pod.due_at for pod in self._pods.values() if self._waits(pod)), default=None)

    def probed(self, pod: Pod, verdict: Verdict, now: float) -> None:
        """Learn how a probe ended."""
        pod.probing = False
        if verdict in (Verdict.ANSWERED, Verdict.CLOSING):
            pod.closes_always = verdict is Verdict.CLOSING
            pod.state, pod.misses = PodState.READY, 0
            self._sort()
        elif verdict is not Verdict.NOTHING:
            self._quarantine(pod, now)

    def _soonest(self, ready: list[Pod]) -> Pod:
        drawn = self._chance.sample(
            ready, min(self._policy.choices, len(ready))
        )  # in any order, so that the first is fair
        fastest = min((pod.work_s for pod in self._ready if pod.told >= _LEARNT), default=0.0)
        return min(drawn, key=lambda pod: self._expected(pod, fastest))

    def _expected(self, pod: Pod, fastest: float) -> float:
        """Return when one more request would be done there, in times of the fastest pod."""
        slower = pod.work_s / fastest if fastest and pod.told >= _LEARNT else 1.0
        return (pod.in_flight + 1) * (slower if slower >= self._policy.slower else 1.0)

    def _missed(self, pod: Pod) -> bool:
        pod.misses += 1
        return pod.misses >= self._policy.misses

    def _quarantine(self, pod: Pod, now: float) -> None:
        self._set_aside(pod, PodState.QUARANTINED, now + pod.quarantine_s)
        pod.quarantine_s = min(pod.quarantine_s * self._policy.backoff_factor, self._policy.max_quarantine_s)

    def _set_aside(self, pod: Pod, state: PodState, until: float) -> None:
        pod.state, pod.due_at = state, until
        self._sort()

    def _waits(self, pod: Pod) -> bool:
        return pod.state is not PodState.READY and not pod.probing

    def _sort(self) -> None:
        self._ready = [pod for pod in self._pods.values() if pod.state is PodState.READY]
