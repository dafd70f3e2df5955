"""What is counted while a load test runs: no IO; the time is an argument."""

from __future__ import annotations

import json
from collections import Counter
from typing import Final

from sedna_py.load_test.samples import Samples

REFUSALS: Final = frozenset({429, 503})  # "not now", said by a server that is full or by the gateway before it
MAX_CAUSES: Final = 64
OTHER: Final = "other"
_MAX_CAUSE_CHARS: Final = 64


class Tally:
    """Counts the requests that were due from `begins` until `ends`, with the answers that they have later.

    Answers per second and bytes are of that time too, whenever their request was due: who waits for the last answers would
    else report a lower rate than there was. Times are seconds of one clock.
    """

    __slots__ = (
        "accepted",
        "answered",
        "begins",
        "bytes_received",
        "bytes_sent",
        "ends",
        "failures",
        "lateness",
        "not_sent",
        "refusals",
        "refused",
        "sent",
    )

    def __init__(self, begins: float, ends: float, seed: int) -> None:
        self.begins = begins
        self.ends = ends
        self.sent = 0
        self.not_sent = 0
        self.answered = 0  # well, between begins and ends
        self.bytes_sent = 0
        self.bytes_received = 0
        self.failures: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.accepted = Samples(seed)
        self.refused = Samples(seed)
        self.lateness = Samples(seed)  # of the load test itself, in an open loop

    def counts(self, due: float) -> bool:
        """Whether a request that was due then is counted."""
        return self.begins <= due < self.ends

    def reply(self, status: int, body: bytes, due: float, now: float) -> None:
        """Note a complete reply."""
        well = 200 <= status < 300
        if well and self.begins <= now < self.ends:
            self.answered += 1
        if not self.begins <= due < self.ends:
            return
        if well:
            self.accepted.add(now - due)
        elif status in REFUSALS:
            self.refused.add(now - due)
            _count(self.refusals, _named(status, body))
        else:
            _count(self.failures, _named(status, body))

    def failure(self, cause: str, due: float) -> None:
        """Note a request that had no reply, or none of use."""
        if self.counts(due):
            _count(self.failures, cause)

    @property
    def unfinished(self) -> int:
        """Requests of which nothing is known yet."""
        return self.sent - self.accepted.count - self.refusals.total() - self.failures.total()


def _count(counter: Counter[str], cause: str) -> None:
    counter[cause if cause in counter or len(counter) < MAX_CAUSES else OTHER] += 1


def _named(status: int, body: bytes) -> str:
    """Return `status cause`, with the cause that our servers put into the body of an error."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    cause = document.get("cause") if isinstance(document, dict) else None
    if not isinstance(cause, str):
        return f"http {status}"
    return f"http {status} {''.join(char for char in cause[:_MAX_CAUSE_CHARS] if ' ' <= char <= '~')}".rstrip()
