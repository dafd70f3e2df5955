"""Runs one service on this machine for its decision log: as it is, the edge alone, the cloud alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sedna_py.api.child_names import Role
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model import Model
from sedna_py.decision_log import DecisionRecord, closing, read_records
from sedna_py.errors import SettingsError
from sedna_py.local.comparison import Mode
from sedna_py.local.log_follower import LogFollower
from sedna_py.local.ports import free_port
from sedna_py.local.supervisor import LocalService, Say
from sedna_py.local.worker_plan import LocalOptions, plan_workers

READY_S = 120.0
FOLLOW_S = 0.1

MODES: Mapping[Mode, Mapping[str, str]] = {
    Mode.EDGE_ONLY: {"HEM_NAME": "EdgeOnly", "HEM_PARAMETERS": "null"},
    Mode.JOINT: {},
    # The filter judges the raw frame, so that the little model is not asked at all.
    Mode.CLOUD_ONLY: {"HEM_NAME": "CloudOnly", "HEM_PARAMETERS": "null", "MINING_MODE": "mining-then-inference"},
}
# For every hard frame to be answered by the cloud, however slow it is: the reference needs them all, and a file can wait.
# Little is in flight meanwhile, or a slow model's round trip would be that of a queue of our own making.
PATIENT: Mapping[str, str] = {
    "OFFLOAD_WHEN_FULL": "wait",
    "OFFLOAD_DEADLINE_MS": "30000",
    "OFFLOAD_IN_FLIGHT": "3",
    "OFFLOAD_WAITING": "0",
    "BUFFER_POLICY": "wait",
}
# Six runs would write every picture six times, each over the one before.
NO_OUTPUTS: Mapping[str, str] = {
    "all_examples_inference_output": "",
    "hard_example_cloud_inference_output": "",
    "hard_example_edge_inference_output": "",
}
FULL_SPEED: Mapping[str, str] = {**PATIENT, "SOURCE_PACE": "0"}
Watch = Callable[[list[DecisionRecord]], None]


@dataclass(frozen=True, slots=True)
class Logged:
    """What closed the frames of a run, and what went wrong in it beyond single frames, one line each."""

    records: list[DecisionRecord]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceRun:
    """A service, its models, and where it runs; `edge` are variables that the edge worker gets beside the service's."""

    service: JointInferenceService
    models: Mapping[str, Model]
    options: LocalOptions
    edge: Mapping[str, str]

    async def log(self, decisions: Path, extra: Mapping[str, str], say: Say, watch: Watch) -> Logged:
        """Run until the source ends; return the decision log, which `watch` gets piece by piece meanwhile.

        Raises WorkerFailed, or ManifestError for a service that cannot be run.
        """
        edge = {**NO_OUTPUTS, **self.edge, **extra, "DECISIONS_FILE": str(make_way(decisions))}
        options = replace(self.options, port=self.options.port or free_port(), overrides={Role.EDGE: edge})
        local = LocalService(plan_workers(self.service, self.models, options), say)
        following = asyncio.create_task(_follow(decisions, watch))
        try:
            await local.run(cloud_first_s=READY_S)
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
        return Logged(await asyncio.to_thread(read_log, decisions), _restarts(local))


def read_log(decisions: Path) -> list[DecisionRecord]:
    """Return the records of a finished decision log that close their frames. Raises MalformedBody."""
    with decisions.open(encoding="utf-8") as lines:
        return closing(read_records(lines))


def make_way(decisions: Path) -> Path:
    """Remove the log of an earlier run and make its folder; return its full path. Raises SettingsError."""
    try:
        decisions.parent.mkdir(parents=True, exist_ok=True)
        decisions.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"cannot write {str(decisions)!r}: {error.strerror}; name a file in a folder that you may write to"
        ) from None
    return decisions.resolve()


def _restarts(local: LocalService) -> tuple[str, ...]:
    counts = {Role.EDGE: local.edge.restarts, Role.CLOUD: local.cloud.restarts}
    again = ", so frames that it had answered before are in the log twice"
    return tuple(
        f"the {role} worker crashed and was started again{f' {count} times' if count > 1 else ''}"
        f"{again if role is Role.EDGE else ''}"
        for role, count in counts.items()
        if count
    )


async def _follow(decisions: Path, watch: Watch) -> None:
    follower = LogFollower(decisions)
    try:
        while True:
            watch(follower.poll())
            await asyncio.sleep(FOLLOW_S)  # a file has no event to wait for that every system knows
    finally:
        watch(follower.poll())
