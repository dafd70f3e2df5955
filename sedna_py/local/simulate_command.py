"""`sedna simulate`: what a service's autoscalers would make of a recorded load, on the command line."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sedna_py import __version__
from sedna_py.api.child_names import Role
from sedna_py.errors import MalformedBody, SettingsError
from sedna_py.local.manifests import load_manifests
from sedna_py.local.simulate_service import SimulationOptions, surroundings
from sedna_py.local.simulation_view import outcome_page, outcome_table, replica_lines
from sedna_py.simulation.service import simulate
from sedna_py.simulation.trace import Trace, trace_of_log, trace_of_rates

app = typer.Typer(help="Work out what a service would do, without running it.", no_args_is_help=True)
out = Console(highlight=False, soft_wrap=True, emoji=False)


@app.callback()
def _several() -> None:
    """Work out what a service would do, without running it."""


@app.command()
def trace(
    recorded: Annotated[
        Path, typer.Argument(metavar="TRACE", help="A decision log (.jsonl), or a .csv of rates.", show_default=False)
    ],
    service: Annotated[list[Path], typer.Option("--service", help="YAML with the service.", show_default=False)],
    hpa: Annotated[
        list[Role], typer.Option(help="Only this worker's autoscaler runs; otherwise those of all.", show_default=False)
    ] = [],  # noqa: B006
    edge_ms: Annotated[
        float | None, typer.Option(min=0.001, help="How long a frame takes the edge's model; else the log says it.")
    ] = None,
    cloud_ms: Annotated[
        float | None, typer.Option(min=0.001, help="How long a request takes the cloud's model; else the log says it.")
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(
            min=0, max=3, help="How much both vary: their standard deviation, as a part; else the log says it, or 0.1."
        ),
    ] = None,
    edge_streams: Annotated[int, typer.Option(min=0, help="Streams of an edge pod; 0: INFERENCE_STREAMS, or 1.")] = 0,
    cloud_streams: Annotated[int, typer.Option(min=0, help="Streams of a cloud pod; 0: INFERENCE_STREAMS, or 1.")] = 0,
    start_s: Annotated[float, typer.Option(min=0, help="Seconds until a new pod is ready.")] = 5,
    network_ms: Annotated[float, typer.Option(min=0, help="There and back between edge and cloud.")] = 2,
    seed: Annotated[int, typer.Option(help="Another one draws other chances.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write a page with plots, to this .html file.")] = None,
) -> None:
    """Tell replicas over time, drops and latencies of a recorded load, with Kubernetes' rule of scaling. Nothing is run.

    Example: sedna simulate trace out/decisions.jsonl --service service.yaml --hpa cloud
    """
    manifests = load_manifests(service, models_needed=False)
    if len(manifests.services) != 1:
        raise SettingsError(f"the files hold {len(manifests.services)} services; give one")
    load = read_trace(recorded, seed)
    options = SimulationOptions(
        edge_s=None if edge_ms is None else edge_ms / 1000,
        cloud_s=None if cloud_ms is None else cloud_ms / 1000,
        spread=spread,
        streams={Role.EDGE: edge_streams, Role.CLOUD: cloud_streams},
        start_s=start_s,
        network_s=network_ms / 1000,
        hpa=hpa,
    )
    around = surroundings(manifests.services[0], load, options)
    outcome = simulate(load, around, seed)
    if as_json:
        typer.echo(json.dumps({"seed": seed, **outcome.as_json()}, indent=2))
    else:
        out.print(outcome_table(outcome))
        for line in replica_lines(outcome):
            out.print(line, markup=False)
    if report is not None:
        facts = _facts(recorded, service, around.edge.service_s, around.cloud.service_s, seed)
        report.write_text(outcome_page(outcome, load, facts), encoding="utf-8")
        if not as_json:
            out.print(f"report: {report}", markup=False)


def read_trace(path: Path, seed: int) -> Trace:
    """Read a decision log or a table of rates. Raises SettingsError and MalformedBody."""
    if path.suffix not in {".jsonl", ".csv"}:
        raise SettingsError(f"{path}: write a decision log that ends in .jsonl, or a table of rates that ends in .csv")
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return (trace_of_log if path.suffix == ".jsonl" else trace_of_rates)(lines, random.Random(seed))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except MalformedBody as error:
        raise MalformedBody(f"{path}: {error}") from error


def _facts(recorded: Path, service: Sequence[Path], edge_s: float, cloud_s: float, seed: int) -> dict[str, str]:
    return {
        "trace": str(recorded),
        "service": ", ".join(map(str, service)),
        "a frame takes the edge": f"{edge_s * 1000:.1f} ms",
        "a request takes the cloud": f"{cloud_s * 1000:.1f} ms",
        "seed": str(seed),
        "sedna-py": __version__,
    }
