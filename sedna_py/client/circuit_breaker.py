"""When to stop asking a cloud that does not answer, and when to ask again.

The circuit breaker of M. Nygard, Release It! (2nd ed., 2018, chapter 5): closed, everybody may ask; after a run of
failures open, nobody may; after a cool-down half-open, one probe may, and its outcome closes or opens the circuit
again. The cool-down grows with every failed probe up to a bound, and is shortened by chance, so that the edges that lost the
same cloud at the same time do not all probe it at the same time.

A cloud that says that it sleeps opens the circuit as well, at once and for a time that does not grow: nothing is wrong with it.

Pure: `now` is an argument, in seconds of a monotonic clock, and so is the source of chance. Not thread-safe; it belongs to
one event loop.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from sedna_py.protocol.asleep import RETRY_AFTER_S


class BreakerState(StrEnum):
    """The three states of the circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Outcome(StrEnum):
    """How a permitted request ended."""

    SUCCESS = "success"  # the cloud lives; an answer that rejects the request says so too
    FAILURE = "failure"
    ABANDONED = "abandoned"  # given up by the caller: nothing was learnt about the cloud
    ASLEEP = "asleep"  # it is scaled to zero, and wakes now


class Reason(StrEnum):
    """Why a request may or may not be made."""

    CLOSED = "closed"
    PROBE = "probe"
    COOLING_DOWN = "cooling_down"
    PROBE_IN_FLIGHT = "probe_in_flight"
    ASLEEP = "asleep"


@dataclass(frozen=True, slots=True)
class Permit:
    """One request may be made; hand it back to `resolve` exactly once."""

    number: int
    reason: Reason

    @property
    def is_probe(self) -> bool:
        """Whether the circuit's state hangs on this request."""
        return self.reason is Reason.PROBE


@dataclass(frozen=True, slots=True)
class Refusal:
    """No request may be made now; asking again before `retry_in_s` seconds is in vain."""

    reason: Reason
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The breaker's constants; times in seconds."""

    failure_threshold: int = 5
    cooldown_s: float = 1.0
    backoff_factor: float = 2.0
    max_cooldown_s: float = 2.0
    probe_timeout_s: float = 5.0
    asleep_s: float = float(RETRY_AFTER_S)
    jitter: float = 0.2  # the part of a cool-down that chance may take away


class CircuitBreaker:
    """Count failures and decide about every request. Without `chance` cool-downs are exact."""

    def __init__(self, policy: BreakerPolicy, chance: random.Random | None = None) -> None:
        self._policy = policy
        self._chance = chance
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._asleep = False
        self._cooldown_s = policy.cooldown_s
        self._reopens_at = 0.0
        self._probe: Permit | None = None
        self._probe_expires_at = 0.0
        self._last_number = 0
        self._oldest_valid = 1
        self._pending: set[int] = set()

    @property
    def state(self) -> BreakerState:
        """The state; an open circuit stays open until somebody asks after its cool-down."""
        return self._state

    @property
    def asleep(self) -> bool:
        """Whether the last that the cloud said is that it sleeps."""
        return self._asleep

    def would_refuse(self, now: float) -> bool:
        """Whether `allow` would refuse; takes no permit, so it may be asked from any thread."""
        return self._refusal(now) is not None

    def allow(self, now: float) -> Permit | Refusal:
        """Decide whether one more request may be made."""
        refusal = self._refusal(now)
        if refusal is not None:
            return refusal
        return self._issue(Reason.CLOSED) if self._state is BreakerState.CLOSED else self._start_probe(now)

    def resolve(self, permit: Permit, outcome: Outcome, now: float) -> None:
        """Take a permit back.

        Permits from before the last change of state tell of another time and are ignored. Raises ValueError for a
        permit that was resolved before.
        """
        if permit.number < self._oldest_valid:
            return
        if permit.number not in self._pending:
            raise ValueError(f"permit {permit.number} was resolved before; resolve each permit once")
        self._pending.discard(permit.number)
        if permit.is_probe:
            self._resolve_probe(outcome, now)
        elif outcome is Outcome.SUCCESS:
            self._failures = 0
        elif outcome is Outcome.FAILURE:
            self._count_failure(now)
        elif outcome is Outcome.ASLEEP:
            self._rest(now)

    def _refusal(self, now: float) -> Refusal | None:
        if self._state is BreakerState.CLOSED:
            return None
        if self._state is BreakerState.OPEN and now < self._reopens_at:
            return Refusal(Reason.ASLEEP if self._asleep else Reason.COOLING_DOWN, self._reopens_at - now)
        if self._probe is not None and now < self._probe_expires_at:
            return Refusal(Reason.PROBE_IN_FLIGHT, self._probe_expires_at - now)
        return None

    def _issue(self, reason: Reason) -> Permit:
        self._last_number += 1
        self._pending.add(self._last_number)
        return Permit(self._last_number, reason)

    def _start_probe(self, now: float) -> Permit:
        # A probe that never came back is disowned here, so that its late outcome cannot decide for the new one.
        self._enter(BreakerState.HALF_OPEN)
        self._probe = self._issue(Reason.PROBE)
        self._probe_expires_at = now + self._policy.probe_timeout_s
        return self._probe

    def _resolve_probe(self, outcome: Outcome, now: float) -> None:
        self._probe = None
        if outcome is Outcome.SUCCESS:
            self._asleep = False
            self._cooldown_s = self._policy.cooldown_s
            self._enter(BreakerState.CLOSED)
        elif outcome is Outcome.FAILURE:
            self._cooldown_s = min(self._cooldown_s * self._policy.backoff_factor, self._policy.max_cooldown_s)
            self._open(now)
        elif outcome is Outcome.ASLEEP:
            self._rest(now)

    def _count_failure(self, now: float) -> None:
        self._failures += 1
        if self._failures >= self._policy.failure_threshold:
            self._open(now)

    def _open(self, now: float) -> None:
        self._asleep = False
        self._wait(now, self._cooldown_s)

    def _rest(self, now: float) -> None:
        self._asleep = True
        self._cooldown_s = self._policy.cooldown_s
        self._wait(now, self._policy.asleep_s)

    def _wait(self, now: float, seconds: float) -> None:
        self._enter(BreakerState.OPEN)
        shortened = 0.0 if self._chance is None else self._policy.jitter * self._chance.random()
        self._reopens_at = now + seconds * (1 - shortened)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._failures = 0
        self._pending.clear()
        self._oldest_valid = self._last_number + 1
