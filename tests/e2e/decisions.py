"""What the edge workers wrote about each frame, read while they write."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sedna_py.decision_log import DecisionRecord, read_records
from sedna_py.decision_log import Path as AnsweredBy


@dataclass(frozen=True)
class Decisions:
    """All records of one service, by the process that wrote them, in the order of writing."""

    by_run: dict[str, list[DecisionRecord]]

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

    def between(self, start: float, end: float) -> Decisions:
        """Return the records that were emitted in this time, seconds since the epoch."""
        return Decisions(
            {
                run: [record for record in records if start <= record.emitted < end]
                for run, records in self.by_run.items()
            }
        )


def read_decisions(folder: Path, pattern: str = "decisions*.jsonl") -> Decisions:
    """Read every log in the folder; a line that is being written is left out."""
    by_run: dict[str, list[DecisionRecord]] = {}
    for path in sorted(folder.glob(pattern)):
        with path.open(encoding="utf-8") as lines:
            for record in read_records(lines):
                by_run.setdefault(f"{path.stem}/{record.run}", []).append(record)
    return Decisions(by_run)
