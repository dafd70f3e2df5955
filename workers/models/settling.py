"""When to try which version: only what has come to rest, and nothing broken twice.

Pure: `now` is an argument, in seconds of a monotonic clock. Not thread-safe; it belongs to one event loop.
"""

from __future__ import annotations

from typing import Final

from workers.models.version_folder import Candidate, Survey

SETTLE_S: Final = 1.0  # writes of one copy come closer together than this
MOST_REFUSED: Final = 64  # remembered; the oldest is forgotten first, and would be tried once more


class Settling:
    """Decides about every survey. What it remembers is bounded by the survey, and by MOST_REFUSED."""

    def __init__(self, settle_s: float = SETTLE_S) -> None:
        self._settle_s = settle_s
        self._seen: dict[str, tuple[str, float]] = {}  # by version: the fingerprint, and since when it has been that
        self._refused: dict[tuple[str, str], None] = {}  # version and fingerprint, in the order of refusal
        self._gone: tuple[str, float] | None = None  # the served version, and since when there has been nothing of it
        self._due: float | None = None

    def decide(
        self, survey: Survey, served: Candidate | None, now: float, *, vouched: bool = False
    ) -> Candidate | None:
        """Return the version to load now, None for none.

        It is the highest that has been the same for `settle_s` and was not refused as it is. One below the served one is
        taken only when the served one's folder has been gone for `settle_s`: that is how to roll back, as it is for Triton
        and OpenVINO Model Server. `vouched`: somebody says that all files are whole; nothing has to settle.
        """
        self._note(survey, served, now)
        floor = 0
        if served is not None and not (self._gone is not None and (vouched or self._rested(self._gone[1], now))):
            floor = int(served.version)
        for candidate in survey.candidates:
            if int(candidate.version) < floor:
                break
            if served is not None and _same(candidate, served):
                return None
            if self.is_refused(candidate):
                continue
            if vouched or self._rested(self._seen[candidate.version][1], now):
                return candidate
        return None

    def due_in(self, now: float) -> float | None:
        """Return in how many seconds something that moves now will have settled, None where nothing moves."""
        return None if self._due is None else max(self._due - now, 0.0)

    def refuse(self, candidate: Candidate) -> None:
        """Remember that this one is broken as it is."""
        self._refused.pop(_key(candidate), None)
        self._refused[_key(candidate)] = None
        if len(self._refused) > MOST_REFUSED:
            del self._refused[next(iter(self._refused))]

    def is_refused(self, candidate: Candidate) -> bool:
        """Return whether it was refused and has not changed since."""
        return _key(candidate) in self._refused

    def _note(self, survey: Survey, served: Candidate | None, now: float) -> None:
        before, self._seen = self._seen, {}
        for candidate in survey.candidates:
            was = before.get(candidate.version)
            since = was[1] if was is not None and was[0] == candidate.fingerprint else now
            self._seen[candidate.version] = (candidate.fingerprint, since)
        if served is None or served.version in survey.present:
            self._gone = None
        elif self._gone is None or self._gone[0] != served.version:
            self._gone = (served.version, now)
        began = [since for _, since in self._seen.values()] + ([self._gone[1]] if self._gone else [])
        self._due = min((since + self._settle_s for since in began if not self._rested(since, now)), default=None)

    def _rested(self, since: float, now: float) -> bool:
        return now >= since + self._settle_s  # the same sum as in `_due`, so that its rounding cannot differ


def _key(candidate: Candidate) -> tuple[str, str]:
    return candidate.version, candidate.fingerprint


def _same(one: Candidate, other: Candidate) -> bool:
    return _key(one) == _key(other)
