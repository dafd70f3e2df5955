"""Why a pod that has its node is slow to start: volumes, sandbox, readiness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.container_causes import ContainerView, containers_of
from controller.status.live import LiveObject, block, condition, items, latest, moment, text
from controller.status.placement_causes import place
from controller.status.wording import one_line

# From here on silence is worth a word; a cause has to be in the status within 30 s.
SLOW_S: Final = 20.0
_SILENT_S: Final = 5.0
_WAS_READY_S: Final = 2.0
_LOADING_S: Final = 600.0  # a big model takes its time; as long as a Deployment waits for its pods
_NO_SUCH_PATH: Final = ("statuscode: 404", "statuscode: 405")
_OWN_PROBE: Final = (
    "; its server does not know the path that is asked by default: write a readinessProbe into the template, such as"
    " tcpSocket: {port: 5000}"
)
_MOUNT_REASONS: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_WAITING_TO_START: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
_CHECKED_TYPES: Final = {
    "Directory": "directory",
    "File": "file",
    "Socket": "socket",
    "CharDevice": "character device",
    "BlockDevice": "block device",
}


def waiting_since(pod: LiveObject) -> datetime | None:
    """Return since when the pod's next container has been waiting to start."""
    ends = (moment(view.status, "state", "terminated", "finishedAt") for view in containers_of(pod) if view.init)
    return latest([moment(pod, "status", "startTime") or moment(pod, "metadata", "creationTimestamp"), *ends])


def is_starting(pod: LiveObject) -> bool:
    """Tell whether a container of the pod waits for its volumes, its sandbox or its image."""
    views = containers_of(pod)
    if any(view.init and view.running for view in views):
        return False
    return not views or any(_waits(view) for view in views)


def is_silent(pod: LiveObject, clock: Clock) -> bool:
    """Tell whether a pod that starts has been slow to, while the node still works on its volumes or its sandbox."""
    return not _has_sandbox(pod) and clock.passed(waiting_since(pod), _SILENT_S)


def start_cause(pod: LiveObject, events: Sequence[LiveObject], clock: Clock) -> Cause | None:
    """Return why the node cannot start the pod's containers, as far as it tells or can be guessed."""
    sandbox = _has_sandbox(pod)
    if sandbox:  # what the events tell of volumes is over
        return None
    told = _told(pod, events)
    if told is not None or sandbox is None or not clock.passed(waiting_since(pod), SLOW_S):
        return told
    paths = _checked_paths(pod)
    if not paths:
        return None
    return Cause(
        Reason.VOLUME_MISSING,
        f"{place(pod)} waits for its volumes and the node does not say why; look on the node whether these exist: {paths}",
    )


def start_note(pod: LiveObject, clock: Clock) -> str:
    """Return what may be worth a look while the pod starts slowly, "" before that."""
    if not clock.passed(waiting_since(pod), SLOW_S):
        return ""
    if not block(pod, "status").get("containerStatuses"):
        return f"{place(pod)} has not been taken up by the node"
    if _has_sandbox(pod):
        return f"{place(pod)}: the image is being pulled"
    paths = _checked_paths(pod)
    look = f"; if it stays so, look on the node whether these exist: {paths}" if paths else ""
    return f"{place(pod)} waits for its volumes or its image{look}"


def readiness_cause(pod: LiveObject, events: Sequence[LiveObject], clock: Clock) -> Cause | None:
    """Return which running container is not ready; not lasting while the pod was never ready or only just lost it."""
    running = [view for view in containers_of(pod) if view.running and not view.init]
    began = latest(view.started for view in running)
    lost = _lost_readiness(pod, began)
    if not (running and (lost or clock.passed(began, SLOW_S))):
        return None
    lasting = clock.passed(lost, SLOW_S) if lost else clock.passed(began, _LOADING_S)
    unready = [view for view in running if not view.ready]
    if not unready:
        return Cause(Reason.NOT_READY, f"{place(pod)}: a readiness gate is not met", lasting)
    said = _probe_words(events)
    names = ", ".join(view.name for view in unready)
    hint = _OWN_PROBE if any(sign in said for sign in _NO_SUCH_PATH) else ""
    words = f"{place(pod)}: container {names} runs and is not ready{said and f': {said}'}{hint}"
    return Cause(Reason.NOT_READY, words, lasting or bool(hint))


def _waits(view: ContainerView) -> bool:
    state = block(view.status, "state")
    return not ("running" in state or "terminated" in state) and view.waiting_reason in _WAITING_TO_START


def _told(pod: LiveObject, events: Sequence[LiveObject]) -> Cause | None:
    mounts = _newest(event for event in events if text(event, "reason") in _MOUNT_REASONS)
    if mounts:
        exact = [event for event in mounts if "SetUp failed" in text(event, "message")]
        return Cause(Reason.VOLUME_MISSING, f"{place(pod)}: {_mount_words((exact or mounts)[0])}")
    sandbox = _newest(event for event in events if text(event, "reason") == "FailedCreatePodSandBox")
    if sandbox:
        said = one_line(text(sandbox[0], "message"))
        return Cause(Reason.SANDBOX_FAILED, f"{place(pod)}: {said}")
    return None


def _newest(events: Iterable[LiveObject]) -> list[LiveObject]:
    return sorted(events, key=_seen, reverse=True)


def _seen(event: LiveObject) -> float:
    paths = (("series", "lastObservedTime"), ("lastTimestamp",), ("eventTime",), ("firstTimestamp",))
    known = latest(moment(event, *path) for path in paths)
    return known.timestamp() if known is not None else 0.0


def _mount_words(event: LiveObject) -> str:
    said = one_line(text(event, "message"))
    hint = "; make it on the node" if "hostPath type check failed" in said else ""
    return f"{said}{hint}"


def _has_sandbox(pod: LiveObject) -> bool | None:
    """Tell whether volumes are mounted and the sandbox is there; None where an older node does not say."""
    said = text(condition(pod, "PodReadyToStartContainers"), "status")
    if said in {"True", "False"}:
        return said == "True"
    on_host = block(pod, "spec").get("hostNetwork") is True
    return True if text(pod, "status", "podIP") and not on_host else None


def _checked_paths(pod: LiveObject) -> str:
    paths = [block(volume, "hostPath") for volume in items(pod, "spec", "volumes")]
    return ", ".join(
        f"{_CHECKED_TYPES[text(path, 'type')]} {one_line(text(path, 'path'))}"
        for path in paths
        if text(path, "type") in _CHECKED_TYPES
    )


def _lost_readiness(pod: LiveObject, began: datetime | None) -> datetime | None:
    """Return when the pod stopped being ready, None where it never was since its containers began."""
    since = moment(condition(pod, "Ready"), "lastTransitionTime")
    if since is None or began is None:
        return None
    return since if (since - began).total_seconds() > _WAS_READY_S else None


def _probe_words(events: Sequence[LiveObject]) -> str:
    said = (text(event, "message") for event in _newest(e for e in events if text(e, "reason") == "Unhealthy"))
    return next((one_line(words, 200) for words in said if words.startswith(("Readiness", "Startup"))), "")
