"""Which results a subscriber gets: all that show something new, and of the others one in a while. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from sedna_py.decision_log import DecisionRecord, Emit

K = TypeVar("K")
V = TypeVar("V")
MOST_KEPT: Final = 4096  # first answers whose corrections are awaited, and sources; the oldest are forgotten
CHANGE_SHARE: Final = 0.1  # of the interval, between two results even if what is seen changes


@dataclass(slots=True)
class _Last:
    at: float
    counts: Mapping[str, int]


class Throttle:
    """At most one result in `interval_s` of a source and topic, or in a tenth of it when what is counted in it changed.

    The comparison is with what was let through last, so that a change which came too early goes with a later frame. A
    correction is let through if its first answer was: whoever got that one waits for it. 0 lets everything through.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._last: OrderedDict[tuple[str, bool], _Last] = OrderedDict()
        self._awaited: OrderedDict[tuple[str, str, int], None] = OrderedDict()

    def lets(self, record: DecisionRecord, counts: Mapping[str, int], now: float) -> bool:
        """Return whether the result is to be published at `now` (seconds of any steady clock)."""
        if self._interval_s <= 0:
            return True
        frame, topic = (record.run, record.source, record.frame), (record.source, is_correction(record))
        if record.emit is Emit.CORRECTION and frame in self._awaited:
            del self._awaited[frame]
        elif not self._due(topic, counts, now):
            return False
        _remember(self._last, topic, _Last(now, dict(counts)))
        if record.emit is Emit.FIRST:
            _remember(self._awaited, frame, None)
        return True

    def _due(self, key: tuple[str, bool], counts: Mapping[str, int], now: float) -> bool:
        last = self._last.get(key)
        if last is not None:
            wait_s = self._interval_s * (1.0 if counts == last.counts else CHANGE_SHARE)
            return now - last.at >= wait_s
        return True


def is_correction(record: DecisionRecord) -> bool:
    """Whether an answer was given before for its frame."""
    return record.emit in (Emit.CORRECTION, Emit.LATE)


def _remember(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MOST_KEPT:
        kept.popitem(last=False)
