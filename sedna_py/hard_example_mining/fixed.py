"""CloudOnly and EdgeOnly: the two ends that every other filter is compared with."""

from __future__ import annotations

from typing import Any, ClassVar

from sedna_py.hard_example_mining.base import BaseFilter, Decision
from sedna_py.hard_example_mining.parameter import Parameter


class CloudOnlyFilter(BaseFilter):
    """Every frame is hard. Source: Sedna's `CloudOnly`."""

    PARAMETERS: ClassVar[tuple[Parameter[Any], ...]] = ()
    SCORED: ClassVar[bool] = False
    INSTEAD_OF_BUDGET: ClassVar[str] = "write a rate as cap, or the name of IBT, Threshold or CrossEntropy"

    def __init__(self, **_ignored: object) -> None:
        """Take no parameter."""

    def __call__(self, infer_result: Any = None) -> Decision:
        return Decision(True, "every frame goes to the cloud")


class EdgeOnlyFilter(BaseFilter):
    """No frame is hard. Source: Sedna's `EdgeOnly`."""

    PARAMETERS: ClassVar[tuple[Parameter[Any], ...]] = ()
    SCORED: ClassVar[bool] = False
    INSTEAD_OF_BUDGET: ClassVar[str] = "it sends nothing; write the name of IBT, Threshold or CrossEntropy"

    def __init__(self, **_ignored: object) -> None:
        """Take no parameter."""

    def __call__(self, infer_result: Any = None) -> Decision:
        return Decision(False, "every frame stays at the edge")
