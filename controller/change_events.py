"""The Events of a service: one for each change of a condition's status or reason, one for each kind of work done."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from controller.reasons import Reason
from controller.status.conditions import CLOUD_REACHABLE, CURRENT_TYPES, READY_TYPES, SCALING_TYPES, SPEC_ACCEPTED
from controller.status.live import LiveObject, items, text
from controller.status.wording import bounded, joined

_SUBJECTS: Final = {
    SPEC_ACCEPTED: "spec",
    CLOUD_REACHABLE: "way to the cloud",
    **{kind: f"{role} worker" for role, kind in READY_TYPES.items()},
    **{kind: f"autoscaler of the {role} worker" for role, kind in SCALING_TYPES.items()},
}
_GOOD: Final = frozenset({Reason.READY, Reason.SCALING, Reason.ACCEPTED, Reason.CLOUD_REACHED})
_PLAIN: Final = frozenset({*_GOOD, Reason.AT_LIMIT, Reason.SCALED_TO_ZERO, Reason.ASLEEP, Reason.WAKING})
_UNTOLD: Final = frozenset({Reason.STARTING, Reason.CLOUD_NOT_READY})
_EXPECTED: Final = frozenset({Reason.ACCEPTED, Reason.SCALING, Reason.CLOUD_REACHED})
_CHILDREN_NAMED: Final = 8


@dataclass(frozen=True)
class ChangeEvent:
    """What becomes an Event on the service; `message` is one line of at most 1024 bytes."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class AppliedChanges:
    """What was done to the children in one reconcile, each as str(ChildKey) has it."""

    created: Sequence[str] = ()
    updated: Sequence[str] = ()
    repaired: Sequence[str] = ()  # somebody else had altered or deleted it
    deleted: Sequence[str] = ()


def events(
    old_status: LiveObject | None, new_status: LiveObject, applied: AppliedChanges | None = None
) -> list[ChangeEvent]:
    """Return the Events for the step from one status to the next: the work done, then what became of the service."""
    return [*_work_events(applied or AppliedChanges()), *_condition_events(old_status or {}, new_status)]


def _work_events(applied: AppliedChanges) -> Iterator[ChangeEvent]:
    for reason, verb, children in (
        (Reason.CREATED, "created", applied.created),
        (Reason.UPDATED, "updated", applied.updated),
        (Reason.REPAIRED, "put back as the service asks", applied.repaired),
        (Reason.DELETED, "deleted", applied.deleted),
    ):
        if children:
            yield ChangeEvent("Normal", reason, bounded(f"{verb} {_listed(children)}"))


def _listed(children: Sequence[str]) -> str:
    names = ", ".join(str(child) for child in children[:_CHILDREN_NAMED])
    others = len(children) - _CHILDREN_NAMED
    return f"{names} and {others} more" if others > 0 else names


def _condition_events(old_status: LiveObject, new_status: LiveObject) -> Iterator[ChangeEvent]:
    before = {text(condition, "type"): condition for condition in items(old_status, "conditions")}
    for condition in items(new_status, "conditions"):
        kind = text(condition, "type")
        event = None if kind in CURRENT_TYPES else _condition_event(before.get(kind, {}), condition)
        if event is not None:
            yield event


def _condition_event(before: LiveObject, after: LiveObject) -> ChangeEvent | None:
    was, now = text(before, "reason"), text(after, "reason")
    held = before.get("status") == after.get("status")
    if (held and was == now) or now in _UNTOLD:
        return None
    if _goes_without_saying(was, now) or _is_about_the_spec(text(after, "type"), {was, now} if held else {now}):
        return None
    kind: Literal["Normal", "Warning"] = "Normal" if now in _PLAIN else "Warning"
    subject = _SUBJECTS.get(text(after, "type"), text(after, "type"))
    return ChangeEvent(kind, now, joined((f"{subject}: {text(after, 'message') or now}",)))


def _goes_without_saying(was: str, now: str) -> bool:
    """Tell whether the change is only what everybody expects; a service that has been accepted or scales anew is that."""
    return now in _EXPECTED and was in {"", *_UNTOLD, Reason.AT_LIMIT}


def _is_about_the_spec(kind: str, reasons: Collection[str]) -> bool:
    """Tell whether a worker only repeats what the Event about the spec says."""
    return kind != SPEC_ACCEPTED and Reason.INVALID_SPEC in reasons
