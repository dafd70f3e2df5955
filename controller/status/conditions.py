"""The list of conditions: what each says and since when, the service's current state last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.reasons import Reason
from controller.status.live import LiveObject, kept_time, rfc3339, text
from controller.status.reach_state import ReachState
from controller.status.scaling_state import ScalingState
from controller.status.wording import joined
from controller.status.worker_state import Truth, WorkerState
from sedna_py.api.child_names import Role
from sedna_py.api.finding import Finding, has_errors
from sedna_py.api.joint_inference_service import Condition

SPEC_ACCEPTED: Final = "SpecAccepted"
READY_TYPES: Final = {Role.CLOUD: "CloudReady", Role.EDGE: "EdgeReady"}
SCALING_TYPES: Final = {Role.CLOUD: "CloudScaling", Role.EDGE: "EdgeScaling"}
CLOUD_REACHABLE: Final = "CloudReachable"
RUNNING: Final = "Running"
FAILED: Final = "Failed"
CURRENT_TYPES: Final = frozenset({RUNNING, FAILED})

WORKER_FAILED: Final = "workerFailed"  # upstream's word, which scripts know


@dataclass(frozen=True)
class Statement:
    """A condition without its times."""

    type: str
    status: Truth
    reason: str = ""
    message: str = ""


def acceptance(findings: Sequence[Finding], readable: bool) -> Statement:
    """Say whether the service can be used as it was written; `readable` False where it could not be parsed."""
    if has_errors(findings) or not readable:
        errors = [str(found) for found in findings if found.level == "error"]
        return Statement(SPEC_ACCEPTED, "False", Reason.INVALID_SPEC, joined(errors) or "it cannot be read")
    if findings:
        return Statement(SPEC_ACCEPTED, "True", Reason.ACCEPTED_WITH_WARNINGS, joined(str(found) for found in findings))
    return Statement(SPEC_ACCEPTED, "True", Reason.ACCEPTED)


def readiness(state: WorkerState) -> Statement:
    """Say whether the worker serves."""
    return Statement(READY_TYPES[state.role], state.status, state.reason, state.message)


def scaling(state: ScalingState) -> Statement:
    """Say whether the worker's autoscaler works."""
    return Statement(SCALING_TYPES[state.role], state.status, state.reason, state.message)


def reachability(state: ReachState) -> Statement:
    """Say whether the edge's way to the cloud worker works."""
    return Statement(CLOUD_REACHABLE, state.status, state.reason, state.message)


def current_state(workers: Sequence[WorkerState], reach: ReachState | None = None) -> Statement:
    """Say what the service is: Failed as long as a worker is, and no longer."""
    failing = [state for state in workers if state.failing]
    if failing:
        return Statement(FAILED, "True", WORKER_FAILED, _worker_words(failing))
    unwell = _worker_words([state for state in workers if state.reason is not Reason.READY])
    lost = f"way to the cloud: {reach.message}" if reach is not None and reach.status == "False" else ""
    return Statement(RUNNING, "True", message=joined((unwell, lost)))


def with_times(
    statements: Sequence[Statement], previous: Sequence[LiveObject], now: datetime, generation: int
) -> list[Condition]:
    """Return the conditions; a time stays from the previous ones until the status (of the last: the type) changes."""
    before = {_slot(text(condition, "type")): condition for condition in previous}
    return [_dated(statement, before.get(_slot(statement.type), {}), now, generation) for statement in statements]


def _dated(statement: Statement, before: LiveObject, now: datetime, generation: int) -> Condition:
    same = before.get("type") == statement.type and before.get("status") == statement.status
    changed = kept_time(before, "lastTransitionTime") if same else ""
    beat = kept_time(before, "lastHeartbeatTime") if changed else ""
    return Condition(
        type=statement.type,
        status=statement.status,
        reason=statement.reason or None,
        message=statement.message or None,
        last_heartbeat_time=beat or changed or rfc3339(now),
        last_transition_time=changed or rfc3339(now),
        observed_generation=generation,
    )


def _slot(kind: str) -> str:
    return "current" if kind in CURRENT_TYPES else kind


def _worker_words(workers: Sequence[WorkerState]) -> str:
    return joined(f"{state.role} worker: {state.message}" for state in workers)
