"""CrossEntropy: hard where the class probabilities are spread out."""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any, ClassVar

from sedna_py.hard_example_mining.base import BaseFilter, Decision, Judges
from sedna_py.hard_example_mining.parameter import Parameter
from sedna_py.hard_example_mining.reading import read_probabilities
from sedna_py.hard_example_mining.wording import compare

_THRESHOLD = Parameter(
    "threshold_cross_entropy", float, 0.5, "a frame is hard where 1 minus the normalised entropy is below it", 0.0, 1.0
)


class CrossEntropyFilter(BaseFilter):
    """Hard iff 1 + (sum of p ln p) / ln N < threshold_cross_entropy: 1 is certain, 0 is evenly spread.

    Any p outside 0 to 1 makes the frame unusable, hence not hard. p = 0 adds nothing (the limit of p ln p). A single
    class has nothing to be confused with, so its certainty is 1 and it is not hard; upstream divides by ln 1 = 0.
    Source: Sedna's `CrossEntropy`; the entropy is Shannon's, divided by its maximum ln N.
    """

    PARAMETERS: ClassVar[tuple[Parameter[Any], ...]] = (_THRESHOLD,)
    JUDGES: ClassVar[Judges] = Judges.PROBABILITIES
    THRESHOLD: ClassVar[str] = _THRESHOLD.name

    def __init__(self, threshold_cross_entropy: float | str = _THRESHOLD.default, **_ignored: object) -> None:
        self.threshold_cross_entropy = _THRESHOLD.parse(threshold_cross_entropy)

    def __call__(self, infer_result: Any = None) -> Decision:
        probabilities = read_probabilities(infer_result)
        if isinstance(probabilities, Decision):
            return probabilities
        score = certainty(probabilities)
        hard = score < self.threshold_cross_entropy
        reason = f"certainty {compare(score, '<' if hard else '>=', self.threshold_cross_entropy)}"
        return Decision(hard, reason, score)


def certainty(probabilities: list[float]) -> float:
    """Return 1 minus the normalised entropy of at least one probability, each from 0 to 1."""
    if len(probabilities) == 1:
        return 1.0
    # One after the other, as upstream adds: sum() compensates from Python 3.12 on.
    negative_entropy = reduce(add, (p * math.log(p) for p in probabilities if p > 0), 0.0)
    return 1 + negative_entropy / math.log(len(probabilities))
