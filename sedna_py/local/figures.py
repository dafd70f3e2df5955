"""The figures of a run, and how far two runs agree: pure arithmetic over decision records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sedna_py.decision_log import DecisionRecord, Emit, Path, closing
from sedna_py.local.box_matching import Detection, count_matches, detections

CAUSE_NOT_STATED = "not_stated"

FrameKey = tuple[str, int]  # source, number of the frame in it


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds over `count` frames."""

    p50: float
    p95: float
    count: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run did. A figure that has no frames to be computed from is None."""

    frames: int
    frames_with_object: int
    objects: int
    hard: int
    offloaded: int  # frames of which at least one byte left the edge
    cloud_answered: int
    fallbacks: Mapping[str, int]  # cause -> frames, most frequent first
    bytes_sent: int
    total_ms: Percentiles | None  # capture until the result was handed to the sinks
    cloud_ms: Percentiles | None  # request sent until reply read
    seconds: float  # first capture until last emission
    late: int = 0  # answers of the cloud to frames that had waited on disk; these frames need not be of this run
    first_ms: Percentiles | None = (
        None  # capture until the first answer, which is the only one unless the edge answers at once
    )

    @property
    def frames_per_second(self) -> float | None:
        return self.frames / self.seconds if self.seconds > 0 else None

    @property
    def hard_share(self) -> float | None:
        return ratio(self.hard, self.frames)

    @property
    def bytes_per_hard_frame(self) -> float | None:
        return ratio(self.bytes_sent, self.hard)

    @property
    def fallback_frames(self) -> int:
        return sum(self.fallbacks.values())


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far one run's results are those of a reference, over the frames that both answered."""

    frames: int  # compared
    agreeing: int
    matched: int
    boxes: int
    reference_boxes: int
    bytes_sent: int  # on the compared frames, by this run
    reference_bytes: int  # on the compared frames, by the reference
    missing: int = 0  # frames of the reference that this run did not answer
    extra: int = 0  # frames of this run that the reference did not answer
    incomparable: int = 0  # frames left out because a result is not a list of boxes

    @property
    def share(self) -> float | None:
        return ratio(self.agreeing, self.frames)

    @property
    def recall(self) -> float | None:
        return ratio(self.matched, self.reference_boxes)

    @property
    def precision(self) -> float | None:
        return ratio(self.matched, self.boxes)

    @property
    def f1(self) -> float | None:
        return ratio(2 * self.matched, self.boxes + self.reference_boxes)

    @property
    def bytes_share(self) -> float | None:
        return ratio(self.bytes_sent, self.reference_bytes)


def ratio(part: float, whole: float) -> float | None:
    """Return part / whole, None where there is nothing to divide by."""
    return part / whole if whole else None


def summarize(records: Sequence[DecisionRecord]) -> RunSummary:
    """Return the figures of one run; objects are the items of `result`, cut at the display threshold.

    A frame counts with the answer that closed it; what came before or after has figures of its own.
    """
    all_of_them, records = records, closing(records)
    objects = [len(record.result) for record in records]
    late = [record for record in all_of_them if record.emit is Emit.LATE]
    return RunSummary(
        frames=len(records),
        frames_with_object=sum(count > 0 for count in objects),
        objects=sum(objects),
        hard=sum(record.hard for record in records),
        offloaded=sum(record.bytes_sent > 0 for record in records),
        cloud_answered=sum(record.path is Path.CLOUD for record in records),
        fallbacks=count_fallbacks(records),
        bytes_sent=sum(record.bytes_sent for record in (*records, *late)),
        total_ms=percentiles(record.latency_ms.total for record in records),
        cloud_ms=percentiles(record.latency_ms.cloud for record in records),
        seconds=_span(records),
        late=len(late),
        first_ms=percentiles(r.latency_ms.total for r in all_of_them if r.emit in (Emit.FIRST, Emit.FINAL)),
    )


def count_fallbacks(records: Iterable[DecisionRecord]) -> dict[str, int]:
    """Return cause -> frames that kept the edge's answer although they were hard, most frequent first."""
    fallbacks = (record for record in closing(records) if record.path is Path.FALLBACK)
    causes = Counter(record.cause.value if record.cause else CAUSE_NOT_STATED for record in fallbacks)
    return dict(sorted(causes.items(), key=lambda item: (-item[1], item[0])))


def percentiles(milliseconds: Iterable[float | None]) -> Percentiles | None:
    """Return p50 and p95 (linear interpolation) of the values that are there."""
    values = [value for value in milliseconds if value is not None]
    if not values:
        return None
    p50, p95 = np.percentile(values, (50, 95))
    return Percentiles(float(p50), float(p95), len(values))


def agreement(records: Sequence[DecisionRecord], reference: Sequence[DecisionRecord]) -> Agreement:
    """Compare results frame by frame; frames are the same when source and number are.

    A frame agrees when both results have the same number of boxes and each box has its partner (see box_matching).
    What closed the frames is compared. Where a run has a frame twice its last record counts.
    """
    here, there = _by_frame(records), _by_frame(reference)
    pairs = [(here[key], there[key]) for key in there if key in here]
    compared = [pair for pair in pairs if None not in (detections(pair[0].result), detections(pair[1].result))]
    found = [(_boxes(one), _boxes(other)) for one, other in compared]
    matches = [count_matches(boxes, expected) for boxes, expected in found]
    counts = list(zip(found, matches, strict=True))
    return Agreement(
        frames=len(compared),
        agreeing=sum(len(boxes) == len(expected) == match for (boxes, expected), match in counts),
        matched=sum(matches),
        boxes=sum(len(boxes) for boxes, _ in found),
        reference_boxes=sum(len(expected) for _, expected in found),
        bytes_sent=sum(one.bytes_sent for one, _ in compared),
        reference_bytes=sum(other.bytes_sent for _, other in compared),
        missing=len(there) - len(pairs),
        extra=len(here) - len(pairs),
        incomparable=len(pairs) - len(compared),
    )


def cumulative_bytes(records: Sequence[DecisionRecord]) -> list[int]:
    """Return the bytes sent up to and including each record, in the given order."""
    sums = [0]
    for record in records:
        sums.append(sums[-1] + record.bytes_sent)
    return sums[1:]


def in_order(records: Iterable[DecisionRecord]) -> list[DecisionRecord]:
    """Return the records as their frames were captured; the log has them as they were answered."""
    return sorted(records, key=lambda record: (record.captured, record.source, record.frame))


def is_numbered(records: Sequence[DecisionRecord]) -> bool:
    """Tell whether frame numbers rise with capture, so that they can stand on an axis (one source, not restarted)."""
    return all(one.frame < other.frame for one, other in pairwise(in_order(records)))


def _span(records: Sequence[DecisionRecord]) -> float:
    if not records:
        return 0.0
    return max(record.emitted for record in records) - min(record.captured for record in records)


def _by_frame(records: Iterable[DecisionRecord]) -> dict[FrameKey, DecisionRecord]:
    return {(record.source, record.frame): record for record in closing(records)}


def _boxes(record: DecisionRecord) -> list[Detection]:
    return detections(record.result) or []
