"""What the edge workers wrote about each frame, read while they write."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sedna_py.decision_log import DecisionRecord, Emit, read_records
from sedna_py.decision_log import Path as AnsweredBy


@dataclass(frozen=True)
class Decisions:
    """Records of one service that closed a frame, by run: that of one process, or of several that share their source.

    `late` are the cloud's answers to frames that had waited on disk, whoever got them. `writers` are the records by worker.
    """

    by_run: dict[str, list[DecisionRecord]] = field(default_factory=dict)
    late: list[DecisionRecord] = field(default_factory=list)
    writers: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> list[DecisionRecord]:
        """Every record."""
        return [record for records in self.by_run.values() for record in records]

    def answered_twice(self) -> list[str]:
        """Name the frames with more than one final answer."""
        return [
            f"{run}#{frame}"
            for run, records in self.by_run.items()
            for frame, times in Counter(record.frame for record in records).items()
            if times > 1
        ]

    def unanswered(self) -> list[str]:
        """Name the frames without an answer: the source counts its frames from 1, and a number is missing."""
        missing = []
        for run, records in self.by_run.items():
            seen = {record.frame for record in records}
            missing += [f"{run}#{frame}" for frame in range(1, max(seen) + 1) if frame not in seen]
        return missing

    def until(self, last: Mapping[str, int]) -> Decisions:
        """Return the records of each run's frames up to this one."""
        found = {run: [r for r in records if r.frame <= last.get(run, 0)] for run, records in self.by_run.items()}
        return Decisions({run: records for run, records in found.items() if records})

    def last_frames(self) -> dict[str, int]:
        """Return the highest frame of each run that has an answer; frames before it may still be on their way."""
        return {run: max(record.frame for record in records) for run, records in self.by_run.items()}

    def without_a_cause(self) -> list[DecisionRecord]:
        """Return hard frames that the cloud did not answer and that do not say why."""
        return [record for record in self.records if record.path is AnsweredBy.FALLBACK and record.cause is None]

    def causes(self) -> Counter[str]:
        """Count the fallbacks by cause."""
        return Counter(str(record.cause) for record in self.records if record.cause is not None)

    def cloud_answers(self) -> int:
        """Count the frames that the cloud answered."""
        return sum(record.path is AnsweredBy.CLOUD for record in self.records)

    def longest_gap_s(self) -> float:
        """Return the longest time between two answers of the service, whoever of its workers gave them."""
        times = sorted(record.emitted for record in self.records)
        return max((after - before for before, after in itertools.pairwise(times)), default=0.0)

    def between(self, start: float, end: float = float("inf")) -> Decisions:
        """Return the records that were emitted in this time, seconds since the epoch."""
        found = {run: [r for r in records if start <= r.emitted < end] for run, records in self.by_run.items()}
        return Decisions({run: records for run, records in found.items() if records})


class DecisionReader:
    """The logs of a folder; each line is parsed once, however often it is asked."""

    def __init__(self, folder: Path, pattern: str = "decisions*.jsonl") -> None:
        self._folder = folder
        self._pattern = pattern
        self._read: dict[Path, int] = {}
        self._by_run: dict[str, list[DecisionRecord]] = {}
        self._late: list[DecisionRecord] = []
        self._writers: Counter[str] = Counter()

    def decisions(self) -> Decisions:
        """Return everything until now; a line that is being written is left out."""
        for path in sorted(self._folder.glob(self._pattern)):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            for record in read_records(whole.decode().splitlines(keepends=True)):
                if record.emit.closes:
                    self._by_run.setdefault(record.run, []).append(record)
                    self._writers[path.stem] += 1
                elif record.emit is Emit.LATE:
                    self._late.append(record)
        by_run = {run: list(records) for run, records in self._by_run.items()}
        return Decisions(by_run, list(self._late), Counter(self._writers))
