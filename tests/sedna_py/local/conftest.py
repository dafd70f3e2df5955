"""Synthetic decision records for the figures, the report and the terminal views."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from sedna_py.decision_log import DecisionRecord, Latency, Path
from sedna_py.local.comparison import Mode, Run
from sedna_py.protocol.causes import OffloadCause

START = 1_700_000_000.0
SECONDS_A_FRAME = 0.04

MakeRecord = Callable[..., DecisionRecord]


def build_record(frame: int, **changes: Any) -> DecisionRecord:
    captured = START + frame * SECONDS_A_FRAME
    latency = changes.pop("latency_ms", Latency(wait=1.0, edge=40.0, total=42.0))
    values: dict[str, Any] = {
        "frame": frame,
        "source": "clip.mp4",
        "captured": captured,
        "emitted": captured + latency.total / 1000,
        "width": 640,
        "height": 272,
        "filter": "IBT",
        "hard": False,
        "reason": "mean score at or above 0.60",
        "score": 0.8,
        "path": Path.EDGE,
        "cause": None,
        "edge": [],
        "cloud": None,
        "result": [],
        "latency_ms": latency,
    }
    return DecisionRecord(**(values | changes))


@pytest.fixture
def make_record() -> MakeRecord:
    return build_record


@pytest.fixture
def runs() -> list[Run]:
    """Three runs over the same 120 frames with every path, cause and empty frame in them."""
    seen = _what_both_models_see(random.Random(7), 120)
    return [Run(mode, [_answer(mode, frame, *boxes) for frame, boxes in enumerate(seen)]) for mode in Mode]


def _what_both_models_see(chance: random.Random, frames: int) -> list[tuple[list[Any], list[Any]]]:
    seen = []
    for frame in range(frames):
        left = 10 + 4 * (frame % 100)
        big = [[left, 20, left + 40, 70, 0.9, frame % 2]] if chance.random() < 0.6 else []
        little = [[left + 1, 21, left + 41, 70, round(chance.uniform(0.4, 0.9), 3), frame % 2] for _ in big]
        seen.append((little if chance.random() < 0.8 else [], big))
    return seen


def _answer(mode: Mode, frame: int, little: list[Any], big: list[Any]) -> DecisionRecord:
    hard = mode is Mode.CLOUD_ONLY or (mode is Mode.JOINT and frame % 3 == 0)
    edge = None if mode is Mode.CLOUD_ONLY else little
    score = little[0][4] if edge else None
    if not hard:
        return build_record(frame, edge=edge, result=little, score=score)
    if mode is Mode.JOINT and frame % 15 == 0:
        cause = OffloadCause.QUEUE_FULL if frame % 30 == 0 else OffloadCause.DEADLINE_EXCEEDED
        sent = 0 if cause is OffloadCause.QUEUE_FULL else 20_000
        changes: dict[str, Any] = {"path": Path.FALLBACK, "cause": cause, "result": little, "bytes_sent": sent}
    else:
        latency = Latency(wait=1.0, edge=40.0, encode=2.0, cloud=200.0 + frame, total=245.0 + frame)
        changes = {"path": Path.CLOUD, "cloud": big, "result": big, "bytes_sent": 20_000 + frame, "latency_ms": latency}
    return build_record(frame, hard=True, edge=edge, score=score, offloads_waiting=frame % 4, **changes)
