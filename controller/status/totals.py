"""Sums of what the workers report (contract 5.3), kept in the status alone: a new controller goes on from there.

A worker counts from its own start, so each report adds what is new since the one before. Only reports of pods that
exist may be handed in: one that was retired would be counted from its start again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from controller.status.live import items, number, text

MAX_WORKERS: Final = 500  # 80 bytes each in the status
MAX_COUNT: Final = 2**63 - 1
_LONGEST_NAME: Final = 253
_LONGEST_SUM: Final = 30

INFERENCES_KEY: Final = "inferenceNumber"
HARD_EXAMPLES_KEY: Final = "hardExampleNumber"
RATIO_KEY: Final = "uploadCloudRatio"


@dataclass(frozen=True)
class Counts:
    """Inferences as the worker counts them (upstream counts a hard one twice), and the hard ones among them."""

    inferences: int = 0
    hard_examples: int = 0

    def since(self, before: Counts) -> Counts:
        """Return what is new; all of it where a number fell, as then the container began anew."""
        if self.inferences < before.inferences or self.hard_examples < before.hard_examples:
            return self
        return Counts(self.inferences - before.inferences, self.hard_examples - before.hard_examples)

    def plus(self, more: Counts) -> Counts:
        """Return the sum."""
        return Counts(self.inferences + more.inferences, self.hard_examples + more.hard_examples)


@dataclass(frozen=True)
class Totals:
    """`sums` over all workers since the service began (None: no report yet); `last` has those of live workers by pod."""

    sums: Counts | None = None
    last: Mapping[str, Counts] = field(default_factory=dict)

    def report(self, name: str, inferences: int, hard_examples: int) -> Self:
        """Return the totals with one worker's report. ValueError, in one line, for what cannot be one."""
        counts = _checked(name, inferences, hard_examples)
        if name not in self.last and len(self.last) >= MAX_WORKERS:
            raise ValueError(f"{MAX_WORKERS} workers report already; more are not counted")
        added = counts.since(self.last.get(name, Counts()))
        return replace(self, sums=(self.sums or Counts()).plus(added), last={**self.last, name: counts})

    def retire(self, existing: Collection[str]) -> Self:
        """Return the totals without the pods that are gone; what they counted stays in the sums."""
        if all(name in existing for name in self.last):
            return self
        return replace(self, last={name: counts for name, counts in self.last.items() if name in existing})

    def to_status(self) -> dict[str, Any]:
        """Return status.metrics and status.workers in a fixed order; {} before the first report."""
        if self.sums is None:
            return {}
        values = (
            (INFERENCES_KEY, str(self.sums.inferences)),
            (HARD_EXAMPLES_KEY, str(self.sums.hard_examples)),
            (RATIO_KEY, _ratio_text(self.sums)),
        )
        workers = [
            {"name": name, "inferenceNumber": counts.inferences, "hardExampleNumber": counts.hard_examples}
            for name, counts in sorted(self.last.items())
        ]
        return {
            "metrics": [{"key": key, "value": value} for key, value in values],
            **({"workers": workers} if workers else {}),
        }

    @classmethod
    def from_status(cls, status: Any) -> Self:
        """Return the totals that a status holds; what cannot be read in it counts as 0."""
        metrics = {text(item, "key"): text(item, "value") for item in items(status, "metrics")}
        workers = {}
        for item in items(status, "workers")[:MAX_WORKERS]:
            counts = Counts(max(0, number(item, "inferenceNumber")), max(0, number(item, "hardExampleNumber")))
            workers[text(item, "name")] = counts
        if not (workers or INFERENCES_KEY in metrics or HARD_EXAMPLES_KEY in metrics):
            return cls()
        return cls(Counts(_count(metrics.get(INFERENCES_KEY)), _count(metrics.get(HARD_EXAMPLES_KEY))), workers)


def _checked(name: Any, inferences: Any, hard_examples: Any) -> Counts:
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise ValueError(f"the name of the worker is not a text of 1 to {_LONGEST_NAME} characters")
    for key, value in ((INFERENCES_KEY, inferences), (HARD_EXAMPLES_KEY, hard_examples)):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
            raise ValueError(f"{key} is not a whole number of 0 or more")
    if hard_examples > inferences:
        raise ValueError(f"{HARD_EXAMPLES_KEY} is greater than {INFERENCES_KEY}")
    return Counts(inferences, hard_examples)


def _ratio_text(sums: Counts) -> str:
    ratio = sums.hard_examples / sums.inferences if sums.inferences else 0.0
    return f"{ratio:.4f}".rstrip("0").rstrip(".")


def _count(value: str | None) -> int:
    readable = value is not None and value.isascii() and value.isdecimal() and len(value) <= _LONGEST_SUM
    return int(value) if value is not None and readable else 0
