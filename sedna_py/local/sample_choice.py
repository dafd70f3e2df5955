"""Which frames of a comparison are worth a look: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sedna_py.decision_log import DecisionRecord, Path


@dataclass(frozen=True, slots=True)
class Choice:
    """A frame of the joint run, with the big model's answer from the cloud-only run if the joint run did not ask for one."""

    record: DecisionRecord
    cloud: list[list[float | str]] | None
    caption: str


def choose_samples(
    joint: Sequence[DecisionRecord], cloud_only: Sequence[DecisionRecord], count: int = 6
) -> list[Choice]:
    """Return up to `count` frames in their order: half of them easy, half hard, each half spread evenly over the run."""
    reference = {record.frame: record.cloud for record in cloud_only}
    easy = [record for record in joint if not record.hard]
    hard = [record for record in joint if record.hard]
    from_hard = min(len(hard), max(count - count // 2, count - len(easy)))
    chosen = spread(hard, from_hard) + spread(easy, min(count - from_hard, len(easy)))
    return [_choice(record, reference) for record in sorted(chosen, key=lambda record: record.frame)]


def spread(records: Sequence[DecisionRecord], count: int) -> list[DecisionRecord]:
    """Return `count` records at even distances, away from both ends."""
    if not records or count <= 0:
        return []
    return [records[(2 * index + 1) * len(records) // (2 * count)] for index in range(count)]


def _choice(record: DecisionRecord, reference: dict[int, list[list[float | str]] | None]) -> Choice:
    said = {
        Path.EDGE: "easy, the edge's answer",
        Path.CLOUD: "hard, the cloud's answer",
        Path.FALLBACK: f"hard, but the edge's answer stands ({str(record.cause or '').replace('_', ' ')})",
    }[record.path]
    cloud = record.cloud if record.cloud is not None else reference.get(record.frame)
    return Choice(record, cloud, f"{said}: {record.reason}")
