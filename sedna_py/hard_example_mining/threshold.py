"""Threshold: hard where the boxes' mean score is low."""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any, ClassVar

from sedna_py.hard_example_mining.base import BaseFilter, Decision, Judges
from sedna_py.hard_example_mining.parameter import Parameter
from sedna_py.hard_example_mining.reading import read_box_scores, unusable
from sedna_py.hard_example_mining.wording import compare

_THRESHOLD = Parameter("threshold", float, 0.5, "a frame is hard where the mean score is below it", 0.0, 1.0)


class ThresholdFilter(BaseFilter):
    """Hard iff mean(score) < threshold.

    Scores outside 0 to 1 take part, as upstream lets them; one that is not finite makes the frame
    unusable, hence not hard.
    Source: Sedna's `Threshold`.
    """

    PARAMETERS: ClassVar[tuple[Parameter[Any], ...]] = (_THRESHOLD,)
    JUDGES: ClassVar[Judges] = Judges.BOXES
    THRESHOLD: ClassVar[str] = _THRESHOLD.name

    def __init__(self, threshold: float | str = _THRESHOLD.default, **_ignored: object) -> None:
        self.threshold = _THRESHOLD.parse(threshold)

    def __call__(self, infer_result: Any = None) -> Decision:
        scores = read_box_scores(infer_result)
        if isinstance(scores, Decision):
            return scores
        # One after the other: sum() compensates from Python 3.12 on and would differ from upstream in the last digit.
        mean = reduce(add, scores, 0.0) / len(scores)
        if not math.isfinite(mean):
            return unusable(f"the mean score is {mean:g}")
        hard = mean < self.threshold
        return Decision(hard, f"mean score {compare(mean, '<' if hard else '>=', self.threshold)}", mean)
