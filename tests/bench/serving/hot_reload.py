"""A new version of the model every other second under load: whether anybody notices, and what stays in memory."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sedna_py.metrics import names
from tests.bench.serving.limits import BenchModel
from tests.bench.serving.load import Job, Phase, load
from tests.bench.serving.servers import Server, worker

CONNECTIONS: Final = 4
EVERY_S: Final = 2.0
POLL_S: Final = 0.5
WARM_S: Final = 5.0  # two versions have come and gone: what only the first ones take is not counted


@dataclass(frozen=True, slots=True)
class Reloaded:
    """`offered` versions of which `loaded` were served; requests without a good answer; resident bytes."""

    offered: int
    loaded: int
    answers: int
    errors: int
    causes: dict[str, int]
    rss_begin: int
    rss_end: int
    p99: float


def hot_reload(model: BenchModel, pictures: Path, first: bytes, folder: Path, seconds: float) -> Reloaded:
    """Measure once, with version folders in `folder`."""
    versions = Versions(folder, Path(model.environment["MODEL_URL"]))
    environment = {**model.environment, "MODEL_URL": str(folder)}
    settings = {"MODEL_HOT_UPDATE": "true", "MODEL_POLL_PERIOD_SECONDS": str(POLL_S)}
    with worker(environment, first, **settings) as server:
        before = _loads(server)
        with versions.replaced():
            job = Job(server.port, server.path, str(pictures), [Phase(CONNECTIONS, seconds, WARM_S)], server.pid)
            report = load(job)[0]
        loaded = _loads(server) - before
    return Reloaded(
        versions.number - 1,
        loaded,
        report.accepted_ms().count,
        report.refused + sum(report.failed.values()),
        {**report.failed, **({"refused": report.refused} if report.refused else {})},
        report.rss_begin or 0,
        report.rss_end or 0,
        report.accepted_ms().p99,
    )


class Versions:
    """A folder of version folders with the same model in each; `number` is that of the newest."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder = folder
        self._model = model
        self.number = 0
        folder.mkdir()
        self.add()

    def add(self) -> None:
        """Put a new version in, whole from the start, and take the one before the last away."""
        self.number += 1
        coming = self._folder / ".coming"
        coming.mkdir()
        for file in self._model.parent.glob(f"{self._model.stem}.*"):
            shutil.copy(file, coming)
        coming.rename(self._folder / str(self.number))
        if self.number > 2:
            shutil.rmtree(self._folder / str(self.number - 2))

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """Add one every EVERY_S meanwhile."""
        over = threading.Event()

        def go_on() -> None:
            while not over.wait(EVERY_S):
                self.add()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _loads(server: Server) -> int:
    """Return how many models it has loaded."""
    found = re.search(
        rf'^{names.CLOUD_MODEL_LOADS}{{outcome="loaded"}} ([0-9.]+)', server.text("/metrics"), re.MULTILINE
    )
    return int(float(found[1])) if found else 0
