"""One request after its end, for whoever counts, logs or traces it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sedna_py.protocol.headers import RequestHeaders
from workers.cloud.stages import Stages


@dataclass(frozen=True, slots=True)
class Handled:
    """`begun` and `ended` by time.time, in seconds; `sizes` are the bytes of the bodies that came and went."""

    path: str
    status: int
    outcome: str
    about: RequestHeaders
    stages: Stages
    begun: float
    ended: float
    sizes: tuple[int, int]


Observer = Callable[[Handled], None]
