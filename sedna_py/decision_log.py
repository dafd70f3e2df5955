"""The decision log: one JSON line an answer, the single source of every figure that a run reports.

A frame has one line that closes it. One more comes before it where the edge answers at once (`EMIT=edge-first`), one more long
after it where the frame waited on disk for the cloud (`OFFLINE_QUEUE_DIR`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic_core import to_json

from sedna_py.errors import MalformedBody
from sedna_py.protocol.causes import OffloadCause

Box = list[float]  # [xmin, ymin, xmax, ymax, score, class], pixels of the original frame


class Path(StrEnum):
    """Whose answer became the frame's result."""

    EDGE = "edge"  # easy: the edge's own
    CLOUD = "cloud"  # hard, and the cloud answered
    FALLBACK = "fallback"  # hard, the cloud did not answer, so the edge's own stands


class Emit(StrEnum):
    """Which of a frame's answers a record is. Exactly one of a frame's records has `closes`."""

    FINAL = "final"  # the only one
    FIRST = "first"  # the edge's, at once, while the cloud is being asked; a correction follows
    CORRECTION = "correction"  # what stands after the first one, whoever's answer it is
    LATE = "late"  # the cloud's, for a frame that waited on disk after its fallback had closed it

    @property
    def closes(self) -> bool:
        """Whether the frame is answered with it: count these, and each frame counts once."""
        return self in (Emit.FINAL, Emit.CORRECTION)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds; None where the frame did not pass that stage."""

    wait: float | None = None  # from capture until the little model took it
    edge: float | None = None  # pre-processing, little model, post-processing
    encode: float | None = None  # frame to the bytes that travel
    cloud: float | None = None  # request sent until reply read
    total: float = 0.0  # capture until the result was handed to the sinks


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What was decided about one frame, and why.

    `captured` and `emitted` are seconds since the epoch. `edge` and `cloud` are the two models' answers before anything was
    left out (None: that model was not asked or did not answer); `result` is what the user got. `run`, `source` and `frame`
    together name a frame; logs from before there were runs have an empty one.
    """

    frame: int
    source: str
    captured: float
    emitted: float
    width: int
    height: int
    filter: str
    hard: bool
    reason: str
    score: float | None
    path: Path
    cause: OffloadCause | None
    edge: list[Any] | None
    cloud: list[Any] | None
    result: list[Any]
    bytes_sent: int = 0
    latency_ms: Latency = field(default_factory=Latency)
    frames_waiting: int = 0  # in the buffer between source and little model when this frame was taken out
    offloads_waiting: int = 0  # on their way to the cloud when this frame was decided
    run: str = ""  # of the process that wrote it: after a restart frames are counted from 1 again, under another name
    emit: Emit = Emit.FINAL

    def to_line(self) -> str:
        """Return one JSON line, newline included; NaN and Infinity, which JSON has not, become null."""
        # pydantic's writer: one pass in native code, where dataclasses.asdict would copy every box first.
        return to_json(self, inf_nan_mode="null").decode() + "\n"


def closing(records: Iterable[DecisionRecord]) -> list[DecisionRecord]:
    """Return the records that close their frames: each frame once, with the answer that stood when it was done with."""
    return [record for record in records if record.emit.closes]


def read_records(lines: Iterable[str]) -> Iterator[DecisionRecord]:
    """Yield the records of a decision log; a torn last line (a run that was killed) is left out.

    Raises MalformedBody with the line's number where any other line is not a record.
    """
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            return
        try:
            yield _record(json.loads(line))
        except KeyError as error:
            raise MalformedBody(f"line {number} is not a decision record: it has no {error}") from error
        except (ValueError, TypeError) as error:
            raise MalformedBody(f"line {number} is not a decision record: {error}") from error


def _record(values: Any) -> DecisionRecord:
    if not isinstance(values, dict):
        raise TypeError(f"it is a JSON {type(values).__name__}, not an object")
    values["path"] = Path(values["path"])
    values["cause"] = OffloadCause(values["cause"]) if values["cause"] else None
    values["emit"] = Emit(values.get("emit", Emit.FINAL))  # logs from before there were several have none
    values["latency_ms"] = Latency(**values["latency_ms"])
    return DecisionRecord(**values)
