"""From a service's YAML to what its simulation is told: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sedna_py.api.child_names import Role
from sedna_py.api.joint_inference_service import CloudWorker, EdgeWorker, JointInferenceService
from sedna_py.autoscaling.scale_metric import autoscaler_block
from sedna_py.errors import SettingsError
from sedna_py.local.scaling_goals import goals_of
from sedna_py.simulation.offloading import Link
from sedna_py.simulation.service import Surroundings, WorkerSize
from sedna_py.simulation.trace import Trace

# The workers' own defaults (docs/settings.md).
_BUFFER, _WAITING, _IN_FLIGHT, _OFFLOADS_WAITING = 16, 64, 8, 8
_AHEAD = 2  # frames that have left an edge's buffer and wait for its model: one in its line, one at its door
_DEADLINE_MS, _MAX_AGE_MS, _REQUEST_TIMEOUT_S = 2000, 1000, 30


USUAL_SPREAD: Final = 0.1  # of a model's times


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """What neither the service nor the trace says; seconds, None where the trace is to say it."""

    edge_s: float | None = None
    cloud_s: float | None = None
    spread: float | None = None  # of both workers
    streams: Mapping[Role, int] | None = None
    start_s: float = 5.0
    network_s: float = 0.002
    hpa: Collection[Role] = ()  # whose autoscalers run; none named: of all that have one


def surroundings(service: JointInferenceService, trace: Trace, options: SimulationOptions) -> Surroundings:
    """Return what the simulation is told. Raises SettingsError where something is missing."""
    cloud, edge = service.spec.cloud_worker, service.spec.edge_worker
    return Surroundings(
        edge=_edge_size(edge, trace, options),
        cloud=_cloud_size(cloud, trace, options),
        goals={role: goals for role in _scaled(service, trace, options) if (goals := goals_of(service, role))},
        link=Link(
            round_trip_s=options.network_s,
            deadline_s=_number(edge, "OFFLOAD_DEADLINE_MS", _DEADLINE_MS) / 1000,
            in_flight=_number(edge, "OFFLOAD_IN_FLIGHT", _IN_FLIGHT),
            waiting=_number(edge, "OFFLOAD_WAITING", _OFFLOADS_WAITING),
        ),
        max_age_s=_number(edge, "MAX_FRAME_AGE_MS", _MAX_AGE_MS) / 1000,
        request_timeout_s=_number(cloud, "REQUEST_TIMEOUT_S", _REQUEST_TIMEOUT_S),
    )


def _scaled(service: JointInferenceService, trace: Trace, options: SimulationOptions) -> list[Role]:
    there = [role for role in Role if autoscaler_block(service, role) is not None]
    for role in options.hpa:
        if role not in there:
            raise SettingsError(
                f"the {role} worker of {service.name} has no autoscaler; write an hpa block, or leave --hpa out"
            )
    chosen = [role for role in there if role in options.hpa or not options.hpa]
    return [role for role in chosen if trace.edge or role is Role.CLOUD]


def _edge_size(edge: EdgeWorker, trace: Trace, options: SimulationOptions) -> WorkerSize:
    streams = _streams(edge, Role.EDGE, options)
    return WorkerSize(
        streams=streams,
        inside=streams + _AHEAD,
        line=_number(edge, "BUFFER_FRAMES", _BUFFER),
        service_s=_seconds(options.edge_s, trace.timings.edge_s, "edge") if trace.edge else 0.0,
        spread=_spread(options.spread, trace.timings.edge_spread),
        start_s=options.start_s,
        replicas=_fewest(edge),
    )


def _cloud_size(cloud: CloudWorker, trace: Trace, options: SimulationOptions) -> WorkerSize:
    streams = _streams(cloud, Role.CLOUD, options)
    from_trace = max(trace.timings.cloud_s - options.network_s, 0.0)
    return WorkerSize(
        streams=streams,
        inside=cloud.container_concurrency or _number(cloud, "MAX_CONCURRENCY", 0) or streams,
        line=_number(cloud, "MAX_WAITING", _WAITING),
        service_s=_seconds(options.cloud_s, from_trace, "cloud"),
        spread=_spread(options.spread, trace.timings.cloud_spread),
        start_s=options.start_s,
        replicas=_fewest(cloud),
    )


def _fewest(worker: EdgeWorker | CloudWorker) -> int:
    return max(worker.hpa.fewest, 1) if worker.hpa else 1


def _streams(worker: EdgeWorker | CloudWorker, role: Role, options: SimulationOptions) -> int:
    return (options.streams or {}).get(role) or _number(worker, "INFERENCE_STREAMS", 0) or 1


def _seconds(given: float | None, traced: float, role: str) -> float:
    seconds = traced if given is None else given
    if seconds <= 0:
        raise SettingsError(f"the trace does not say how long a request takes the {role} worker; give --{role}-ms")
    return seconds


def _spread(given: float | None, traced: float | None) -> float:
    return next((spread for spread in (given, traced) if spread is not None), USUAL_SPREAD)


def _number(worker: EdgeWorker | CloudWorker, name: str, default: int) -> int:
    variable = worker.template.spec.containers[0].variable(name)
    if variable is None or not variable.value:
        return default
    if not (variable.value.isascii() and variable.value.isdecimal()):
        raise SettingsError(f"{name} is {variable.value!r}; write a whole number")
    return int(variable.value)
