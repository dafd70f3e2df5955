"""What is said about the model that is served: to the server, and once to the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from workers.models.version_folder import Candidate, Survey

LOG = logging.getLogger(__name__)

Refused = Callable[[Candidate, str], None]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """`version` is served `since` (seconds since 1970) after `loads` switches; None and 0 before the first.

    `refused_version` is the last that could not be served, until another one is loaded or that one is removed.
    """

    version: str | None = None
    since: float = 0.0
    loads: int = 0
    refused_version: str | None = None
    refused_because: str | None = None


class StatusKeeper:
    """Keeps the status, and says each change of it once."""

    def __init__(self, tell_refused: Refused | None) -> None:
        self._tell_refused = tell_refused
        self._problem = ""
        self.status = ModelStatus()

    def look_ended(self, found: Survey) -> None:
        """Say what became of the served version's files, and forget a refused one that is gone."""
        version = self.status.version
        if version is not None:
            problem = found.problem or ""
            if version not in found.present:
                problem = f"the files of version {version} are gone"
            if problem and problem != self._problem:
                LOG.warning("%s; version %s of the model goes on from memory", problem, version)
            self._problem = problem
        if self.status.refused_version is not None and self.status.refused_version not in found.present:
            self.status = replace(self.status, refused_version=None, refused_because=None)

    def switched(self, candidate: Candidate, now: float) -> None:
        """Note what is served; `now` in seconds since 1970."""
        before = "" if self.status.version is None else f", instead of version {self.status.version}"
        LOG.info("version %s of the model is served%s", candidate.version, before)
        self.status = ModelStatus(candidate.version, now, self.status.loads + 1)

    def refused(self, candidate: Candidate, reason: str) -> None:
        """Note what cannot be served."""
        going_on = "" if self.status.version is None else f"; version {self.status.version} goes on"
        self.status = replace(self.status, refused_version=candidate.version, refused_because=reason)
        LOG.warning("version %s of the model is refused: %s%s", candidate.version, reason, going_on)
        if self._tell_refused is not None:
            self._tell_refused(candidate, reason)
