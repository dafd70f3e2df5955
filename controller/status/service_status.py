"""The status of a service: one pure function from everything that is known to what is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from controller.reasons import Reason
from controller.status import conditions
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.live import LiveObject, condition, items, kept_time, rfc3339
from controller.status.missed_look import steadied
from controller.status.observed import Observed
from controller.status.reach_state import ReachState, reach_condition
from controller.status.scaling_state import ScalingState, scaling_condition
from controller.status.totals import Totals
from controller.status.worker_state import WorkerState, worker_condition
from sedna_py.api.child_names import Role
from sedna_py.api.finding import Finding
from sedna_py.api.joint_inference_service import (
    Condition,
    JointInferenceService,
    JointInferenceServiceStatus,
    Worker,
    WorkerStatus,
)
from sedna_py.autoscaling.scale_metric import autoscaler_class

Phase = Literal["Starting", "Running", "Degraded", "Failed"]

_ORDER: Final = (Role.CLOUD, Role.EDGE)
_FIELDS: Final = tuple(info.alias or name for name, info in JointInferenceServiceStatus.model_fields.items())
_WORKER_FIELDS: Final = tuple(info.alias or name for name, info in WorkerStatus.model_fields.items())
SOUND: Final = frozenset({Reason.READY, Reason.ASLEEP, Reason.WAKING})
"""A worker is well that way: one that sleeps is as its service asks for."""

_TOTALS: Final = frozenset({"metrics", "workers"})
_NOT_APPLIED: Final = Cause(Reason.INVALID_SPEC, "the service cannot be used as it is written; see SpecAccepted")


@dataclass(frozen=True)
class ServiceView:
    """Everything that the status of a service is made of.

    `service` None: it could not be parsed, and `findings` say why. `problems` and `scaling_problems` hold what kept
    the controller from applying a worker or its autoscaler. `previous` is the status that is written now. `relayed` tells
    that the edge's reports come through the cloud worker.
    """

    service: JointInferenceService | None
    generation: int
    observed: Observed
    findings: Sequence[Finding] = ()
    problems: Mapping[Role, Cause] = field(default_factory=dict)
    scaling_problems: Mapping[Role, Cause] = field(default_factory=dict)
    previous: LiveObject = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    relayed: bool = True


def service_status(view: ServiceView, clock: Clock) -> dict[str, Any]:
    """Return the status to be written, as JSON has it."""
    workers = [_worker(role, view, clock) for role in _ORDER]
    scalings = [scaling for state in workers if (scaling := _scaling(state, view, clock)) is not None]
    reach = _reach(view, clock)
    failed = sum(state.failing for state in workers)
    ready = {state.role: _worker_status(state, view.service) for state in workers}
    status = JointInferenceServiceStatus(
        observed_generation=view.generation,
        phase=_phase(workers, scalings, reach, view),
        edge=ready[Role.EDGE],
        cloud=ready[Role.CLOUD],
        conditions=_conditions(workers, scalings, reach, view, clock),
        start_time=kept_time(view.previous, "startTime") or rfc3339(clock.now),
        active=len(workers) - failed,
        failed=failed,
    )
    return {**status.model_dump(by_alias=True, exclude_none=True), **view.totals.to_status()}


def replacement(status: LiveObject) -> dict[str, Any]:
    """Return a merge patch after which the status is this one: it leaves what it does not name, so None goes there."""
    workers = {str(role): {**dict.fromkeys(_WORKER_FIELDS), **status[role]} for role in Role}
    return {**dict.fromkeys(_FIELDS), **status, **workers}


def has_changed(old: LiveObject | None, new: LiveObject) -> bool:
    """Tell whether writing `new` over `old` would alter anything that is ours."""
    return _canonical(old or {}) != _canonical(new)


def only_totals_differ(old: LiveObject | None, new: LiveObject) -> bool:
    """Tell whether nothing but what the workers counted differs."""
    before, after = ({k: v for k, v in (status or {}).items() if k not in _TOTALS} for status in (old, new))
    return not has_changed(before, after)


def _worker(role: Role, view: ServiceView, clock: Clock) -> WorkerState:
    problem = view.problems.get(role) or (_NOT_APPLIED if view.service is None else None)
    return worker_condition(role, view.observed, clock, problem)


def _scaling(state: WorkerState, view: ServiceView, clock: Clock) -> ScalingState | None:
    if view.service is None:
        return None
    found = scaling_condition(state, view.service, view.observed, clock, view.scaling_problems.get(state.role))
    if found is None:
        return None
    before = condition({"status": view.previous}, conditions.SCALING_TYPES[state.role])
    return steadied(found, before, view.generation, view.observed.hpas.get(state.role), clock)


def _reach(view: ServiceView, clock: Clock) -> ReachState | None:
    if view.service is None or not view.relayed:
        return None
    return reach_condition(view.service, view.observed, view.totals.last, clock)


def _conditions(
    workers: Sequence[WorkerState],
    scalings: Sequence[ScalingState],
    reach: ReachState | None,
    view: ServiceView,
    clock: Clock,
) -> list[Condition]:
    statements = (
        conditions.acceptance(view.findings, readable=view.service is not None),
        *map(conditions.readiness, workers),
        *([conditions.reachability(reach)] if reach is not None else []),
        *map(conditions.scaling, scalings),
        conditions.current_state(workers, reach),
    )
    return conditions.with_times(statements, items(view.previous, "conditions"), clock.now, view.generation)


def _phase(
    workers: Sequence[WorkerState], scalings: Sequence[ScalingState], reach: ReachState | None, view: ServiceView
) -> Phase:
    if any(state.failing for state in workers):
        return "Failed"
    if any(state.starting for state in workers):
        return "Starting"
    accepted = conditions.acceptance(view.findings, readable=view.service is not None).status == "True"
    sound = accepted and all(state.reason in SOUND for state in workers)
    sound = sound and (reach is None or reach.status != "False")
    return "Running" if sound and all(scaling.status != "False" for scaling in scalings) else "Degraded"


def _worker_status(state: WorkerState, service: JointInferenceService | None) -> WorkerStatus:
    worker = _spec(service, state.role)
    hpa = worker.hpa if worker is not None else None
    fewest = max(1, hpa.fewest) if hpa is not None else 1
    scaled_to_zero = state.reason in {Reason.SCALED_TO_ZERO, Reason.ASLEEP}
    return WorkerStatus(
        ready=f"{state.ready}/{state.wanted if scaled_to_zero else state.wanted or fewest}",
        scale=_scale(service, state.role),
    )


def _scale(service: JointInferenceService | None, role: Role) -> str | None:
    """Return the range in which the worker is scaled, or who does that in place of an autoscaler of ours."""
    worker = _spec(service, role)
    if service is None or worker is None or worker.hpa is None:
        return None
    who = autoscaler_class(service, role)
    return f"{worker.hpa.fewest}-{worker.hpa.max_replicas}" if who == "hpa" else who


def _spec(service: JointInferenceService | None, role: Role) -> Worker | None:
    if service is None:
        return None
    return service.spec.edge_worker if role is Role.EDGE else service.spec.cloud_worker


def _canonical(status: LiveObject) -> str:
    ours = {name: value for name, value in status.items() if name in _FIELDS and value is not None}
    return json.dumps(ours, sort_keys=True, default=str)
