"""A server of a fake model around a Reloader, and what happened in it, in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sedna_py.errors import ModelError
from workers.inference.model_files import find_model_file
from workers.models import reloader as reloader_module
from workers.models.listing import look
from workers.models.reloader import Reloader, ReloadTimes
from workers.models.version_folder import Candidate, ModelPlace, Survey

QUICK = ReloadTimes(period_s=0.01, settle_s=0.02, stop_s=5.0)
NEVER_SETTLED = ReloadTimes(period_s=0.01, settle_s=1000.0)


@dataclass
class FakePredictor:
    """Its `close` waits until `idle` is set, as for what is under way."""

    text: str
    happened: list[str]
    requests: int = 1
    labels: list[str] = field(default_factory=list)
    idle: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    def submit(self, data: Any, answer: Callable[[Any], None]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        assert self.idle.wait(20)
        self.happened.append(f"close {self.text}")


@dataclass
class Serving:
    """`happened` has "load x", "switch x", "close x" with the text x of the model file, and "refuse VERSION"."""

    url: Path
    times: ReloadTimes = QUICK
    version: int | None = None
    happened: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    serves: FakePredictor | None = None
    looks: int = 0
    during_load: Callable[[Candidate], None] = lambda candidate: None
    during_switch: Callable[[], None] = lambda: None
    reloader: Reloader = field(init=False)

    def load(self, candidate: Candidate) -> FakePredictor:
        text = find_model_file(str(candidate.path)).read_text()
        self.happened.append(f"load {text}")
        if "broken" in text:
            raise ModelError(f"{text} is not a model")
        self.during_load(candidate)
        return FakePredictor(text, self.happened)

    async def switch(self, predictor: Any, candidate: Candidate) -> None:
        self.during_switch()
        self.happened.append(f"switch {predictor.text}")
        self.serves = predictor

    def refused(self, candidate: Candidate, reason: str) -> None:
        self.happened.append(f"refuse {candidate.version}")
        self.reasons.append(reason)

    def look(self, place: ModelPlace) -> Survey:
        self.looks += 1
        return look(place)

    @asynccontextmanager
    async def running(self, monkeypatch: pytest.MonkeyPatch, *, poll: bool = True) -> AsyncIterator[Reloader]:
        """Load the first model and, with `poll`, begin to look; end in time."""
        monkeypatch.setattr(reloader_module, "look", self.look)
        place = ModelPlace(str(self.url), version=self.version)
        self.reloader = Reloader(place, self.load, self.switch, self.refused, self.times)
        try:
            await self.reloader.load_first()
            if poll:
                self.reloader.start()
            yield self.reloader
        finally:
            async with asyncio.timeout(15):
                await self.reloader.stop()

    async def more_looks(self, count: int = 5) -> None:
        """Wait until the reloader has looked, and done what it then does, some more times."""
        wanted = self.looks + count + 1  # the last one may not have been acted on
        await until(lambda: self.looks >= wanted)


def put(root: Path, name: str, text: str) -> None:
    """Write a file at one go, as whoever renames a whole one into its place."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / ".part").write_text(text)
    (path.parent / ".part").replace(path)


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for a condition of code that sends no event."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
