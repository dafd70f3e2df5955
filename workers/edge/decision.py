"""What the edge decides about one frame: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sedna_py.decision_log import DecisionRecord, Latency, Path
from sedna_py.hard_example_mining import Decision
from sedna_py.protocol.causes import OffloadCause
from workers.edge.frames import SourceFrame


@dataclass(frozen=True, slots=True)
class CloudAnswer:
    """What came of asking the cloud: a result, or the cause why there is none."""

    result: list[Any] | None
    cause: OffloadCause | None
    bytes_sent: int = 0
    encode_ms: float | None = None
    cloud_ms: float | None = None


@dataclass(frozen=True, slots=True)
class FrameResult:
    """A frame with everything that is known of it, ready for the sinks."""

    frame: SourceFrame
    record: DecisionRecord


def above(boxes: Sequence[Any] | None, threshold: float) -> list[Any]:
    """Return the boxes that are shown: those with a score of at least `threshold`; other kinds of result stay as they are."""
    if not boxes:
        return []
    if threshold <= 0:
        return list(boxes)
    return [box for box in boxes if not _is_box(box) or box[4] >= threshold]


def conclude(
    frame: SourceFrame,
    decision: Decision,
    edge: list[Any] | None,
    answer: CloudAnswer | None,
    *,
    filter_name: str,
    threshold: float,
    edge_ms: float | None,
    offloads_waiting: int,
    now: float,
) -> FrameResult:
    """Choose the frame's result: the cloud's answer if there is one, else the edge's; and write down why.

    `now` is of the clock that stamped `frame.captured`.
    """
    cloud = answer.result if answer else None
    path = Path.EDGE if answer is None else Path.FALLBACK if cloud is None else Path.CLOUD
    total = now - frame.captured
    record = DecisionRecord(
        frame=frame.number,
        source=frame.source,
        captured=round(frame.captured_at, 6),
        emitted=round(frame.captured_at + total, 6),
        width=int(frame.picture.shape[1]),
        height=int(frame.picture.shape[0]),
        filter=filter_name,
        hard=decision.hard,
        reason=decision.reason,
        score=None if decision.score is None else round(decision.score, 4),
        path=path,
        cause=answer.cause if answer else None,
        edge=edge,
        cloud=cloud,
        result=above(edge if cloud is None else cloud, threshold),
        bytes_sent=answer.bytes_sent if answer else 0,
        latency_ms=Latency(
            wait=_ms(frame.taken - frame.captured),
            edge=_ms_or_none(edge_ms),
            encode=_ms_or_none(answer.encode_ms) if answer else None,
            cloud=_ms_or_none(answer.cloud_ms) if answer else None,
            total=_ms(total),
        ),
        frames_waiting=frame.frames_waiting,
        offloads_waiting=offloads_waiting,
    )
    return FrameResult(frame, record)


def _is_box(item: Any) -> bool:
    return isinstance(item, Sequence) and len(item) > 4 and isinstance(item[4], int | float)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _ms_or_none(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
