"""How many requests may be sent a second time: pure.

A token bucket as in Finagle's RetryBudget (Twitter, 2016): each request puts a part of a token in, each retry takes a whole
one out. When a few requests fail, each is retried; when all fail, retries add a fifth to the load instead of doubling it.
"""

from __future__ import annotations

from typing import Self


class RetryBudget:
    """At most `ratio` retries a request over time, and `reserve` at once. It starts full."""

    def __init__(self, ratio: float, reserve: float) -> None:
        self._ratio = ratio
        self._reserve = reserve
        self._tokens = reserve

    @classmethod
    def for_requests(cls, ratio: float, at_once: int) -> Self:
        """Return one for so many requests at once: each has a retry at least, as they fail together when their pod does."""
        return cls(ratio, max(10.0, 2.0 * at_once))

    def deposit(self) -> None:
        """Note a request."""
        self._tokens = min(self._tokens + self._ratio, self._reserve)

    def withdraw(self) -> bool:
        """Return whether one more retry may be made, and count it."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
