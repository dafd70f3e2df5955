"""One worker: how many of its pods serve, and why not all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from controller.reasons import Reason
from controller.status.cause import Cause, most_important, summary
from controller.status.clock import Clock
from controller.status.deployment_causes import creation_cause, is_overdue, rollout_causes, wanted_pods
from controller.status.live import LiveObject, is_going, latest, number, text
from controller.status.observed import Observed
from controller.status.offline import is_offline, with_offline_nodes
from controller.status.pod_state import PodState, pod_states
from controller.status.wording import counted, joined, one_line
from controller.zero.marks import asleep_since, woken_at
from sedna_py.api.child_names import Role

Truth = Literal["True", "False", "Unknown"]

_NO_START: Final = frozenset({Reason.SCALED_TO_ZERO, Reason.ASLEEP, Reason.WAKING})
# The record of a pod that failed long ago says nothing about the one that starts now.
_FAILED_PODS_COUNT_S: Final = 300.0


@dataclass(frozen=True)
class WorkerState:
    """`status` says whether the worker serves; `failing` that a cause keeps every one of its pods from that."""

    role: Role
    status: Truth
    reason: Reason
    message: str
    ready: int = 0
    wanted: int = 0
    failing: bool = False

    @property
    def starting(self) -> bool:
        """Tell whether it does not serve and nothing lasting is known to be wrong."""
        return self.status == "False" and not self.failing and self.reason not in _NO_START


def worker_condition(role: Role, observed: Observed, clock: Clock, problem: Cause | None = None) -> WorkerState:
    """Return what the worker is; `problem` is what kept the controller from applying what the service asks for."""
    state = _state(role, observed, clock)
    if problem is None:
        return state
    said = one_line(problem.message, 640)
    if state.status != "False":  # what serves goes on as it is
        return replace(state, reason=problem.reason, message=joined((state.message, said)))
    behind = "" if state.reason is Reason.STARTING else state.message
    return replace(state, reason=problem.reason, message=joined((said, behind)), failing=problem.lasting)


def _state(role: Role, observed: Observed, clock: Clock) -> WorkerState:
    deployment = observed.deployments.get(role)
    if deployment is None:
        return WorkerState(role, "False", Reason.STARTING, "its Deployment is not there yet")
    states = pod_states(role, observed, clock)
    if role is Role.EDGE:
        states = with_offline_nodes(states, observed)
    wanted = wanted_pods(deployment)
    ready = _ready_pods(deployment, states)
    if is_going(deployment):
        name = one_line(text(deployment, "metadata", "name"))
        message = f"Deployment {name} is being deleted; it is made again when it is gone"
        return WorkerState(role, "False", Reason.DELETING, message, ready, wanted, failing=True)
    if wanted == 0 and (since := asleep_since(deployment)):
        return WorkerState(role, "False", Reason.ASLEEP, f"asleep since {since}; the first hard frame wakes it")
    if wanted == 0:
        return WorkerState(role, "False", Reason.SCALED_TO_ZERO, "the Deployment is scaled to 0 pods")
    causes = _causes(deployment, states, ready, wanted, clock)
    if ready:
        return _serving(role, ready, wanted, causes, states)
    if not causes:
        reason, message = Reason.STARTING, _starting_words(wanted, states)
        if woken := woken_at(deployment):
            reason, message = Reason.WAKING, joined((f"woken at {woken}", message))
        return WorkerState(role, "False", reason, message, 0, wanted)
    reason = most_important(causes)[0].reason
    message = joined((f"{_share(0, wanted)}: {summary(causes)}",))
    if _is_out_of_sight(role, states):
        return WorkerState(role, "Unknown", reason, message, 0, wanted)
    return WorkerState(role, "False", reason, message, 0, wanted, _is_failing(deployment, causes, states))


def _serving(role: Role, ready: int, wanted: int, causes: Sequence[Cause], states: Sequence[PodState]) -> WorkerState:
    share = _share(ready, wanted)
    if causes:
        only_ended = ready >= wanted and all(cause.reason is Reason.OOM_KILLED for cause in causes)
        reason = Reason.OOM_KILLED if only_ended else Reason.PARTLY_READY
        message = joined((f"{share}: {summary(causes)}",))
        return WorkerState(role, "True", reason, message, ready, wanted)
    return WorkerState(role, "True", Reason.READY, joined((share, *_notes(states))), ready, wanted)


def _ready_pods(deployment: LiveObject, states: Sequence[PodState]) -> int:
    if not states:
        return number(deployment, "status", "readyReplicas")
    return sum(state.ready and not state.going for state in states)


def _causes(deployment: LiveObject, states: Sequence[PodState], ready: int, wanted: int, clock: Clock) -> list[Cause]:
    """Return what is wrong now: with the newest template's pods, with making pods, else with the roll-out."""
    newest = [state for state in states if state.template == _newest_template(states)]
    found = [state.cause for state in newest if state.cause and not (state.ended or state.going)]
    made = creation_cause(deployment)
    if made is not None:
        found.append(made)
    if ready < wanted:
        found += [
            state.cause for state in states if state.cause and _is_unreachable(state) and state.cause not in found
        ]
        found = found or _causes_of_ended(newest, clock)
    return list(dict.fromkeys(found)) or list(rollout_causes(deployment))


def _newest_template(states: Sequence[PodState]) -> str:
    staying = [state for state in states if not state.going] or states
    return max(staying, key=lambda state: state.created).template if staying else ""


def _causes_of_ended(states: Sequence[PodState], clock: Clock) -> list[Cause]:
    """Return the causes of all pods given up, the oldest first, if one of them is recent: so the text stays as it is."""
    ended = [state for state in states if state.ended and state.cause]
    over = clock.passed(latest(state.ended_at for state in ended), _FAILED_PODS_COUNT_S)
    return [] if over else [state.cause for state in ended if state.cause]


def _is_unreachable(state: PodState) -> bool:
    return is_offline(state) or (state.cause is not None and state.cause.reason is Reason.NODE_NOT_READY)


def _is_out_of_sight(role: Role, states: Sequence[PodState]) -> bool:
    """Tell whether the worker may well serve where the cloud cannot see it: an edge node goes on without its link."""
    if role is not Role.EDGE:
        return False
    existing = [state for state in states if not state.ended]
    all_away = bool(existing) and all(is_offline(state) for state in existing)
    return all_away or any(state.last_ready for state in existing if _is_unreachable(state))


def _is_failing(deployment: LiveObject, causes: Sequence[Cause], states: Sequence[PodState]) -> bool:
    if any(cause.reason is Reason.POD_REJECTED for cause in causes) or is_overdue(deployment):
        return True
    coming = any(not (state.cause or state.ended or state.going) for state in states)
    return not coming and all(cause.lasting for cause in causes)


def _starting_words(wanted: int, states: Sequence[PodState]) -> str:
    leaving = sum(state.going for state in states)
    ending = f"{counted(leaving, 'pod')} still ending" if leaving and leaving == len(states) else ""
    return joined((_share(0, wanted), ending, *_notes(states)))


def _notes(states: Sequence[PodState]) -> list[str]:
    return [state.note for state in states if state.note and not state.going][:2]


def _share(ready: int, wanted: int) -> str:
    return f"{ready} of {counted(wanted, 'pod')} ready"
