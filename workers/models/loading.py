"""One load, in a thread: verify, load, and look whether the files are still the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sedna_py.errors import EstimatorError, ModelError, SednaError
from workers.models.checksum import verify
from workers.models.listing import look
from workers.models.version_folder import Candidate, ModelPlace

if TYPE_CHECKING:
    from workers.inference.predictor import Predictor

LOG = logging.getLogger(__name__)

LONGEST_REASON: Final = 1000  # characters

Load = Callable[[Candidate], "Predictor"]


class ChangedMeanwhile(ModelError):
    """The files are others after the load than before it; `after` is what is there now, None if nothing is."""

    def __init__(self, after: Candidate | None) -> None:
        super().__init__(
            "its files change whenever it is loaded; write nothing into the model's folder while it is served"
        )
        self.after = after


def load_whole(place: ModelPlace, load: Load, candidate: Candidate, *, first: bool) -> Predictor:
    """Return the predictor of a model that is whole: it was loaded from the files that the candidate's fingerprint is of.

    Raises ModelError for a wrong checksum, ChangedMeanwhile if somebody wrote the files meanwhile (not where this is the
    `first` model: code that keeps a cache beside its model would never start), and whatever `load` raises.
    """
    if candidate.problem is not None:
        raise ModelError(candidate.problem)
    if verified := verify(candidate):
        LOG.info("version %s: %d files have the checksums written for them", candidate.version, len(verified))
    try:
        predictor = load(candidate)
    except SystemExit as error:  # it would end the event loop
        raise EstimatorError("the estimator called exit while it was loaded") from error
    if first:
        return predictor
    after = {found.version: found for found in look(place).candidates}.get(candidate.version)
    if after is None or after.fingerprint != candidate.fingerprint:
        predictor.close()
        raise ChangedMeanwhile(after)
    return predictor


def one_line(error: BaseException) -> str:
    """Return an error as one line of bounded length, with its class unless it is written for people."""
    said = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if not isinstance(error, SednaError):
        said = f"{type(error).__name__}: {said}".removesuffix(": ")
    return said[:LONGEST_REASON]
