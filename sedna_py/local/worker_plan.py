"""Which process with which environment stands for each worker of a service on this machine: pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from sedna_py.api.child_names import Role, deployment_name
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model import Model
from sedna_py.api.model_mount import MountKind, model_mount
from sedna_py.api.pod_template import Container, PodSpec
from sedna_py.api.worker_environment import cloud_environment, edge_environment
from sedna_py.errors import ManifestError
from sedna_py.local.host_paths import HostDirectory, host_directories, map_paths
from sedna_py.local.ports import LOOPBACK
from sedna_py.settings import redact
from sedna_py.source_list import change_paths

# What a process needs of its surroundings; anything else in the caller's shell could be mistaken for a setting.
INHERITED = frozenset(
    {"PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
    | {"XDG_CACHE_HOME", "SEDNA_CACHE", "SSL_CERT_FILE", "DISPLAY"}
)
# What a worker prints is followed line by line, also where its Python would keep it back for a pipe.
DEFAULTS: Mapping[Role, Mapping[str, str]] = {
    Role.EDGE: {"PYTHONUNBUFFERED": "1"},
    # The cloud worker need not wait until others notice its end: only the edge asks it, and that has ended before.
    Role.CLOUD: {"PYTHONUNBUFFERED": "1", "LAME_DUCK_S": "0"},
}
SOURCES = frozenset({"video_url", "VIDEO_URL"})
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One process: what runs, where, with which environment."""

    role: Role
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    host_directories: tuple[HostDirectory, ...] = ()
    notes: tuple[str, ...] = ()  # what of the template has no meaning here


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """How the service's surroundings map to this machine.

    `directory` is where estimators named by a relative path are looked up; `overrides` are environment variables per role that
    win over everything.
    """

    directory: Path
    port: int
    host_root: Path = Path("/")
    inherited: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[Role, Mapping[str, str]] = field(default_factory=dict)


def plan_workers(
    service: JointInferenceService, models: Mapping[str, Model], options: LocalOptions
) -> dict[Role, WorkerPlan]:
    """Return the plans of both workers. Raises ManifestError for a Model that is not there."""
    edge_model = _model(models, service.spec.edge_worker.model.name)
    cloud_model = _model(models, service.spec.cloud_worker.model.name)
    injected = {
        Role.CLOUD: cloud_environment(
            service, cloud_model, worker_name=_worker_name(service, Role.CLOUD), port=options.port
        )
        | {"BIG_MODEL_BIND_IP": LOOPBACK},
        Role.EDGE: edge_environment(
            service,
            edge_model,
            worker_name=_worker_name(service, Role.EDGE),
            big_model_ip=LOOPBACK,
            big_model_port=options.port,
            lc_server="",  # there is no local controller here
        ),
    }
    pods = {Role.CLOUD: service.spec.cloud_worker.template.spec, Role.EDGE: service.spec.edge_worker.template.spec}
    used = {Role.CLOUD: cloud_model, Role.EDGE: edge_model}
    plans = {role: _plan(role, pods[role], used[role], injected[role], options) for role in (Role.CLOUD, Role.EDGE)}
    if service.spec.cloud_worker.exposure.type != "ClusterIP":
        said = f"cloud worker: expose has no meaning here; the edge finds it at {LOOPBACK}:{options.port}"
        plans[Role.CLOUD] = replace(plans[Role.CLOUD], notes=(*plans[Role.CLOUD].notes, said))
    return plans


def _plan(role: Role, pod: PodSpec, model: Model, injected: Mapping[str, str], options: LocalOptions) -> WorkerPlan:
    container = pod.containers[0]
    mount = model_mount(model.spec.url)
    paths = map_paths(pod, container, mount, options.host_root)
    own, notes = _own_variables(container)
    expanded = _expand({**own, **injected})
    environment = {
        name: change_paths(value, paths.translate) if name in SOURCES else paths.translate(value)
        for name, value in expanded.items()
    }
    if mount.kind is MountKind.DOWNLOAD:
        notes.append(f"{redact(model.spec.url)} is not downloaded here; put it at {environment['MODEL_URL']}")
    if len(pod.containers) > 1:
        notes.append(f"only the first of {len(pod.containers)} containers, {container.name!r}, runs here")
    command = [paths.translate(_substitute(part, expanded)) for part in _command(role, container)]
    return WorkerPlan(
        role=role,
        command=(_program(command[0]), *command[1:]),
        environment={
            **DEFAULTS[role],
            **{name: value for name, value in options.inherited.items() if name in INHERITED},
            **environment,
            **options.overrides.get(role, {}),
        },
        directory=options.directory,
        host_directories=tuple(host_directories(pod, paths)),
        notes=tuple(f"{role} worker: {note}" for note in notes),
    )


def _command(role: Role, container: Container) -> list[str]:
    # Without a command the image's entry point runs; that of our image is the worker.
    return [*(container.command or ["python", "-m", f"workers.{role}"]), *(container.args or ())]


def _program(name: str) -> str:
    # A container's "python" is the one that has sedna-py; here that is the one that runs this.
    return sys.executable if PurePosixPath(name).name in {"python", "python3"} else name


def _own_variables(container: Container) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    notes = []
    for variable in container.env or ():
        if variable.value_from is not None:
            notes.append(f"env {variable.name} has a valueFrom, which needs a cluster; it is unset here")
        else:
            values[variable.name] = variable.value or ""
    return values, notes


def _expand(values: Mapping[str, str]) -> dict[str, str]:
    """Replace `$(NAME)` by a variable defined before, as Kubernetes does; an unknown name stays as it is written."""
    expanded: dict[str, str] = {}
    for name, value in values.items():
        expanded[name] = _substitute(value, expanded)
    return expanded


def _substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace the `$(NAME)` whose name is known, and `$$` by a single `$`."""
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else values.get(found[1], found[0]), text)


def _model(models: Mapping[str, Model], name: str) -> Model:
    if name not in models:
        raise ManifestError([f"no Model {name!r}; add it to the file, or give its file with --models"])
    return models[name]


def _worker_name(service: JointInferenceService, role: Role) -> str:
    return f"{deployment_name(service.name, role)}-0"
