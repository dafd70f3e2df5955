"""The whole comparison of one service: three runs to watch, three at full speed, a table, a report."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from sedna_py import __version__
from sedna_py.local.comparison import Mode, Run
from sedna_py.local.comparison_run import FULL_SPEED, MODES, PATIENT, Logged, ServiceRun, make_way
from sedna_py.local.comparison_table import comparison_table
from sedna_py.local.live_view import LiveView
from sedna_py.local.report import render_report
from sedna_py.local.report_samples import Sample
from sedna_py.local.sample_choice import choose_samples

DEFAULT_FPS = 25.0
# Returns the JPEGs of the frames with these numbers (the first is 1).
Pictures = Callable[[Iterable[int]], Mapping[int, bytes]]


@dataclass(frozen=True, slots=True)
class Clip:
    """What is played: `frames` and `fps` are 0 where the file does not say."""

    name: str
    frames: int
    fps: float
    pictures: Pictures


@dataclass(frozen=True, slots=True)
class Session:
    """One comparison: `out` gets the logs and the report, `command` is how to repeat it."""

    run: ServiceRun
    clip: Clip
    out: Path
    command: str
    console: Console

    async def runs(self) -> list[Run]:
        """Run the service three ways at the clip's own speed, as a camera gives it, and three ways as fast as it goes."""
        fps = self.clip.fps or DEFAULT_FPS
        logs: dict[Mode, Logged] = {}
        for mode in (Mode.JOINT, Mode.EDGE_ONLY, Mode.CLOUD_ONLY):
            patience = PATIENT if mode is Mode.CLOUD_ONLY else {}
            logs[mode] = await self._run(mode, f"{fps:g} frames/s", {"SOURCE_PACE": f"{fps:g}", **patience})
        return [await self._with_full_speed(mode, logs[mode]) for mode in Mode]

    def conclude(self, runs: Sequence[Run]) -> Path:
        """Print the table and write the report; return its path."""
        self.console.print(comparison_table(runs))
        records = {run.mode: run.records for run in runs}
        choices = choose_samples(records[Mode.JOINT], records[Mode.CLOUD_ONLY])
        pictures = self.clip.pictures([choice.record.frame for choice in choices])
        samples = [
            Sample(
                frame=choice.record.frame,
                jpeg=pictures[choice.record.frame],
                width=choice.record.width,
                height=choice.record.height,
                edge=choice.record.edge or [],
                cloud=choice.cloud,
                caption=choice.caption,
            )
            for choice in choices
            if choice.record.frame in pictures
        ]
        path = self.out / "report.html"
        unfinished = path.with_suffix(".part")
        unfinished.write_text(render_report(runs, samples, self._facts()), encoding="utf-8")
        unfinished.replace(path)
        return path

    async def _with_full_speed(self, mode: Mode, paced: Logged) -> Run:
        fast = await self._run(mode, "full speed", FULL_SPEED, folder="full-speed")
        problems = (*paced.problems, *(f"at full speed {problem}" for problem in fast.problems))
        return Run(mode, paced.records, problems, full_speed=fast.records)

    async def _run(self, mode: Mode, speed: str, variables: Mapping[str, str], folder: str = "") -> Logged:
        # The joint run is the service as it is; its log stands where a user looks first.
        name = "decisions" if mode is Mode.JOINT else mode.value.replace(" ", "-")
        log = self.out / folder / f"{name}.jsonl"
        make_way(log)
        title = f"{self.run.service.name}, {mode.value}, {speed}"
        with (
            log.with_suffix(".workers.log").open("w", encoding="utf-8") as lines,
            LiveView(title, self.clip.frames, self.console) as view,
        ):
            return await self.run.log(
                log,
                {**variables, **MODES[mode]},
                lambda who, line: print(f"{who}: {line}", file=lines, flush=True),
                lambda records: view.update(records, time.time()),
            )

    def _facts(self) -> dict[str, str]:
        return {
            "service": f"{self.run.service.namespace}/{self.run.service.name}",
            "clip": f"{self.clip.name}, {self.clip.frames or 'unknown number of'} frames, {self.clip.fps:g} frames/s",
            "command": self.command,
            "sedna-py": __version__,
            "python": platform.python_version(),
            "machine": f"{cpu_name()}, {core_count()} cores, {platform.system()} {platform.release()}",
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        }


def core_count() -> int:
    """Return how many cores this process may use, where the system tells it, else how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()
