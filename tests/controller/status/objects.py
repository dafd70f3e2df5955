"""Live objects as the API server gives them, small enough to read in a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.status.live import rfc3339
from controller.status.observed import Observed
from sedna_py.api.child_names import Role
from sedna_py.api.joint_inference_service import JointInferenceService

Object = dict[str, Any]

NOW = datetime(2025, 11, 21, 10, 0, 0, tzinfo=UTC)
NODE = "edge-1"


def ago(seconds: float) -> str:
    return rfc3339(NOW - timedelta(seconds=seconds))


def deployment(role: Role = Role.EDGE, replicas: int | None = 1, **status: Any) -> Object:
    return {
        "metadata": {"name": f"helmet-deployment-{role}", "namespace": "default", "generation": 1},
        "spec": {} if replicas is None else {"replicas": replicas},
        "status": {"observedGeneration": 1, **status},
    }


def deployment_condition(kind: str, status: str, reason: str, message: str = "") -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(100)}


def pod(
    name: str = "helmet-deployment-edge-7d4b9-aaaaa",
    *,
    node: str | None = NODE,
    age: float = 60,
    spec: Object | None = None,
    conditions: Sequence[Object] = (),
    containers: Sequence[Object] = (),
    init_containers: Sequence[Object] = (),
    **status: Any,
) -> Object:
    """Make a pod; its ReplicaSet is the part of the name before the last."""
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "creationTimestamp": ago(age),
            "labels": {"pod-template-hash": name.split("-")[-2]},
        },
        "spec": {
            **({"nodeName": node} if node else {}),
            "containers": [{"name": "little-model", "image": "registry/little:v1"}],
            **(spec or {}),
        },
        "status": {
            "phase": "Pending",
            **({"startTime": ago(age)} if node else {}),
            "conditions": list(conditions),
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init_containers),
            **status,
        },
    }


def condition(kind: str, status: str, since: float = 60, **more: Any) -> Object:
    return {"type": kind, "status": status, "lastTransitionTime": ago(since), **more}


def container(state: Object, *, name: str = "little-model", ready: bool = False, **more: Any) -> Object:
    return {"name": name, "ready": ready, "restartCount": 0, "state": state, "lastState": {}, **more}


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running(seconds: float = 60) -> Object:
    return {"running": {"startedAt": ago(seconds)}}


def terminated(code: int, reason: str = "Error", message: str = "", seconds: float = 30) -> Object:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "finishedAt": ago(seconds),
            **({"message": message} if message else {}),
        }
    }


def ready_pod(name: str = "helmet-deployment-edge-7d4b9-aaaaa", **more: Any) -> Object:
    more.setdefault("containers", [container(running(), ready=True)])
    more.setdefault("conditions", [condition("Ready", "True", 50)])
    return pod(name, phase="Running", **more)


def crashing_pod(name: str = "helmet-deployment-edge-7d4b9-aaaaa", **more: Any) -> Object:
    return pod(name, containers=[crash(waiting("CrashLoopBackOff"))], phase="Running", **more)


def crash(state: Object, *, code: int = 1, message: str = "", restarts: int = 1, **more: Any) -> Object:
    last = terminated(code, message=message)
    return container(state, lastState=last, restartCount=restarts, **more)


def creating_pod(name: str = "helmet-deployment-edge-7d4b9-aaaaa", *, age: float = 30, **more: Any) -> Object:
    more.setdefault("containers", [container(waiting("ContainerCreating"))])
    return pod(name, age=age, **more)


def node(ready: str = "True", name: str = NODE, since: float = 600) -> Object:
    message = "kubelet is ready" if ready == "True" else "Kubelet stopped posting node status."
    return {
        "metadata": {"name": name},
        "status": {"conditions": [condition("Ready", ready, since, reason="NodeStatusUnknown", message=message)]},
    }


def event(reason: str, message: str, seconds: float = 10) -> Object:
    return {"type": "Warning", "reason": reason, "message": message, "lastTimestamp": ago(seconds)}


def hpa(*conditions: Object, role: Role = Role.EDGE, age: float = 60) -> Object:
    return {
        "metadata": {"name": f"hpa-helmet-deployment-{role}", "creationTimestamp": ago(age)},
        "spec": {"minReplicas": 1, "maxReplicas": 5},
        "status": {"currentReplicas": 1, "desiredReplicas": 1, "conditions": list(conditions)},
    }


def going(live: Object) -> Object:
    return {**live, "metadata": {**live["metadata"], "deletionTimestamp": ago(5)}}


def observe(
    *pods: Object, of: Object | None = None, role: Role = Role.EDGE, nodes: Sequence[Object] | None = (), **more: Any
) -> Observed:
    """Observe one worker; `nodes` None: the cluster does not tell of its nodes, (): node edge-1 is well."""
    known = {} if nodes is None else {item["metadata"]["name"]: item for item in nodes or (node(),)}
    return Observed(
        deployments={role: of if of is not None else deployment(role)},
        pods={role: list(pods)},
        nodes=known,
        nodes_known=nodes is not None,
        **more,
    )


def service(*, edge: Object | None = None, cloud: Object | None = None) -> JointInferenceService:
    worker = {
        "model": {"name": "m"},
        "template": {"spec": {"containers": [{"name": "little-model", "image": "registry/little:v1"}]}},
    }
    return JointInferenceService.model_validate(
        {
            "metadata": {"name": "helmet", "namespace": "default"},
            "spec": {
                "edgeWorker": {**worker, "hardExampleMining": {"name": "IBT"}, **(edge or {})},
                "cloudWorker": {**worker, **(cloud or {})},
            },
        }
    )
