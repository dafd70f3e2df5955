"""Where the model comes from: loaded once, or looked after for as long as the worker serves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from workers.cloud.big_model import AnyPredictor, BigModel
from workers.cloud.metrics import CloudMetrics
from workers.inference.predictor import Predictor
from workers.models.checksum import verify
from workers.models.listing import look
from workers.models.reloader import Reloader, ReloadTimes
from workers.models.threads import in_daemon_thread
from workers.models.version_folder import Candidate, ModelPlace, Survey

LOG = logging.getLogger(__name__)


class ModelSource(Protocol):
    """Gives a BigModel its predictor."""

    async def begin(self, model: BigModel, metrics: CloudMetrics) -> None:
        """Return when the model serves. Raises whatever loading raises."""

    async def end(self) -> None:
        """Load no more."""


class FixedModel:
    """A model that stays the one that it is; `load` returns it, warmed, and runs in a thread."""

    def __init__(self, load: Callable[[], AnyPredictor]) -> None:
        self._load = load

    async def begin(self, model: BigModel, metrics: CloudMetrics) -> None:
        """Load it."""
        model.attach(await in_daemon_thread(self._load, "load model", lambda predictor: predictor.close()))

    async def end(self) -> None:
        """There is nothing to end."""


class ModelAtUrl:
    """The best version that there is at MODEL_URL; with `hot`, always the best one that there is by now.

    `load` returns the warmed predictor of a version, or of MODEL_URL itself where there are no versions.
    """

    def __init__(
        self, place: ModelPlace, load: Callable[[Candidate | None], Predictor], *, hot: bool, period_s: float
    ) -> None:
        self._place = place
        self._load = load
        self._hot = hot
        self._times = ReloadTimes(period_s=period_s)
        self._reloader: Reloader | None = None

    async def begin(self, model: BigModel, metrics: CloudMetrics) -> None:
        """Load the first, and go on looking."""
        found = await in_daemon_thread(partial(look, self._place), "look for models")
        versions = bool(found.candidates) and found.candidates[0].path != Path(self._place.url)
        if not versions and not (self._hot and found.candidates):
            # What is not there may still be something to code of the user's own; to all else loading says what is wrong.
            await FixedModel(partial(self._load_only, found)).begin(model, metrics)
            if self._hot:
                LOG.warning(
                    "MODEL_HOT_UPDATE: %r is no file or folder here; the model stays the one it is", self._place.url
                )
            return

        async def switch(predictor: Predictor, candidate: Candidate) -> None:
            model.attach(cast("AnyPredictor", predictor), candidate.version)

        def refused(candidate: Candidate, reason: str) -> None:
            metrics.model_refused()

        self._reloader = Reloader(self._place, self._load, switch, refused, self._times)
        await self._reloader.load_first()
        if self._hot:
            LOG.info("looking for a new model every %g s", self._times.period_s)
            self._reloader.start()

    def _load_only(self, found: Survey) -> AnyPredictor:
        for candidate in found.candidates:
            verify(candidate)
        return cast("AnyPredictor", self._load(None))

    async def end(self) -> None:
        """Give up what is being loaded, and look no more."""
        if self._reloader is not None:
            await self._reloader.stop()
