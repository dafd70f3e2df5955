"""Why a container does not run: image, configuration, or because it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.live import LiveObject, block, items, moment, number, text
from controller.status.wording import last_line, one_line, restarts

# A container that crashed and has no readiness probe counts as ready for the moments it runs.
_SETTLING_S: Final = 15.0
_CRASH_REMEMBERED_S: Final = 600.0
_MEMORY_REMEMBERED_S: Final = 300.0

_PULL_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG_REASONS: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    }
)
_START_REASONS: Final = frozenset({"RunContainerError", "ContainerCannotRun", "StartError"})
_WRONG_PROCESSOR: Final = ("exec format error", "no match for platform", "no matching manifest")


@dataclass(frozen=True)
class ContainerView:
    """One container of a pod; `init` is one that has to end before the others begin."""

    name: str
    spec: LiveObject
    status: LiveObject
    init: bool = False

    @property
    def label(self) -> str:
        """Return how the container is called in a message."""
        return f"{'init container' if self.init else 'container'} {self.name}"

    @property
    def waiting_reason(self) -> str:
        """Return why the node says that it waits, "" where it does not."""
        return text(self.status, "state", "waiting", "reason")

    @property
    def ready(self) -> bool:
        """Tell whether the node calls it ready."""
        return self.status.get("ready") is True

    @property
    def started(self) -> datetime | None:
        """Return since when it runs, None where it does not."""
        return moment(self.status, "state", "running", "startedAt")

    @property
    def running(self) -> bool:
        """Tell whether it runs."""
        return "running" in block(self.status, "state") and not self.waiting_reason


def containers_of(pod: LiveObject) -> list[ContainerView]:
    """Return the containers of which the node has told something, init containers first."""
    return [*_views(pod, "initContainers", "initContainerStatuses"), *_views(pod, "containers", "containerStatuses")]


def container_cause(container: ContainerView, clock: Clock) -> Cause | None:
    """Return why the container does not run for good, None where nothing is known to be wrong."""
    if container.waiting_reason in _PULL_REASONS:
        return Cause(Reason.IMAGE_PULL_FAILED, f"{container.label}: {_pull_message(container)}")
    if container.waiting_reason in _CONFIG_REASONS:
        said = one_line(text(container.status, "state", "waiting", "message")) or container.waiting_reason
        return Cause(Reason.CONTAINER_CONFIG_ERROR, f"{container.label} cannot be made: {said}")
    ended = _failed_run(container, clock)
    if ended is None:
        return None
    reason = Reason.OOM_KILLED if _is_out_of_memory(ended) else Reason.CRASH_LOOP
    return Cause(
        Reason.INIT_FAILED if container.init else reason, f"{container.label} {_how_it_ended(container, ended)}"
    )


def memory_cause(container: ContainerView, clock: Clock) -> Cause | None:
    """Return that a container that runs again was killed for its memory some minutes ago, None where it was not."""
    ended = block(container.status, "lastState", "terminated")
    if not (container.running and _is_out_of_memory(ended)):
        return None
    if clock.passed(moment(ended, "finishedAt") or container.started, _MEMORY_REMEMBERED_S):
        return None
    return Cause(Reason.OOM_KILLED, f"{container.label} {_how_it_ended(container, ended)}", lasting=False)


def _views(pod: LiveObject, specs: str, statuses: str) -> Iterator[ContainerView]:
    by_name = {text(spec, "name"): spec for spec in items(pod, "spec", specs)}
    for status in items(pod, "status", statuses):
        name = text(status, "name")
        spec = by_name.get(name, {})
        ends = specs == "initContainers" and text(spec, "restartPolicy") != "Always"
        yield ContainerView(one_line(name), spec, status, init=ends)


def _failed_run(container: ContainerView, clock: Clock) -> LiveObject | None:
    """Return the end of the run that shows what is wrong; {} where the node tells nothing about it."""
    status = container.status
    ended = block(status, "state", "terminated")
    if ended:
        return None if container.init and number(ended, "exitCode") == 0 else ended
    before = block(status, "lastState", "terminated")
    if container.waiting_reason in {"CrashLoopBackOff", *_START_REASONS}:
        return before or {"message": text(status, "state", "waiting", "message"), "reason": container.waiting_reason}
    if not (container.running and before) or (container.init and number(before, "exitCode") == 0):
        return None
    remembered_s = _SETTLING_S if container.ready else _CRASH_REMEMBERED_S
    return None if clock.passed(container.started, remembered_s) else before


def _pull_message(container: ContainerView) -> str:
    image = one_line(text(container.spec, "image") or text(container.status, "image"))
    if container.waiting_reason == "InvalidImageName":
        return f'"{image}" is not the name of an image; write one such as registry/name:tag'
    if container.waiting_reason == "ErrImageNeverPull":
        return f'image "{image}" is not on the node and imagePullPolicy is Never; load it there or write IfNotPresent'
    said = text(container.status, "state", "waiting", "message")
    said = said.rpartition("ErrImagePull: ")[2]
    said = said.rpartition(" desc = ")[2] if said.startswith("rpc error:") else said
    if said.startswith("Back-off pulling image"):
        said = ""
    return f'image "{image}" cannot be pulled{_after_colon(one_line(said))}{_processor_hint(said)}'


def _how_it_ended(container: ContainerView, ended: LiveObject) -> str:
    said = text(ended, "message")
    again = restarts(number(container.status, "restartCount"))
    if text(ended, "reason") in _START_REASONS:
        return f"cannot be started{again}{_after_colon(one_line(said))}{_processor_hint(said)}"
    said_last = f"{_after_colon(last_line(said))}{_processor_hint(said)}"
    return f"{_exit(container, ended)}{again}{said_last}{_memory_hint(container, ended)}"


def _exit(container: ContainerView, ended: LiveObject) -> str:
    if _is_out_of_memory(ended):
        limit = _memory_limit(container)
        return f"was killed for using too much memory (OOMKilled{f', its limit is {limit}' if limit else ''})"
    if "exitCode" not in ended:
        return "ends again and again"
    code = number(ended, "exitCode")
    if code == 0:
        return "ended with exit code 0, but a worker must not end"
    number_of_signal = number(ended, "signal") or code - 128
    try:
        return f"ended with exit code {code} ({signal.Signals(number_of_signal).name})"
    except ValueError:
        return f"ended with exit code {code}"


def _is_out_of_memory(ended: LiveObject) -> bool:
    return text(ended, "reason") == "OOMKilled"


def _memory_limit(container: ContainerView) -> str:
    return one_line(str(block(container.spec, "resources", "limits").get("memory") or ""))


def _memory_hint(container: ContainerView, ended: LiveObject) -> str:
    if not _is_out_of_memory(ended):
        return ""
    if _memory_limit(container):
        return "; write a larger resources.limits.memory"
    return "; its node had none left: write resources.requests.memory and limits.memory"


def _after_colon(said: str) -> str:
    return f": {said}" if said else ""


def _processor_hint(said: str) -> str:
    wrong = any(sign in said for sign in _WRONG_PROCESSOR)
    return " (the image is not built for the processor of the node)" if wrong else ""
