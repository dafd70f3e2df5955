"""IBT (image-box-thresholds): hard where too many of a frame's boxes are unsure."""

from __future__ import annotations

from typing import Any, ClassVar

from sedna_py.hard_example_mining.base import BaseFilter, Decision, Judges
from sedna_py.hard_example_mining.parameter import Parameter
from sedna_py.hard_example_mining.reading import check_range, read_box_scores
from sedna_py.hard_example_mining.wording import compare, number

_THRESHOLD_IMG = Parameter(
    "threshold_img", float, 0.5, "a frame is hard where the share of unsure boxes is at least 1 minus this", 0.0, 1.0
)
_THRESHOLD_BOX = Parameter("threshold_box", float, 0.5, "a box is unsure where its score is at or below it", 0.0, 1.0)


class IBTFilter(BaseFilter):
    """Hard iff (number of scores <= threshold_box) / N >= 1 - threshold_img.

    Any score outside 0 to 1 makes the frame unusable, hence not hard. `score` is the share of confident boxes.
    Source: Sedna's `IBT`.
    """

    PARAMETERS: ClassVar[tuple[Parameter[Any], ...]] = (_THRESHOLD_IMG, _THRESHOLD_BOX)
    JUDGES: ClassVar[Judges] = Judges.BOXES
    THRESHOLD: ClassVar[str] = _THRESHOLD_IMG.name

    def __init__(
        self,
        threshold_img: float | str = _THRESHOLD_IMG.default,
        threshold_box: float | str = _THRESHOLD_BOX.default,
        **_ignored: object,
    ) -> None:
        self.threshold_img = _THRESHOLD_IMG.parse(threshold_img)
        self.threshold_box = _THRESHOLD_BOX.parse(threshold_box)

    def __call__(self, infer_result: Any = None) -> Decision:
        scores = read_box_scores(infer_result)
        if not isinstance(scores, Decision):
            scores = check_range(scores)
        return scores if isinstance(scores, Decision) else self._judge(scores)

    def _judge(self, scores: list[float]) -> Decision:
        unsure = sum(score <= self.threshold_box for score in scores)
        share, limit = unsure / len(scores), 1 - self.threshold_img
        hard = share >= limit
        boxes = "box" if len(scores) == 1 else "boxes"
        counted = f"{unsure} of {len(scores)} {boxes} at or below {number(self.threshold_box)}"
        return Decision(hard, f"{counted}: {compare(share, '>=' if hard else '<', limit)}", 1 - share)
