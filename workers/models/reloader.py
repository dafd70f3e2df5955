"""Keeps the served model the one that is at MODEL_URL: looks, waits until it has come to rest, loads, switches, closes.

It looks again and again instead of waiting for news (inotify), which mounts of a network or an object store do not send.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sedna_py.errors import ModelError
from workers.models.closing import Closing
from workers.models.listing import look
from workers.models.loading import ChangedMeanwhile, Load, load_whole, one_line
from workers.models.settling import SETTLE_S, Settling
from workers.models.status import ModelStatus, Refused, StatusKeeper
from workers.models.threads import in_daemon_thread
from workers.models.version_folder import Candidate, ModelPlace

if TYPE_CHECKING:
    from workers.inference.predictor import Predictor

LOG = logging.getLogger(__name__)

MOST_CHANGES: Final = 3  # times in a row that a model's files may change while it is loaded
SHORTEST_PAUSE_S: Final = 0.01

Switch = Callable[["Predictor", Candidate], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ReloadTimes:
    """Seconds: between two looks; of rest before a load; the longest for a load, for closing the old model, for `stop`."""

    period_s: float = 2.0
    settle_s: float = SETTLE_S
    load_s: float = 600.0
    close_s: float = 60.0
    stop_s: float = 2.0


class Reloader:
    """Use on one event loop: `load_first`, `start`, `stop`.

    `load` returns a warmed predictor; it runs in a thread. `switch` gives it to whoever serves, and returns when nothing more
    will be submitted to the one before; then that one is closed, in a thread, which waits for what is under way in it. A
    `switch` that raises has not happened. `refused` hears of each model that cannot be served, with one line why; the model
    before goes on. The served predictor belongs to the server, also after `stop`. At most two models are in memory at a time.

    A version folder that disappears while it is served changes nothing as long as no lower one is there: the model is in
    memory. If one is, the worker goes back to it, on purpose: removing the highest version is how an operator takes it back
    (Triton and OpenVINO Model Server do so too).
    """

    def __init__(
        self,
        place: ModelPlace,
        load: Load,
        switch: Switch,
        refused: Refused | None = None,
        times: ReloadTimes | None = None,
    ) -> None:
        self._place = place
        self._load, self._switch = load, switch
        self._times = times or ReloadTimes()
        self._settling = Settling(self._times.settle_s)
        self._closing = Closing(self._times.close_s)
        self._predictor: Predictor | None = None
        self._served: Candidate | None = None
        self._keeper = StatusKeeper(refused)
        self._one_at_a_time = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None
        self._asked: asyncio.Task[float] | None = None
        self._loading: asyncio.Future[Predictor] | None = None
        self._changes: tuple[str, int] = ("", 0)

    @property
    def status(self) -> ModelStatus:
        """What is served, and what could not be."""
        return self._keeper.status

    async def load_first(self) -> None:
        """Load the best version that can be loaded, and switch to it; nothing has to settle. After `stop` do nothing.

        Raises ModelError if none can be, and says why the best one cannot.
        """
        async with self._one_at_a_time:
            found = await in_daemon_thread(partial(look, self._place), "look for models")
            why = found.problem
            for candidate in found.candidates:
                if self._stopping.is_set():
                    return
                await self._try(candidate)
                if self._served is not None:
                    return
                why = why or self.status.refused_because
        if not self._stopping.is_set():
            raise ModelError(why)

    def start(self) -> None:
        """Begin to look."""
        self._polling = asyncio.create_task(self._poll(), name="model reloader")

    async def stop(self) -> None:
        """End within about twice `stop_s`: a load under way is given up, and an old model that is still busy is left behind."""
        self._stopping.set()
        if self._loading is not None:
            self._loading.cancel()
        tasks: list[asyncio.Task[Any] | None] = [self._polling, self._asked, self._closing.task]
        left = {task for task in tasks if task is not None}
        for _ in ("by themselves", "cancelled"):
            if left:
                _, left = await asyncio.wait(left, timeout=self._times.stop_s)
            for task in left:
                task.cancel()

    async def reload_now(self) -> ModelStatus:
        """Look at once and load what is new without letting it settle; return the status after it.

        The caller vouches that all files are whole. What was refused before is not tried again unless it has changed (`touch`
        it). A call while another's is under way shares that one.
        """
        if not self._stopping.is_set():
            if self._asked is None or self._asked.done():
                self._asked = asyncio.create_task(self._round(vouched=True))
            await asyncio.shield(self._asked)  # a caller who goes away does not end the load
        return self._keeper.status

    async def _poll(self) -> None:
        while not self._stopping.is_set():
            pause_s = self._times.period_s
            try:
                pause_s = await self._round(vouched=False)
            except Exception:  # the model goes on being served whatever happens here
                LOG.exception("looking for a new model failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    async def _round(self, *, vouched: bool) -> float:
        """Look, and do what is to be done; return in how many seconds to look again."""
        async with self._one_at_a_time:
            if vouched:
                await self._closing.wait(self._times.close_s)
            if self._stopping.is_set() or self._closing.is_busy:  # a third model shall not come into memory
                return self._times.period_s
            found = await in_daemon_thread(partial(look, self._place), "look for models")
            self._keeper.look_ended(found)
            candidate = self._settling.decide(found, self._served, time.monotonic(), vouched=vouched)
            if candidate is not None and not self._stopping.is_set():
                await self._try(candidate)
            due_s = self._settling.due_in(time.monotonic())
            return self._times.period_s if due_s is None else min(max(due_s, SHORTEST_PAUSE_S), self._times.period_s)

    async def _try(self, candidate: Candidate) -> None:
        """Load and switch, or refuse."""
        LOG.info("loading version %s of the model from %s", candidate.version, candidate.path)
        try:
            predictor = await self._loaded(candidate)
            if predictor is not None:
                await self._take(predictor, candidate)
        except ChangedMeanwhile as error:
            self._count_change(candidate, error)
        except Exception as error:  # noqa: BLE001 - user code, and whatever a broken file makes OpenVINO raise
            self._refuse(candidate, error)

    async def _loaded(self, candidate: Candidate) -> Predictor | None:
        """Return the predictor, None when `stop` gave up the load. Raises whatever loading raised."""
        job = partial(load_whole, self._place, self._load, candidate, first=self._served is None)
        loading = self._loading = in_daemon_thread(job, "load model", lambda predictor: predictor.close())
        try:
            done, _ = await asyncio.wait({loading}, timeout=self._times.load_s)
            if loading.cancelled():
                return None
            if not done:
                raise ModelError(
                    f"it was not loaded within {self._times.load_s:g} s; it may be too big for this machine"
                )
            return loading.result()
        finally:
            loading.cancel()
            self._loading = None

    async def _take(self, predictor: Predictor, candidate: Candidate) -> None:
        try:
            await self._switch(predictor, candidate)
        except BaseException:
            self._closing.begin([predictor], candidate.version)
            raise
        held, before = [self._predictor] if self._predictor is not None else [], self._served
        self._predictor, self._served = predictor, candidate
        self._keeper.switched(candidate, time.time())
        self._changes = ("", 0)
        if held and before is not None:
            self._closing.begin(held, before.version)

    def _count_change(self, candidate: Candidate, error: ChangedMeanwhile) -> None:
        version, count = self._changes
        self._changes = (candidate.version, count + 1 if version == candidate.version else 1)
        if self._changes[1] < MOST_CHANGES or error.after is None:
            LOG.info("version %s of the model changed while it was loaded; it is loaded again later", candidate.version)
            return
        self._changes = ("", 0)
        self._refuse(error.after, error)

    def _refuse(self, candidate: Candidate, error: Exception) -> None:
        self._settling.refuse(candidate)
        self._keeper.refused(candidate, one_line(error))
