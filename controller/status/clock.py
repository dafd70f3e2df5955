"""The moment that a status is about, and the next one at which it may read otherwise though nothing happens."""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.status.live import seconds_since


class Clock:
    """One moment. What was asked of it and not yet so tells when a look at the same objects can give something else.

    So a service is looked at again exactly when a threshold is reached, and not every few seconds until then.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._next: datetime | None = None

    def passed(self, since: datetime | None, seconds: float) -> bool:
        """Tell whether so many seconds (> 0) have passed since then; never where `since` is not known."""
        if since is None:
            return False
        if seconds_since(since, self.now) >= seconds:
            return True
        due = since + timedelta(seconds=seconds)
        self._next = due if self._next is None else min(self._next, due)
        return False

    @property
    def next_turn_s(self) -> float | None:
        """In how many seconds the first of the answers becomes another one, None where none does."""
        return (self._next - self.now).total_seconds() if self._next is not None else None
