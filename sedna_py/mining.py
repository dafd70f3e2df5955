"""What joint inference decides about one example, apart from asking anybody: pure.

The four-item list that `Answer.as_list` returns is upstream's, and so is the way of counting unless it is told otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sedna_py.hard_example_mining.base import Decision

NO_FILTER = Decision(False, "no filter is set, so nothing is hard")


class MiningMode(StrEnum):
    """When the filter is asked: after the little model, about its answer; or before it, about the data."""

    INFERENCE_THEN_MINING = "inference-then-mining"
    MINING_THEN_INFERENCE = "mining-then-inference"


@dataclass(frozen=True, slots=True)
class EdgeAnswer:
    """The little model's answer as it came, and after the script's own post-processing."""

    raw: Any
    shown: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What the script gets for one example; `reason` says why."""

    hard: bool
    result: Any
    edge: Any
    cloud: Any
    reason: str

    def as_list(self) -> list[Any]:
        """Return [is_hard_example, result, edge_result, cloud_result]."""
        return [self.hard, self.result, self.edge, self.cloud]


@dataclass(frozen=True, slots=True)
class Increment:
    """What one example adds to the worker's totals."""

    inferences: int
    hard_examples: int


def parse_mode(text: str) -> MiningMode:
    """Return the mode. Raises ValueError naming those that exist."""
    try:
        return MiningMode(text)
    except ValueError:
        raise ValueError(f"Invalid MINING_MODE: {text!r}; write {' or '.join(MiningMode)}") from None


def keep_edge(decision: Decision, edge: EdgeAnswer, cause: str | None = None) -> Answer:
    """Answer with the edge's result; `cause` says why a hard example was not answered by the cloud."""
    reason = f"{decision.reason}; no answer from the cloud: {cause}" if cause else decision.reason
    return Answer(decision.hard, edge.shown, edge.raw, None, reason)


def take_cloud(decision: Decision, edge: EdgeAnswer | None, cloud: Any) -> Answer:
    """Answer with the cloud's result; no `edge` where the little model was not run."""
    return Answer(True, cloud, edge.raw if edge else None, cloud, decision.reason)


def increment(mode: MiningMode, *, hard: bool, hard_once: bool) -> Increment:
    """Return what an example counts: upstream counts a hard one twice if the little model answered it first."""
    twice = hard and mode is MiningMode.INFERENCE_THEN_MINING and not hard_once
    return Increment(2 if twice else 1, int(hard))
