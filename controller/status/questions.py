"""What the controller has to ask or to look at again, as nothing it watches will tell it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from controller.reasons import Reason
from controller.status.container_causes import SETTLING_S, containers_of
from controller.status.live import LiveObject, seconds_since, text
from controller.status.observed import Observed
from controller.status.pod_state import PodState, pod_states
from controller.status.scaling_state import FIRST_SAMPLE_S, unsampled_since
from controller.status.startup_causes import waiting_since
from controller.status.worker_state import FAILED_PODS_COUNT_S
from sedna_py.api.child_names import Role

SILENT_S: Final = 5.0
QUESTIONS_PER_WORKER: Final = 4

_SOON_S: Final = 5.0
_LATER_S: Final = 30.0
_RARELY_S: Final = 300.0
_YOUNG_S: Final = 120.0
_OLD_S: Final = 900.0
_ASKS_EVENTS: Final = frozenset({None, Reason.NOT_READY, Reason.VOLUME_MISSING, Reason.SANDBOX_FAILED})


class PodQuestion(NamedTuple):
    """A pod whose Events may say what its status does not."""

    namespace: str
    name: str
    uid: str


def questions(observed: Observed, now: datetime) -> list[PodQuestion]:
    """Return the pods that have been slow without a cause: list their Events into `Observed.pod_events`."""
    asked = []
    for role in Role:
        silent = [state.pod for state in pod_states(role, observed, now) if _is_silent(state, now)]
        asked += [_question(pod) for pod in silent if text(pod, "metadata", "uid")][-QUESTIONS_PER_WORKER:]
    return asked


def next_look(observed: Observed, now: datetime) -> float | None:
    """Return after how many seconds the status may differ by time alone, None where only a change can alter it."""
    waits = [wait for role in Role for wait in _waits(role, observed, now)]
    return min(waits, default=None)


def _waits(role: Role, observed: Observed, now: datetime) -> Iterator[float]:
    for state in pod_states(role, observed, now):
        age = seconds_since(state.created, now)
        if state.ended:
            yield from [_LATER_S] if seconds_since(state.ended_at, now) < FAILED_PODS_COUNT_S else []
        elif not (state.ready or state.going) and _may_differ_later(state):
            yield _SOON_S if age < _YOUNG_S else _LATER_S if age < _OLD_S else _RARELY_S
        elif any(view.running and seconds_since(view.started, now) < SETTLING_S for view in containers_of(state.pod)):
            yield _SOON_S
    hpa = observed.hpas.get(role)
    since = unsampled_since(hpa, observed.pods.get(role, ())) if hpa is not None else None
    if since is not None and seconds_since(since, now) < FIRST_SAMPLE_S:
        yield _SOON_S


def _may_differ_later(state: PodState) -> bool:
    return _asks_events(state) or (state.cause is not None and not state.cause.lasting)


def _is_silent(state: PodState, now: datetime) -> bool:
    if state.ready or state.ended or state.going or not text(state.pod, "spec", "nodeName"):
        return False
    return _asks_events(state) and seconds_since(waiting_since(state.pod), now) >= SILENT_S


def _asks_events(state: PodState) -> bool:
    return (state.cause.reason if state.cause else None) in _ASKS_EVENTS


def _question(pod: LiveObject) -> PodQuestion:
    return PodQuestion(*(text(pod, "metadata", field) for field in PodQuestion._fields))
