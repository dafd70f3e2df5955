"""What the controller has to ask, as nothing it watches will tell it: the Events of pods."""

from __future__ import annotations

from typing import Final, NamedTuple

from controller.status.clock import Clock
from controller.status.live import LiveObject, seconds_since, text
from controller.status.observed import Observed
from controller.status.pod_state import pod_states
from controller.status.startup_causes import waiting_since
from sedna_py.api.child_names import Role

QUESTIONS_PER_WORKER: Final = 4
MOST_QUESTIONS: Final = QUESTIONS_PER_WORKER * len(Role)

# How long an answer is good for, by how long the pod has been waiting. A node tries in ever longer intervals, too.
_GOOD_FOR_S: Final = ((120.0, 10.0), (900.0, 30.0))
_RARELY_S: Final = 300.0


class PodQuestion(NamedTuple):
    """A pod whose Events may say what its status does not; the answer is good for some seconds."""

    namespace: str
    name: str
    uid: str
    good_for_s: float


def questions(observed: Observed, clock: Clock) -> list[PodQuestion]:
    """Return the pods that have been slow, the newest of each worker: list their Events into `Observed.pod_events`."""
    asked: list[PodQuestion] = []
    for role in Role:
        silent = [state.pod for state in pod_states(role, observed, clock) if state.asks_events and not state.going]
        asked += [_question(pod, clock) for pod in silent if text(pod, "metadata", "uid")][-QUESTIONS_PER_WORKER:]
    return asked


def _question(pod: LiveObject, clock: Clock) -> PodQuestion:
    waited_s = seconds_since(waiting_since(pod), clock.now)
    good_for_s = next((seconds for limit, seconds in _GOOD_FOR_S if waited_s < limit), _RARELY_S)
    namespace, name, uid = (text(pod, "metadata", field) for field in ("namespace", "name", "uid"))
    return PodQuestion(namespace, name, uid, good_for_s)
