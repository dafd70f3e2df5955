"""The JPEG quality that the link can bear: pure; the time is an argument.

The rule is TCP's (additive increase, multiplicative decrease; Jacobson, 1988; Chiu and Jain, 1989), on the quality and not on a
window. The quality goes half of the way to the least when the link is what limits, and a step up for every RISE_S without that.

The link limits, and not the model, where
- a body took a quarter of the deadline or more to arrive, and longer than the model worked on it with all its waiting: the cloud
  worker measures both (`Server-Timing`), so a slow model costs no quality, nor does a long round trip, which no quality shortens;
- a frame missed its deadline after the last answer had spent an eighth of it on the link, and more than in the model;
- the cap in kbit/s kept a frame here.
One jam is one cut: bodies that were on their way at a cut tell nothing new, and there is a second between two cuts at least.
"""

from __future__ import annotations

from typing import Final

from sedna_py.protocol.causes import OffloadCause

SLOW_SHARE: Final = 1 / 4  # of the deadline: as long as the round trips and the model still have the most of it
EASY_SHARE: Final = 1 / 8  # under which there is room for more
RISE_S: Final = 2.0  # a step up: the whole way from 50 to 65 takes 30 s
CUT_PAUSE_S: Final = 1.0
LEAST_CUT: Final = 5


class LinkQuality:
    """From `best`, which it starts with, down to `least`. Not for several threads at once; `quality` may be read by any."""

    def __init__(self, best: int, least: int, deadline_s: float, *, cap_in_bytes: bool = False) -> None:
        self._best = best
        self._cap_in_bytes = cap_in_bytes  # one in frames lets no more of them pass for being smaller
        self._least = min(least, best)
        self._deadline_s = deadline_s
        self._upload_s = 0.0  # of the last answer that told
        self._model_s = 0.0
        self._cut_at = float("-inf")
        self._changed_at = float("-inf")
        self.quality = best

    def answered(self, started: float, now: float, *, upload_s: float, model_s: float) -> None:
        """Note an answer to a frame that was `started` then: how long its body took to arrive, and the model with its line."""
        self._upload_s, self._model_s = upload_s, model_s
        if self._link_took(SLOW_SHARE):
            self._cut(started, now)
        elif upload_s <= self._deadline_s * EASY_SHARE:
            self._rise(now)

    def failed(self, cause: OffloadCause, started: float, now: float) -> None:
        """Note a frame that was started then and not answered."""
        match cause:
            case OffloadCause.OVER_CAP | OffloadCause.LARGER_THAN_CAP:
                limits = self._cap_in_bytes
            case OffloadCause.DEADLINE_EXCEEDED:
                limits = self._link_took(EASY_SHARE)
            case _:
                limits = False
        if limits:
            self._cut(started, now)

    def _link_took(self, share: float) -> bool:
        return self._upload_s >= self._deadline_s * share and self._upload_s > self._model_s

    def _cut(self, started: float, now: float) -> None:
        if started <= self._cut_at or now - self._cut_at < CUT_PAUSE_S:
            return
        step = max((self.quality - self._least) // 2, LEAST_CUT)
        self.quality = max(self.quality - step, self._least)
        self._cut_at = self._changed_at = now

    def _rise(self, now: float) -> None:
        if self.quality < self._best and now - self._changed_at >= RISE_S:
            self.quality += 1
            self._changed_at = now
