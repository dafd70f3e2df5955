"""`sedna`: the command line. The only module of the library that may import the workers, inside a command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
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
from sedna_py.local.compare_service import Clip, Session
from sedna_py.local.comparison_run import ServiceRun
from sedna_py.local.manifests import Manifests, load_manifests
from sedna_py.local.ports import free_port
from sedna_py.local.supervisor import LocalService
from sedna_py.local.worker_plan import LocalOptions, plan_workers
from sedna_py.settings import redact

app = typer.Typer(
    help="Cloud-edge joint inference: a small model answers every frame, a big one is asked only when in doubt.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
COLOURS = {Role.EDGE: "green", Role.CLOUD: "blue"}

Files = Annotated[list[Path], typer.Argument(help="YAML files with the service and its Models.", show_default=False)]
ModelFiles = Annotated[list[Path], typer.Option("--models", help="More YAML files with Models.", show_default=False)]
HostRoot = Annotated[
    Path, typer.Option(help="A folder that stands for the node's /, for hostPath volumes and Model urls.")
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
def run(
    files: Files,
    models: ModelFiles = [],  # noqa: B006
    host_root: HostRoot = Path("/"),
    port: Annotated[int, typer.Option(help="The cloud worker's port on this machine; 0 takes a free one.")] = 5000,
    decisions: Annotated[Path, typer.Option(help="Where the decision log goes.")] = Path("out/decisions.jsonl"),
    video: Annotated[Path | None, typer.Option(help="Also write the video with boxes, to this .mp4 file.")] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Run a service's two workers as processes on this machine, with the environment that the cluster would give them.

    It ends when the edge's source ends, or at Ctrl-C. A worker that crashes is started again.

    Example: sedna run service.yaml --set video_url=my.mp4
    """
    manifests = load(files, models)
    service = only_service(manifests)
    overrides = {"DECISIONS_FILE": str(decisions.resolve()), **assignments(settings)}
    if video is not None:
        overrides["ANNOTATED_VIDEO"] = str(video.resolve())
    options = local_options(files[0], port=port or free_port(), host_root=host_root, edge=overrides)
    plans = plan_workers(service, manifests.models_for(service), options)
    for note in (note for plan in plans.values() for note in plan.notes):
        err.print(f"note: {note}", markup=False, style="yellow")
    decisions.parent.mkdir(parents=True, exist_ok=True)
    until_stopped(LocalService(plans, say).run())
    out.print(f"decision log: {decisions}", markup=False)


@app.command()
def compare(
    files: Files,
    models: ModelFiles = [],  # noqa: B006
    host_root: HostRoot = Path("/"),
    source: Annotated[
        str | None, typer.Option(help="A video file, camera number or rtsp:// address instead of the service's own.")
    ] = None,
    target: Annotated[Path, typer.Option("--out", help="Folder for the decision logs and report.html.")] = Path("out"),
    frames: Annotated[int, typer.Option(help="At most this many frames; 0 means all.")] = 600,
    seconds: Annotated[float, typer.Option(help="How much of a live source is recorded.")] = 15,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Show what joint inference buys on a video: watch it live, then edge only, joint and cloud only on the same frames.

    Example: sedna compare service.yaml --source my.mp4
    """
    from workers.edge.clips import pictures, record
    from workers.edge.sources import local_path, open_source

    manifests = load(files, models)
    service = only_service(manifests)
    chosen = assignments(settings) | ({"video_url": source} if source is not None else {})
    options = local_options(files[0], port=0, host_root=host_root, edge=chosen)
    planned = plan_workers(service, manifests.models_for(service), replace(options, port=1))[Role.EDGE]
    video = source or planned.environment.get("video_url", "")
    if not video:
        raise SettingsError("the service sets no video_url; give one with --source")
    # Relative to where the worker would look for it; an address or a camera's number passes unchanged.
    relative = source is None and "://" not in video and not video.isdigit()
    opened = open_source(str(planned.directory / video) if relative else video)
    if opened.live:
        err.print(f"recording {seconds:g} s of {opened.name} ...", markup=False)
        video = str(record(opened, seconds, target / "recording.mp4"))
        opened = open_source(video)
    else:
        video = str((planned.directory if relative else Path()).joinpath(local_path(video)).resolve())
    opened.close()
    edge = {**chosen, "video_url": video, "SOURCE_FRAMES": str(frames), "SOURCE_REPEAT": "1"}
    count = min(opened.frames, frames) if frames and opened.frames else opened.frames or frames
    session = Session(
        run=ServiceRun(service, manifests.models_for(service), options, edge),
        clip=Clip(opened.name, count, opened.fps, partial(pictures, video)),
        out=target,
        command=" ".join(["sedna", *sys.argv[1:]]),
        console=out,
    )
    until_stopped(_compare(session))


async def _compare(session: Session) -> None:
    out.print(f"report: {session.conclude(await session.runs())}", markup=False)


@app.command("exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def exec_script(
    context: typer.Context, script: Annotated[Path, typer.Argument(help="A worker script for upstream Sedna.")]
) -> None:
    """Run an upstream worker script unmodified: its `sedna.*` imports are served by this library.

    Example: sedna exec infer.py
    """
    from sedna_py.script_runner import run_script

    raise typer.Exit(run_script(script, context.args))


def load(files: list[Path], models: list[Path]) -> Manifests:
    """Read the files and print their warnings. Raises ManifestError."""
    manifests = load_manifests([*files, *models])
    for warning in manifests.warnings:
        err.print(str(warning), markup=False, style="yellow")
    return manifests


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


def until_stopped(work: Coroutine[Any, Any, Any]) -> Any:
    """Run until done; SIGINT and SIGTERM cancel it, and it ends its workers before this returns."""

    async def cancellable() -> Any:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            return await task

    return asyncio.run(cancellable())


def main() -> None:
    """Run the command line; errors made for people are one line each, and exit status 1."""
    try:
        app()
    except ManifestError as error:
        for problem in error.problems:
            err.print(problem, markup=False, style="red")
        sys.exit(1)
    except SednaError as error:
        err.print(f"error: {error}", markup=False, style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
