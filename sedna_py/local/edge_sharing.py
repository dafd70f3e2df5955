"""Whether several processes of an edge worker can divide its frames on this machine, and what they need for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from sedna_py.api.shared_streams import ANNOTATION, FRAME_QUEUE, SHARED_DIR, Choice
from sedna_py.errors import SourceError
from sedna_py.local.ports import free_port
from sedna_py.local.replicas import EDGE_PORT
from sedna_py.local.worker_plan import SOURCES, WorkerPlan
from sedna_py.source_list import PUSH, Exists, read_sources

_VIDEO, _WORKER = "ANNOTATED_VIDEO", "{worker}"


def why_one(plan: WorkerPlan, annotations: Mapping[str, str] | None, exists: Exists) -> str | None:
    """Return why the edge worker is to be one process, None where it may be several.

    `exists` tells whether there is something at a path.
    """
    environment = plan.environment
    video = environment.get(_VIDEO, "")
    if not _says_how(environment) and (
        SHARED_DIR in environment or (annotations or {}).get(ANNOTATION) == Choice.DISABLED
    ):
        return "its processes would not share its sources, so each would read all of them"
    if video and _WORKER not in video:
        return f"{_VIDEO} is one file, which several processes cannot write; {_WORKER} in its name gives each its own"
    for name in SOURCES & environment.keys():
        try:
            pushed = any(source.address.startswith(PUSH) for source in read_sources(environment[name], exists))
        except SourceError as error:
            return str(error)
        if pushed:
            return f"pictures that are sent to it ({PUSH}) come to one process"
    return None


def sharing(plan: WorkerPlan, folder: Path) -> WorkerPlan:
    """Return the plan with a directory to share sources by, unless it says itself how they are shared."""
    return plan if _says_how(plan.environment) else _with(plan, SHARED_DIR, str(folder))


def readable(plan: WorkerPlan, port: Callable[[], int] = free_port) -> WorkerPlan:
    """Return the plan with a port to read the edge worker's counters at, if it has none."""
    given = plan.environment.get(EDGE_PORT, "0") not in {"", "0"}
    return plan if given else _with(plan, EDGE_PORT, str(port()))


def _with(plan: WorkerPlan, name: str, value: str) -> WorkerPlan:
    return replace(plan, environment={**plan.environment, name: value})


def _says_how(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) for name in (SHARED_DIR, FRAME_QUEUE))
