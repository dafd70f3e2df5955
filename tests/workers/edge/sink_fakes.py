"""What the tests of the sinks that send results away share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sedna_py.decision_log import Emit
from tests.workers.edge.fakes import make_result
from workers.edge.decision import FrameResult
from workers.edge.sinks.outbox import SinkFigures
from workers.settings import EdgeSettings

PERSON = [10.0, 20.0, 40.0, 50.0, 0.75, 0]
CAR = [1.0, 2.0, 8.0, 9.0, 0.5, 1]
LABELS = ["person", "car"]


def settings(**environment: Any) -> EdgeSettings:
    values = {
        "MODEL_URL": "/models/helmets.xml",
        "video_url": "clip.mp4",
        "NAMESPACE": "factory",
        "SERVICE_NAME": "helmets",
        "WORKER_NAME": "edge-1",
        **environment,
    }
    return EdgeSettings.from_environment({name: str(value) for name, value in values.items()})


def answer(
    number: int, *, emit: Emit = Emit.FINAL, source: str = "cam", run: str = "r1", **progress: Any
) -> FrameResult:
    """Return a frame's result with what the pipeline would write into its record."""
    made = make_result(number, **{"edge": [PERSON], **progress})
    return replace(made, record=replace(made.record, emit=emit, source=source, run=run))


def balanced(figures: SinkFigures) -> SinkFigures:
    """Return figures whose account is exact: every result that was put in is sent, lost, or inside."""
    assert figures.put == figures.sent + sum(figures.lost.values()) + figures.waiting
    return figures
