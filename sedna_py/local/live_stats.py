"""What a live view shows of a run: counts for ever, the recent past in bounded windows, and no clock of its own."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sedna_py.decision_log import DecisionRecord, Emit, Path
from sedna_py.local.figures import CAUSE_NOT_STATED, ratio

RATE_SECONDS = 2.0
MOST_IN_WINDOW = 4096  # above 2000 frames/s over two seconds the rate is counted over a shorter past
RECENT_LATENCIES = 200
RECENT_SCORES = 48
SPARKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """The state at one moment; what cannot be known yet is None."""

    frames: int
    frames_per_second: float | None  # over the last two seconds
    hard_share: float | None  # 0..1 of all frames so far
    bytes_sent: int
    cloud_p50_ms: float | None  # over the last 200 answers of the cloud
    frames_waiting: int
    offloads_waiting: int
    fallbacks: dict[str, int]
    last: DecisionRecord | None
    scores: tuple[float | None, ...]  # of the last frames, oldest first
    late: int = 0  # answers of the cloud to frames that had waited on disk


@dataclass(slots=True)
class LiveStats:
    """Adds records up as they appear."""

    frames: int = 0
    hard: int = 0
    bytes_sent: int = 0
    first_captured: float | None = None
    last: DecisionRecord | None = None
    late: int = 0
    fallbacks: Counter[str] = field(default_factory=Counter)
    _emitted: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_IN_WINDOW))
    _cloud_ms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_LATENCIES))
    _scores: deque[float | None] = field(default_factory=lambda: deque(maxlen=RECENT_SCORES))

    def add(self, record: DecisionRecord) -> None:
        """Take one more record into account; a frame counts with the one that closes it."""
        self.bytes_sent += record.bytes_sent
        self.late += record.emit is Emit.LATE
        if not record.emit.closes:
            return
        self.frames += 1
        self.hard += record.hard
        earliest = record.captured if self.first_captured is None else self.first_captured
        self.first_captured = min(record.captured, earliest)
        self.last = record
        self._emitted.append(record.emitted)
        self._scores.append(record.score)
        if record.latency_ms.cloud is not None:
            self._cloud_ms.append(record.latency_ms.cloud)
        if record.path is Path.FALLBACK:
            self.fallbacks[record.cause.value if record.cause else CAUSE_NOT_STATED] += 1

    def snapshot(self, now: float) -> LiveSnapshot:
        """Return the state at `now`, seconds since the epoch."""
        return LiveSnapshot(
            frames=self.frames,
            frames_per_second=self._rate(now),
            hard_share=ratio(self.hard, self.frames),
            bytes_sent=self.bytes_sent,
            cloud_p50_ms=float(np.median(self._cloud_ms)) if self._cloud_ms else None,
            frames_waiting=self.last.frames_waiting if self.last else 0,
            offloads_waiting=self.last.offloads_waiting if self.last else 0,
            fallbacks=dict(self.fallbacks.most_common()),
            last=self.last,
            scores=tuple(self._scores),
            late=self.late,
        )

    def _rate(self, now: float) -> float | None:
        """A run younger than the window is measured from its first capture; a full window from its oldest entry."""
        if self.first_captured is None:
            return None
        since = max(now - RATE_SECONDS, self.first_captured)
        if len(self._emitted) == MOST_IN_WINDOW:
            since = max(since, min(self._emitted))
        recent = sum(emitted >= since for emitted in self._emitted)
        return recent / (now - since) if now > since else None


def sparkline(values: Sequence[float | None], low: float = 0.0, high: float = 1.0) -> str:
    """Return one block a value between `low` and `high`, a dot where there is none."""
    return "".join("·" if value is None else SPARKS[_level(value, low, high)] for value in values)


def _level(value: float, low: float, high: float) -> int:
    share = min(1.0, max(0.0, (value - low) / (high - low)))
    return min(len(SPARKS) - 1, int(share * len(SPARKS)))
