"""Random: a share of the frames, whatever is in them."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from sedna_py.hard_example_mining.base import BaseFilter, Decision
from sedna_py.hard_example_mining.parameter import Parameter
from sedna_py.hard_example_mining.wording import compare

_RATIO = Parameter("random_ratio", float, 0.3, "the share of frames that are hard", 0.0, 1.0)


class RandomFilter(BaseFilter):
    """Hard iff a number drawn evenly from [0, 1) is < random_ratio: never at 0, always at 1.

    `rng` replaces the filter's own generator, for repeatable runs. Source: Sedna's `Random`.
    """

    PARAMETERS: ClassVar[tuple[Parameter[Any], ...]] = (_RATIO,)
    SCORED: ClassVar[bool] = False
    INSTEAD_OF_BUDGET: ClassVar[str] = "write a share as random_ratio, such as 0.2, and a rate as cap"

    def __init__(
        self, random_ratio: float | str = _RATIO.default, *, rng: random.Random | None = None, **_ignored: object
    ) -> None:
        self.random_ratio = _RATIO.parse(random_ratio)
        self._rng = rng if rng is not None else random.Random()

    def __call__(self, infer_result: Any = None) -> Decision:
        drawn = self._rng.random()
        hard = drawn < self.random_ratio
        return Decision(hard, f"drew {compare(drawn, '<' if hard else '>=', self.random_ratio)}")
