"""`sedna`: the command line. The only module of the library that may import the workers, inside a command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sedna_py.api.child_names import Role
from sedna_py.errors import ManifestError, SednaError, SettingsError
from sedna_py.local.manifests import Manifests, load_manifests
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
    if len(manifests.services) != 1:
        raise SettingsError(f"the files hold {len(manifests.services)} services; give one at a time")
    service = manifests.services[0]
    overrides = {"DECISIONS_FILE": str(decisions.resolve()), **assignments(settings)}
    if video is not None:
        overrides["ANNOTATED_VIDEO"] = str(video.resolve())
    options = LocalOptions(
        directory=files[0].resolve().parent,
        port=port or _free_port(),
        host_root=host_root.resolve(),
        inherited=dict(os.environ),
        overrides={Role.EDGE: overrides},
    )
    plans = plan_workers(service, manifests.models_for(service), options)
    for note in (note for plan in plans.values() for note in plan.notes):
        err.print(f"note: {note}", markup=False, style="yellow")
    decisions.parent.mkdir(parents=True, exist_ok=True)
    until_stopped(LocalService(plans, say).run())
    out.print(f"decision log: {decisions}", markup=False)


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


def _free_port() -> int:
    from sedna_py.local.ports import free_port

    return free_port()


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
