"""The statuses of pods in the shapes in which a kubelet 1.36 writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class ContainerPicture:
    """One container: its state, and that of its last run."""

    state: Object
    ready: bool = False
    restarts: int = 0
    last: Object = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """One pod. Containers without a picture of their own are like `others`; a `sandbox` has its volumes and its network."""

    others: ContainerPicture
    containers: Mapping[str, ContainerPicture] = field(default_factory=dict)
    init: Mapping[str, ContainerPicture] = field(default_factory=dict)
    phase: str = "Pending"
    sandbox: bool = True
    fields: Object = field(default_factory=dict)  # reason and message of a pod that is over
    disruption: str = ""


Play = Callable[[Object], Picture]


def now_text(*, ago_s: float = 0, fine: bool = False) -> str:
    """Return the time as Kubernetes writes it; `fine` as leases have it."""
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if fine else "%Y-%m-%dT%H:%M:%SZ"
    return (datetime.now(UTC) - timedelta(seconds=ago_s)).strftime(form)


def waiting(reason: str, message: str = "") -> ContainerPicture:
    return ContainerPicture({"waiting": {"reason": reason, **({"message": message} if message else {})}})


def terminated(code: int, reason: str = "Error", message: str = "", ago_s: float = 0) -> Object:
    said = {"message": message} if message else {}
    times = {"startedAt": now_text(ago_s=ago_s + 2), "finishedAt": now_text(ago_s=ago_s)}
    return {"terminated": {"exitCode": code, "reason": reason, **said, **times, "containerID": "containerd://1"}}


def running(*, is_ready: bool = True, ago_s: float = 0, **more: Any) -> ContainerPicture:
    return ContainerPicture({"running": {"startedAt": now_text(ago_s=ago_s)}}, ready=is_ready, **more)


def ready(pod: Object) -> Picture:
    """Everything runs, and every init container has done its work."""
    return Picture(running(ago_s=60), phase="Running")


def unready(pod: Object) -> Picture:
    """Everything runs, and the readiness probe has not yet passed."""
    return Picture(running(is_ready=False), phase="Running")


def lost_readiness(pod: Object) -> Picture:
    """Everything has been running for long, and the readiness probe fails now."""
    return Picture(running(is_ready=False, ago_s=60), phase="Running")


def creating(pod: Object) -> Picture:
    """Wait for the volumes: there is no sandbox."""
    return Picture(waiting("ContainerCreating"), sandbox=False)


def pulling(pod: Object) -> Picture:
    return Picture(waiting("ContainerCreating"))


def pull_failed(pod: Object) -> Picture:
    image = pod["spec"]["containers"][0]["image"]
    return Picture(waiting("ErrImagePull", _pull_words(image)))


def pull_backing_off(pod: Object) -> Picture:
    image = pod["spec"]["containers"][0]["image"]
    return Picture(waiting("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {_pull_words(image)}'))


def crashed(code: int, **ended: Any) -> Play:
    """End a container's first run."""
    return lambda pod: Picture(ContainerPicture(terminated(code, **ended)), phase="Running")


def crash_loop(code: int, restarts: int = 1, **ended: Any) -> Play:
    """Wait before the next run."""

    def play(pod: Object) -> Picture:
        return Picture(_looping(pod, code, restarts, **ended), phase="Running")

    return play


def crash_loop_running(code: int, restarts: int = 1) -> Play:
    """Run again, after a run that ended badly; there is no readiness probe, so it counts as ready."""
    last = terminated(code, ago_s=10)
    return lambda pod: Picture(running(restarts=restarts, last=last), phase="Running")


def init_failed(container: str, code: int, **ended: Any) -> Play:
    """Let an init container end badly again and again."""

    def play(pod: Object) -> Picture:
        return Picture(waiting("PodInitializing"), init={container: _looping(pod, code, 2, **ended)})

    return play


def config_error(message: str) -> Play:
    return lambda pod: Picture(waiting("CreateContainerConfigError", message))


def rejected(reason: str, message: str) -> Play:
    """Give the pod up when it comes, as for a port that is taken."""
    fields = {"reason": reason, "message": f"Pod was rejected: {message}"}
    return lambda pod: Picture(waiting("ContainerCreating"), phase="Failed", sandbox=False, fields=fields)


def evicted(message: str) -> Play:
    """Give the pod up to save the node."""
    ended = ContainerPicture(terminated(137))
    return lambda pod: Picture(
        ended, phase="Failed", fields={"reason": "Evicted", "message": message}, disruption=message
    )


def pod_status(pod: Object, picture: Picture) -> Object:
    """Return the fields of the status; times of conditions that stay as they are stay, too."""
    spec = pod["spec"]
    init = [(c, picture.init.get(c["name"], _initialized(picture))) for c in spec.get("initContainers", ())]
    main = [(c, picture.containers.get(c["name"], picture.others)) for c in spec["containers"]]
    over = picture.phase == "Failed"
    return {
        "phase": picture.phase,
        "observedGeneration": pod["metadata"].get("generation", 1),
        "conditions": _conditions(pod, picture, init, main),
        "startTime": pod["status"].get("startTime") or now_text(),
        "hostIP": "192.0.2.1",
        "hostIPs": [{"ip": "192.0.2.1"}],
        "qosClass": pod["status"].get("qosClass", "BestEffort"),
        "reason": None,
        "message": None,
        "initContainerStatuses": None if over and not picture.sandbox else _statuses(init),
        "containerStatuses": None if over and not picture.sandbox else _statuses(main),
        **({"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]} if picture.sandbox else {}),
        **picture.fields,
    }


Pictures = list[tuple[Object, ContainerPicture]]


def _pull_words(image: str) -> str:
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}":'
        f' failed to resolve reference "{image}": {image}: not found'
    )


def _looping(pod: Object, code: int, restarts: int, **ended: Any) -> ContainerPicture:
    metadata = pod["metadata"]
    name = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
    state = waiting("CrashLoopBackOff", f"back-off 20s restarting failed container=any pod={name}").state
    return ContainerPicture(state, restarts=restarts, last=terminated(code, **ended))


def _initialized(picture: Picture) -> ContainerPicture:
    if picture.sandbox and not picture.init:
        return ContainerPicture(terminated(0, "Completed", ago_s=30), ready=True)
    return waiting("PodInitializing")


def _statuses(containers: Pictures) -> list[Object]:
    return [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "sha256:1" if "waiting" not in picture.state else "",
            "state": picture.state,
            "lastState": picture.last,
            "ready": picture.ready,
            "started": "running" in picture.state,
            "restartCount": picture.restarts,
        }
        for container, picture in containers
    ]


def _conditions(pod: Object, picture: Picture, init: Pictures, main: Pictures) -> list[Object]:
    waits = [container["name"] for container, one in init if not one.ready]
    lacks = [container["name"] for container, one in main if not one.ready]
    over = {"reason": "PodFailed"} if picture.phase == "Failed" else None
    unready = over or {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{' '.join(lacks)}]",
    }
    uninitialized = {
        "reason": "ContainersNotInitialized",
        "message": f"containers with incomplete status: [{' '.join(waits)}]",
    }
    said = [
        ("PodReadyToStartContainers", picture.sandbox and not over, {}),
        ("Initialized", not waits, uninitialized if waits else {}),
        ("Ready", not (lacks or over), unready if lacks or over else {}),
        ("ContainersReady", not (lacks or over), unready if lacks or over else {}),
        ("PodScheduled", True, {}),
    ]
    if picture.disruption:
        said.append(("DisruptionTarget", True, {"reason": "TerminationByKubelet", "message": picture.disruption}))
    before = {condition["type"]: condition for condition in pod["status"].get("conditions", ())}
    return [_condition(before.get(kind), kind, "True" if true else "False", more) for kind, true, more in said]


def _condition(before: Object | None, kind: str, status: str, more: Object) -> Object:
    same = before is not None and before["status"] == status
    since = before["lastTransitionTime"] if before is not None and same else now_text()
    return {"type": kind, "status": status, **more, "lastProbeTime": None, "lastTransitionTime": since}
