"""Closes the model of before, beside everything else."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from workers.models.loading import one_line
from workers.models.memory import let_go
from workers.models.threads import in_daemon_thread

if TYPE_CHECKING:
    from workers.inference.predictor import Predictor

LOG = logging.getLogger(__name__)


class Closing:
    """The old model on its way out, in a thread that waits for what is under way in it. Use it from one event loop."""

    def __init__(self, warn_after_s: float) -> None:
        self._warn_after_s = warn_after_s
        self._watching: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an old model is still in memory."""
        return self._watching is not None and not self._watching.done()

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What ends when the old model is closed; cancel it to leave the model behind in its thread."""
        return self._watching

    def begin(self, held: list[Predictor], version: str) -> None:
        """Close the predictor in the list.

        The list must be the caller's only reference: the memory is given back when the thread has emptied it.
        """
        closing = in_daemon_thread(partial(_close, held), "close model")
        self._watching = asyncio.create_task(self._watch(closing, version))

    async def wait(self, timeout_s: float) -> None:
        """Wait until nothing is being closed, or as long as that."""
        if self._watching is not None and not self._watching.done():
            await asyncio.wait({self._watching}, timeout=timeout_s)

    async def _watch(self, closing: asyncio.Future[None], version: str) -> None:
        try:
            done, _ = await asyncio.wait({closing}, timeout=self._warn_after_s)
            if not done:
                LOG.warning(
                    "the old version %s of the model is still busy after %g s; no other is loaded before it has ended",
                    version,
                    self._warn_after_s,
                )
                await asyncio.wait({closing})
            if error := closing.exception():
                LOG.warning("the old version %s of the model did not close: %s", version, one_line(error))
        finally:
            closing.cancel()


def _close(held: list[Predictor]) -> None:
    try:
        held[0].close()
    finally:
        let_go(held)
