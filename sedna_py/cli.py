"""`sedna`: the command line. The only module of the library that may import the workers or the controller, inside a command."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sedna_py.api.child_names import Role
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.errors import ManifestError, SednaError, SettingsError
from sedna_py.load_test.command import bench
from sedna_py.local.compare_service import Clip, Session
from sedna_py.local.comparison_run import ServiceRun, make_way
from sedna_py.local.manifests import Manifests, load_manifests
from sedna_py.local.ports import free_port, require_free
from sedna_py.local.scaled_workers import scaled
from sedna_py.local.scaling import LocalScaling
from sedna_py.local.simulate_command import app as simulate_app
from sedna_py.local.supervisor import LocalService
from sedna_py.local.worker_plan import LocalOptions, plan_workers
from sedna_py.local.yaml_text import yaml_documents
from sedna_py.settings import redact
from sedna_py.source_list import change_paths

app = typer.Typer(
    help="Cloud-edge joint inference: a small model answers every frame, a big one is asked only when in doubt.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the workers have sessions of their own and get none of them
PATIENCE_S = 60.0  # for the cloud to be ready, before the edge of `sedna run` starts without it
COLOURS = {Role.EDGE: "green", Role.CLOUD: "blue"}
NO_UID = "00000000-0000-0000-0000-000000000000"  # what a service has that no API server has seen

Files = Annotated[list[Path], typer.Argument(help="YAML files with the service and its Models.", show_default=False)]
ModelFiles = Annotated[list[Path], typer.Option("--models", help="More YAML files with Models.", show_default=False)]
HostRoot = Annotated[
    Path, typer.Option(help="A folder that stands for the node's /, for hostPath volumes and Model urls.")
]
Source = Annotated[
    str | None,
    typer.Option(
        help="A video file, folder of pictures, camera number or rtsp:// address instead of the service's own.",
        show_default=False,
    ),
]
Settings = Annotated[
    list[str], typer.Option("--set", help="NAME=VALUE: an environment variable of the edge worker.", show_default=False)
]


@app.command()
def validate(files: Files, models: ModelFiles = []) -> None:  # noqa: B006 - typer copies it
    """Check service YAML without a cluster: every problem is one line that says what to write.

    Example: sedna validate examples/face_detection/service.yaml
    """
    manifests = load(files, models)
    for service in manifests.services:
        out.print(f"{service.namespace}/{service.name}: ok", markup=False)


@app.command()
def render(
    files: Files,
    models: ModelFiles = [],  # noqa: B006
    storage_initializer_image: Annotated[
        str | None,
        typer.Option(help="Image of the init container that fetches models; the controller's default if absent."),
    ] = None,
) -> None:
    """Print the objects that the controller makes of a service, as YAML, without a cluster.

    They are for reading and comparing: their owner has a uid of zeros unless the file has one, so a cluster that gets them
    removes them again. Models and Secrets are read from the files; of a Secret only the annotations are used. Where the
    cluster chooses the cloud worker's address, write address and nodePort to see the edge worker.

    Example: sedna render examples/face_detection/service.yaml
    """
    from controller.desired_state import Placement, Surroundings, desired_state

    manifests = load(files, models, models_needed=False)
    placement = Placement()
    if storage_initializer_image:
        placement = replace(placement, storage_initializer_image=storage_initializer_image)
    blocked = False
    for service in manifests.services:
        around = Surroundings.without_cluster(service, manifests.models_for(service), manifests.secrets_for(service))
        wanted = desired_state(with_uid(service), around, placement)
        typer.echo(yaml_documents(child.manifest for child in wanted.children), nl=False)
        for worker in wanted.blocked:
            blocked = True
            said = f"{service.namespace}/{service.name}, {worker.role} worker: {worker.reason}: {worker.message}"
            err.print(redact(said), markup=False, style="red")
    if blocked:
        raise typer.Exit(1)


@app.command()
def run(
    files: Files,
    models: ModelFiles = [],  # noqa: B006
    host_root: HostRoot = Path("/"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The cloud worker's port on this machine; 0 takes a free one.")
    ] = 5000,
    source: Source = None,
    decisions: Annotated[
        Path, typer.Option(help="Where the decision log goes; that of an earlier run is replaced.")
    ] = Path("out/decisions.jsonl"),
    video: Annotated[
        Path | None, typer.Option(help="Also write the video with boxes, to this .mp4 file.", show_default=False)
    ] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Run a service's two workers as processes on this machine, with the environment that the cluster would give them.

    A worker that has an hpa block gets as many processes as Kubernetes would make pods; those of the edge share its sources.
    It ends with status 0 when the edge's source ends, and at Ctrl-C. A worker that crashes is started again; with status 1
    it ends when one does not stay up. The edge starts when the cloud is ready, or after a minute without it.

    Example: sedna run service.yaml --source my.mp4 --set SOURCE_PACE=25
    """
    manifests = load(files, models)
    service = only_service(manifests)
    overrides = {"DECISIONS_FILE": str(decisions.resolve()), **assignments(settings)}
    if source is not None:
        overrides["video_url"] = located(source, Path.cwd())
    if video is not None:
        overrides["ANNOTATED_VIDEO"] = str(video.resolve())
    options = local_options(files[0], port=port or free_port(), host_root=host_root, edge=overrides)
    plans = plan_workers(service, manifests.models_for(service), options)
    for note in (note for plan in plans.values() for note in plan.notes):
        err.print(f"note: {note}", markup=False, style="yellow")
    with tempfile.TemporaryDirectory(prefix="sedna-run-") as folder:
        plans, scaling = scaled(service, plans, Path(folder), say)
        local = LocalService(plans, say, end_others=partial(scaling.end, Role.EDGE) if scaling else None)
        require_free(options.port)
        make_way(decisions)
        until_stopped(run_scaled(local, scaling))
    out.print(f"decision log: {decisions}", markup=False)


async def run_scaled(local: LocalService, scaling: LocalScaling | None) -> None:
    """Run both workers until the edge's source ends, and scale them meanwhile."""
    task = asyncio.create_task(scaling.run()) if scaling else None
    if task is not None:
        task.add_done_callback(say_why_scaling_ended)
    try:
        await local.run(cloud_first_s=PATIENCE_S, insist=False)
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def say_why_scaling_ended(scaling: asyncio.Task[None]) -> None:
    """Say what ended it, unless it was to end: the workers go on without it."""
    if not scaling.cancelled() and (error := scaling.exception()) is not None:
        say(Role.CLOUD, f"replicas are not scaled any more: {error!r}")


@app.command()
def compare(
    files: Files,
    models: ModelFiles = [],  # noqa: B006
    host_root: HostRoot = Path("/"),
    source: Source = None,
    target: Annotated[Path, typer.Option("--out", help="Folder for the decision logs and report.html.")] = Path("out"),
    frames: Annotated[int, typer.Option(min=0, help="At most this many frames; 0 means all.")] = 600,
    seconds: Annotated[float, typer.Option(min=1, help="How much of a live source is recorded.")] = 15,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Show what joint inference buys on a video: watch it live, then edge only, joint and cloud only on the same frames.

    Stopped by Ctrl-C it ends with status 130, without a report.

    Example: sedna compare service.yaml --source my.mp4
    """
    manifests = load(files, models)
    service = only_service(manifests)
    used = manifests.models_for(service)
    chosen = assignments(settings)
    options = local_options(files[0], port=0, host_root=host_root, edge=chosen)
    planned = plan_workers(service, used, replace(options, port=1))[Role.EDGE]
    if source is not None:
        video = located(source, Path.cwd())
    else:
        video = located(
            planned.environment.get("video_url") or planned.environment.get("VIDEO_URL", ""), planned.directory
        )
    video, clip = open_clip(video, seconds, frames, target)
    session = Session(
        run=ServiceRun(
            service, used, options, {**chosen, "video_url": video, "SOURCE_FRAMES": str(frames), "SOURCE_REPEAT": "1"}
        ),
        clip=clip,
        out=target,
        command=redact(shlex.join(["sedna", *sys.argv[1:]])),
        console=out,
    )
    status = until_stopped(_compare(session))
    if status:
        err.print("stopped; there is no report", markup=False)
        raise typer.Exit(status)


async def _compare(session: Session) -> None:
    out.print(f"report: {session.conclude(await session.runs())}", markup=False)


def open_clip(video: str, seconds: float, frames: int, target: Path) -> tuple[str, Clip]:
    """Return what the workers play, and its facts: a live source is recorded for `seconds` first. Raises SourceError."""
    from workers.edge.clips import pictures, record
    from workers.edge.sources import open_source

    if not video:
        raise SettingsError("the service sets no video_url; give one with --source")
    opened = open_source(video)
    if opened.endless:
        err.print(f"recording {seconds:g} s of {opened.name} ...", markup=False)
        video = str(record(opened, seconds, target / "recording.mp4").resolve())
        opened = open_source(video)
    opened.close()
    count = min(opened.frames, frames) if frames and opened.frames else opened.frames or frames
    return video, Clip(opened.name, count, opened.fps, partial(pictures, video))


app.command()(bench)
app.add_typer(simulate_app, name="simulate")


@app.command(
    "exec",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
)
def exec_script(
    context: typer.Context, script: Annotated[Path, typer.Argument(help="A worker script for upstream Sedna.")]
) -> None:
    """Run an upstream worker script unmodified: its `sedna.*` imports are served by this library.

    What follows the script's name is the script's; so is the exit status.

    Example: sedna exec infer.py
    """
    from sedna_py.script_runner import main as run_as_program

    run_as_program([str(script), *context.args])


def load(files: list[Path], models: list[Path], *, models_needed: bool = True) -> Manifests:
    """Read the files and print their warnings. Raises ManifestError."""
    manifests = load_manifests([*files, *models], models_needed=models_needed)
    for warning in manifests.warnings:
        err.print(str(warning), markup=False, style="yellow")
    return manifests


def with_uid(service: JointInferenceService) -> JointInferenceService:
    """Return the service with a uid, which objects need to be owned by it."""
    metadata = service.metadata.model_copy(update={"uid": service.metadata.uid or NO_UID})
    return service.model_copy(update={"metadata": metadata})


def only_service(manifests: Manifests) -> JointInferenceService:
    """Return the one service of the files. Raises SettingsError where there are more."""
    if len(manifests.services) != 1:
        names = ", ".join(service.name for service in manifests.services)
        raise SettingsError(f"the files hold {len(manifests.services)} services ({names}); give one at a time")
    return manifests.services[0]


def local_options(file: Path, *, port: int, host_root: Path, edge: Mapping[str, str]) -> LocalOptions:
    """Return how a service of `file` runs here; `edge` are variables of the edge worker that win over the service's."""
    return LocalOptions(
        directory=file.resolve().parent,
        port=port,
        host_root=host_root.resolve(),
        inherited=dict(os.environ),
        overrides={Role.EDGE: edge},
    )


def assignments(settings: list[str]) -> dict[str, str]:
    """Return NAME=VALUE texts as a mapping. Raises SettingsError."""
    pairs = [setting.partition("=") for setting in settings]
    for name, separator, _ in pairs:
        if not separator or not name:
            raise SettingsError(f"--set {name!r}: write NAME=VALUE")
    return {name: value for name, _, value in pairs}


def say(who: str, line: str) -> None:
    """Print one line of a worker."""
    err.print(f"[{COLOURS.get(Role(who), 'white')}]{who:>5}[/] ", end="")
    err.print(redact(line), markup=False)


def located(source: str, folder: Path) -> str:
    """Return sources with their relative paths looked up in `folder`; an address or a camera's number passes unchanged."""

    def resolved(path: str) -> str:
        if not path or path.isdecimal() or path.startswith("file:") or "://" in path:
            return path
        return str((folder / path).resolve())

    return change_paths(source, resolved, lambda path: (folder / path).exists())


def until_stopped(work: Coroutine[Any, Any, Any]) -> int:
    """Run until done; a signal that asks us to end cancels the work, which ends its workers before this returns.

    Returns 0, or 128 + the signal's number.
    """
    received: list[int] = []

    async def cancellable() -> int:
        task = asyncio.ensure_future(work)

        def stop(number: int) -> None:
            received.append(number)
            task.cancel()

        for name in STOPPING:
            asyncio.get_running_loop().add_signal_handler(name, stop, name)
        try:
            await task
        except asyncio.CancelledError:
            return 128 + received[0] if received else 1
        return 0

    return asyncio.run(cancellable())


def main() -> None:
    """Run the command line; errors made for people are one line each, and exit status 1."""
    try:
        app()
    except ManifestError as error:
        for problem in error.problems:
            err.print(redact(problem), markup=False, style="red")
        sys.exit(1)
    except SednaError as error:
        err.print(f"error: {redact(str(error))}", markup=False, style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
