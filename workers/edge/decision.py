"""What the edge decides about one frame: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sedna_py.decision_log import DecisionRecord, Emit, Latency, Path
from sedna_py.errors import EstimatorError
from sedna_py.hard_example_mining import Decision
from sedna_py.protocol.causes import OffloadCause
from workers.edge.frames import SourceFrame
from workers.edge.packed import Packed
from workers.edge.same_picture import View

NO_FILTER = Decision(hard=False, reason="no filter", score=None)


@dataclass(frozen=True, slots=True)
class CloudAnswer:
    """What came of asking the cloud: a result, or the cause why there is none, and then what was `packed` for it."""

    result: list[Any] | None
    cause: OffloadCause | None
    bytes_sent: int = 0
    encode_ms: float | None = None
    cloud_ms: float | None = None
    packed: Packed | None = field(default=None, repr=False)


@dataclass(slots=True)
class Progress:
    """A frame between its parts; one part at a time has it. `edge_ms` is None until the little model has been asked.

    `amends`: the edge's answer has left already.
    """

    frame: SourceFrame
    decision: Decision = NO_FILTER
    edge: list[Any] | None = None
    edge_ms: float | None = None
    answer: CloudAnswer | None = None
    amends: bool = False
    view: View | None = None  # what the send policy remembers of it, should the cloud answer


@dataclass(frozen=True, slots=True)
class FrameResult:
    """A frame with everything that is known of it, ready for the sinks.

    `packed` is the picture as it was encoded for the cloud, where that was done and the cloud did not answer.
    """

    frame: SourceFrame
    record: DecisionRecord
    packed: Packed | None = field(default=None, repr=False)


def conclude(
    progress: Progress, *, filter_name: str, threshold: float, offloads_waiting: int, now: float, run: str = ""
) -> FrameResult:
    """Choose the frame's result: the cloud's answer if there is one, else the edge's; and write down why.

    A hard frame without an answer yet is the first of two. `now` is of the clock that stamped `frame.captured`.
    """
    frame, decision, edge, answer = progress.frame, progress.decision, progress.edge, progress.answer
    cloud = answer.result if answer else None
    record = DecisionRecord(
        frame=frame.number,
        source=frame.source,
        captured=round(frame.captured_at, 6),
        emitted=round(frame.captured_at + now - frame.captured, 6),
        width=int(frame.picture.shape[1]),
        height=int(frame.picture.shape[0]),
        filter=filter_name,
        hard=decision.hard,
        reason=decision.reason,
        score=None if decision.score is None else round(decision.score, 4),
        path=Path.EDGE if answer is None else Path.FALLBACK if cloud is None else Path.CLOUD,
        cause=answer.cause if answer else None,
        edge=edge,
        cloud=cloud,
        result=above(edge if cloud is None else cloud, threshold),
        bytes_sent=answer.bytes_sent if answer else 0,
        latency_ms=_latency(progress, now),
        frames_waiting=frame.frames_waiting,
        offloads_waiting=offloads_waiting,
        run=frame.run or run,
        emit=_emit(progress),
    )
    return FrameResult(frame, record, answer.packed if answer else None)


def _emit(progress: Progress) -> Emit:
    if progress.answer is None and progress.decision.hard:
        return Emit.FIRST
    return Emit.CORRECTION if progress.amends else Emit.FINAL


def above(boxes: Sequence[Any] | None, threshold: float) -> list[Any]:
    """Return the boxes that are shown: those with a score of at least `threshold`; other kinds of result stay as they are."""
    if not boxes:
        return []
    if threshold <= 0:
        return list(boxes)
    return [box for box in boxes if not _is_box(box) or box[4] >= threshold]


def to_list(result: Any) -> list[Any]:
    """Return an estimator's answer as the list that JSON and the filters want; None is an empty one.

    Raises EstimatorError for what JSON cannot carry.
    """
    if result is None:
        return []
    result = plain(result)
    return result if isinstance(result, list) else [result]


def plain(value: Any) -> Any:
    """Return a value with numpy's arrays and numbers, and tuples, turned into Python's at any depth."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EstimatorError(f"the estimator returned {value}; return finite numbers")
        return value
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    raise EstimatorError(f"the estimator returned {type(value).__name__}; return lists of numbers and text")


def tidy(decision: Decision) -> Decision:
    """Return a filter's decision in Python's own types; a user's filter may well compute with numpy's."""
    score = None if decision.score is None else float(decision.score)
    return Decision(
        bool(decision.hard), str(decision.reason), score if score is not None and math.isfinite(score) else None
    )


def _latency(progress: Progress, now: float) -> Latency:
    frame, answer = progress.frame, progress.answer
    return Latency(
        wait=_ms((frame.taken - frame.captured) * 1000),
        edge=_ms(progress.edge_ms),
        encode=_ms(answer.encode_ms) if answer else None,
        cloud=_ms(answer.cloud_ms) if answer else None,
        total=round((now - frame.captured) * 1000, 3),
    )


def _is_box(item: Any) -> bool:
    return isinstance(item, Sequence) and len(item) > 4 and isinstance(item[4], int | float)


def _ms(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
