"""A run cut into bins of time, for plots: every array has one value a bin, NaN where there is nothing to say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedna_py.decision_log import DecisionRecord, closing

MOST_BINS = 1200  # longer runs get wider bins: no plot shows more, and a wrong clock must not fill the memory

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TimeSeries:
    """Arrays of shape (bins,); times are seconds since the first capture, a frame is in the bin of its emission."""

    start: Floats
    end: Floats
    frames_per_second: Floats
    hard_share: Floats  # 0..1 of the bin's frames
    upload_share: Floats  # 0..1: at least one byte left the edge
    kilobytes_sent: Floats
    cloud_p50_ms: Floats
    frames_waiting: Floats  # the most that any frame of the bin saw
    offloads_waiting: Floats

    @property
    def middle(self) -> Floats:
        return (self.start + self.end) / 2


def per_second(records: Sequence[DecisionRecord], width: float = 1.0) -> TimeSeries:
    """Cut a run into bins of `width` seconds (more if it is very long).

    The last bin takes the rest of the run with it, so that no rate comes from a sliver of a second. A frame counts once, with
    the answer that closed it.
    """
    records = closing(records)
    edges = _edges(records, width)
    origin = min((record.captured for record in records), default=0.0)
    emitted = np.array([record.emitted - origin for record in records])
    members = np.clip(np.searchsorted(edges, emitted, side="right") - 1, 0, len(edges) - 2)
    groups = [[records[int(i)] for i in np.flatnonzero(members == number)] for number in range(len(edges) - 1)]
    lengths = np.diff(edges)
    frames = np.array([len(group) for group in groups], dtype=float)
    return TimeSeries(
        start=edges[:-1],
        end=edges[1:],
        frames_per_second=np.divide(frames, lengths, out=np.full(len(groups), np.nan), where=lengths > 0),
        hard_share=np.array([_mean([r.hard for r in group]) for group in groups]),
        upload_share=np.array([_mean([r.bytes_sent > 0 for r in group]) for group in groups]),
        kilobytes_sent=np.array([sum(r.bytes_sent for r in group) / 1000 for group in groups]),
        cloud_p50_ms=np.array([_median([r.latency_ms.cloud for r in group]) for group in groups]),
        frames_waiting=np.array([_most([r.frames_waiting for r in group]) for group in groups]),
        offloads_waiting=np.array([_most([r.offloads_waiting for r in group]) for group in groups]),
    )


def _edges(records: Sequence[DecisionRecord], width: float) -> Floats:
    if not records:
        return np.zeros(1)
    span = max(0.0, max(r.emitted for r in records) - min(r.captured for r in records))
    width *= max(1, math.ceil(span / width / MOST_BINS))
    bins = max(1, int(span / width))
    return np.append(np.arange(bins) * width, span)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _median(values: Sequence[float | None]) -> float:
    there = [value for value in values if value is not None]
    return float(np.median(there)) if there else math.nan


def _most(values: Sequence[int]) -> float:
    return float(max(values, default=0)) if values else math.nan
