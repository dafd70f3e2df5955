"""What every hard-example-mining filter is, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from sedna_py.hard_example_mining.parameter import Parameter


class Judges(StrEnum):
    """What a filter has to be given; tells which of the two mining modes it fits."""

    BOXES = "boxes"  # the little model's detections: inference-then-mining
    PROBABILITIES = "probabilities"  # the little model's class probabilities: inference-then-mining
    TEXT = "text"  # the raw input, before any inference: mining-then-inference
    ANYTHING = "anything"  # the data is not looked at


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Whether the edge's answer is in doubt, and why.

    `score` is the filter's own figure of confidence (lower is harder; finite), None where it has none.
    Upstream's filters return a plain bool, so a decision is true where it is hard and equals that bool.
    """

    hard: bool
    reason: str
    score: float | None = None

    def __bool__(self) -> bool:
        return self.hard

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Decision):
            return (self.hard, self.reason, self.score) == (other.hard, other.reason, other.score)
        if isinstance(other, bool):
            return self.hard is other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.hard)  # what equals must hash alike, and a decision equals a bool


class BaseFilter(ABC):
    """Base of all filters: an instance is called once a frame.

    A subclass lists in `PARAMETERS` what its constructor reads; it takes and ignores every other keyword. `THRESHOLD` is the
    one of them that the score is compared with, if there is one. Where no decision has a score, `SCORED` is False and
    `INSTEAD_OF_BUDGET` says what to write instead of a budget, which has no threshold to move then.
    """

    PARAMETERS: ClassVar[tuple[Parameter[Any], ...]] = ()
    JUDGES: ClassVar[Judges] = Judges.ANYTHING
    THRESHOLD: ClassVar[str] = ""
    SCORED: ClassVar[bool] = True
    INSTEAD_OF_BUDGET: ClassVar[str] = ""

    @abstractmethod
    def __call__(self, infer_result: Any = None) -> Decision:
        """Judge one frame. Data of another shape than expected is not hard; it never raises."""

    @classmethod
    def data_check(cls, data: Any) -> bool:
        """Return whether `data` is a number from 0 to 1 (NaN is not)."""
        return 0 <= float(data) <= 1
