"""When the requests of an open loop are due: pure, and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

from sedna_py.load_test.options import Arrivals


def due_times(rate: float, kind: Arrivals, seed: int) -> Iterator[float]:
    """Yield seconds since the start without end, `rate` of them a second; even ones begin with 0 and do not drift."""
    if kind is Arrivals.EVEN:
        yield from (number / rate for number in count())
    chance = random.Random(seed)
    due = 0.0
    while True:
        due += chance.expovariate(rate)
        yield due
