"""One thing that keeps a worker from being ready, and which of several is said first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from controller.reasons import Reason
from controller.status.wording import joined

_CAUSES_SAID: Final = 3
_PODS_COUNTED: Final = 10

# The earlier, the nearer to what a person has to do something about.
_IMPORTANCE: Final = (
    Reason.NODE_MISSING,
    Reason.NODE_NOT_READY,
    Reason.EDGE_OFFLINE,
    Reason.IMAGE_PULL_FAILED,
    Reason.CONTAINER_CONFIG_ERROR,
    Reason.VOLUME_MISSING,
    Reason.INIT_FAILED,
    Reason.OOM_KILLED,
    Reason.CRASH_LOOP,
    Reason.SANDBOX_FAILED,
    Reason.UNSCHEDULABLE,
    Reason.QUOTA_EXCEEDED,
    Reason.POD_CREATION_FAILED,
    Reason.POD_REJECTED,
    Reason.EVICTED,
    Reason.NOT_READY,
    Reason.ROLLOUT_STUCK,
)


@dataclass(frozen=True)
class Cause:
    """`lasting` False: it may well go by itself, so the worker does not count as failed for it."""

    reason: Reason
    message: str
    lasting: bool = True


def most_important(causes: Iterable[Cause]) -> list[Cause]:
    """Return the causes, the most important first; those of one importance keep their order."""
    return sorted(causes, key=lambda cause: _rank(cause.reason))


def summary(causes: Iterable[Cause]) -> str:
    """Return one bounded text: the first cause of each reason, with the number of pods that share it."""
    groups: dict[Reason, list[str]] = {}
    for cause in most_important(causes):
        groups.setdefault(cause.reason, []).append(cause.message)
    said = [messages[0] + _and_more(len(messages) - 1) for messages in groups.values()]
    return joined(said[:_CAUSES_SAID])


def _rank(reason: Reason) -> int:
    return _IMPORTANCE.index(reason) if reason in _IMPORTANCE else len(_IMPORTANCE)


def _and_more(others: int) -> str:
    if others <= 0:
        return ""
    if others > _PODS_COUNTED:  # a flood of pods must not write the status at every one of them
        return f" (and more than {_PODS_COUNTED} more pods)"
    return f" (and {others} more pod{'s' if others > 1 else ''})"
