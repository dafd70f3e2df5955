"""`sedna bench`: the load generator on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sedna_py.load_test import report as load_report
from sedna_py.load_test.options import Arrivals, LoadOptions, Priority, Target, read_header
from sedna_py.load_test.pictures import load_pictures
from sedna_py.load_test.runner import run_to_end


def bench(
    url: Annotated[str, typer.Argument(help="Where the server listens, as http://host:port.", show_default=False)],
    image: Annotated[list[Path], typer.Option(help="A JPEG file, or a folder of them.", show_default=False)] = [],  # noqa: B006
    data: Annotated[str | None, typer.Option(help="A text instead, for text estimators.")] = None,
    target: Annotated[Target, typer.Option(help="Our own protocol, or the Open Inference Protocol v2.")] = Target.SEDNA,
    model: Annotated[str, typer.Option(help="The model's name in the server, for oip.", show_default=False)] = "",
    tensor: Annotated[str, typer.Option(help="Its input's name there; else image, or data.", show_default=False)] = "",
    connections: Annotated[int, typer.Option(help="Each sends when its last request is answered.")] = 8,
    rate: Annotated[float | None, typer.Option(help="Requests/s instead, whatever the answers.")] = None,
    arrivals: Annotated[Arrivals, typer.Option(help="When those of a rate are due.")] = Arrivals.POISSON,
    max_connections: Annotated[int, typer.Option(help="For a rate: beyond it requests are counted as not sent.")] = 256,
    seconds: Annotated[float, typer.Option(help="How long requests are counted.")] = 10,
    warm_up: Annotated[float, typer.Option(help="Seconds before, which are not counted.")] = 2,
    timeout: Annotated[float, typer.Option(help="Seconds for one request.")] = 30,
    header: Annotated[list[str], typer.Option(help="'Name: value', sent along.", show_default=False)] = [],  # noqa: B006
    deadline_ms: Annotated[int | None, typer.Option(help="The header X-Deadline-Ms.")] = None,
    priority: Annotated[Priority | None, typer.Option(help="Which go first, by the header Priority.")] = None,
    pid: Annotated[int | None, typer.Option(help="A server on this machine to account for.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Load a server with requests, and report answers per second, latencies and failures by cause.

    It ends with status 0 if any request was answered well, else with 1; stopped by Ctrl-C it reports so far, with status 130.

    Example: sedna bench http://127.0.0.1:5000 --image frames/ --rate 50 --pid 4711
    """
    options = LoadOptions(
        url, load_pictures(image), data, target, model=model, tensor=tensor, connections=connections, rate=rate,
        arrivals=arrivals, max_connections=max_connections, seconds=seconds, warmup_s=warm_up, timeout_s=timeout,
        deadline_ms=deadline_ms, headers=[read_header(text) for text in header], priority=priority, pid=pid,
    )  # fmt: skip
    report = run_to_end(options)
    typer.echo(json.dumps(load_report.as_json(report), indent=2) if as_json else load_report.render(report))
    if report.interrupted or not report.ok:
        raise typer.Exit(130 if report.interrupted else 1)
