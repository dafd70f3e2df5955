"""A result as others get it: the decision record, with who made it and what was counted in it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic_core import to_json

from sedna_py.decision_log import DecisionRecord
from workers.edge.sinks.drawing import is_drawable
from workers.settings import EdgeSettings

RECORD_FIELDS = tuple(field.name for field in fields(DecisionRecord))


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who publishes; without a service (a worker that runs by itself) the names are those of upstream's defaults."""

    namespace: str
    service: str
    worker: str
    labels: Sequence[str] = ()

    @classmethod
    def of(cls, settings: EdgeSettings, labels: Sequence[str]) -> Publisher:
        """Return who the settings say."""
        return cls(
            settings.namespace or "default", settings.service_name or "edge", settings.worker_name or "edge", labels
        )


def event_id(record: DecisionRecord) -> str:
    """Return what tells this answer from every other one: the same in each try, another one after a restart."""
    return f"{record.run or 'run'}:{record.source}:{record.frame}:{record.emit.value}"


def event(
    record: DecisionRecord, publisher: Publisher, counts: Mapping[str, int] | None = None, **more: Any
) -> dict[str, Any]:
    """Return the fields of a decision record and, beside them, `id`, `namespace`, `service`, `worker`, `objects`, `counts`.

    `counts` saves counting again.
    """
    return {
        "id": event_id(record),
        "namespace": publisher.namespace,
        "service": publisher.service,
        "worker": publisher.worker,
        "objects": len(record.result),
        "counts": count_by_class(record.result, publisher.labels) if counts is None else counts,
        **more,
        **{name: getattr(record, name) for name in RECORD_FIELDS},
    }


def as_json(value: Any) -> bytes:
    """Return JSON; NaN and Infinity, which JSON has not, become null."""
    return to_json(value, inf_nan_mode="null")


def count_by_class(result: Sequence[Any], labels: Sequence[str]) -> dict[str, int]:
    """Return how many boxes there are of each class, by its label or, without one, by its number; other results have none."""
    return dict(Counter(class_name(box, labels) for box in result if is_drawable(box)))


def class_name(box: Sequence[Any], labels: Sequence[str]) -> str:
    """Return what a box's sixth item names: a label of the model, or itself."""
    kind = box[5] if len(box) > 5 else 0
    if isinstance(kind, float) and kind.is_integer():
        kind = int(kind)
    return labels[kind] if isinstance(kind, int) and 0 <= kind < len(labels) else str(kind)
