"""Which workers of a service are scaled on this machine, and what that changes of their plans."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sedna_py.api.child_names import Role
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.autoscaling.autoscaler import Goals
from sedna_py.local.edge_sharing import readable, sharing, why_one
from sedna_py.local.replicas import CloudReplicas, EdgeReplicas
from sedna_py.local.scaling import SYNC_S, LocalScaling, Scaled
from sedna_py.local.scaling_goals import goals_of
from sedna_py.local.supervisor import Say
from sedna_py.local.worker_plan import WorkerPlan
from sedna_py.metrics import names


def scaled(
    service: JointInferenceService,
    plans: Mapping[Role, WorkerPlan],
    folder: Path,
    say: Say,
    sync_s: float = SYNC_S,
) -> tuple[dict[Role, WorkerPlan], LocalScaling | None]:
    """Return the plans that are to run, and what scales them; None where no worker has an autoscaler.

    `folder` is where the edge finds the cloud's processes, and its own share their sources.
    """
    goals = {role: found for role in Role if (found := goals_of(service, role)) is not None}
    changed, workers = dict(plans), dict[Role, Scaled]()
    if Role.EDGE in goals and (reason := why_one(plans[Role.EDGE], service.metadata.annotations, os.path.exists)):
        say(Role.EDGE, f"it stays one process: {reason}")
        del goals[Role.EDGE]
    if Role.CLOUD in goals:
        pods = folder / "cloud-pods"
        changed[Role.EDGE] = finding_pods(changed[Role.EDGE], pods)
        workers[Role.CLOUD] = Scaled(CloudReplicas(plans[Role.CLOUD], pods, say), goals[Role.CLOUD])
    if Role.EDGE in goals:
        changed[Role.EDGE] = sharing(changed[Role.EDGE], folder)
    if Role.EDGE in goals or _is_warned(goals.get(Role.CLOUD)):
        edge = changed[Role.EDGE] = readable(changed[Role.EDGE])
        workers[Role.EDGE] = Scaled(EdgeReplicas(edge, say), goals.get(Role.EDGE))
    return changed, LocalScaling(workers, say, sync_s) if workers else None


def finding_pods(edge: WorkerPlan, pods: Path) -> WorkerPlan:
    """Return the plan of an edge worker that finds the cloud's processes in a file, unless it is told otherwise."""
    return replace(edge, environment={"BIG_MODEL_PODS": f"file:{pods}", **edge.environment})


def _is_warned(cloud: Goals | None) -> bool:
    """Tell whether the cloud's autoscaler looks at what the edges do."""
    metrics = (cloud.block.metrics if cloud else None) or ()
    return any(one.object and one.object.metric.name == names.SIGNAL_EXPECTED_CLOUD_LOAD for one in metrics)
