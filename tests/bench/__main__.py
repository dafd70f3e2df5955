"""`make bench`: figures as ratios against a limit or a peer measured in the same run; single times mean little here."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from sedna_py.local.compare_service import core_count, cpu_name
from tests.bench.autoscaling.part import PARTS as SCALING_PARTS
from tests.bench.autoscaling.part import Options as ScalingOptions
from tests.bench.autoscaling.part import bench_autoscaling
from tests.bench.budget.part import Options as BudgetOptions
from tests.bench.budget.part import bench_budget
from tests.bench.cloud import CloudFigures, measure_cloud
from tests.bench.controller import ScaleFigures, measure_controller
from tests.bench.cpu_limit import measure_cpu_limit, why_not
from tests.bench.edge import EdgeFigures, measure_edge, median
from tests.bench.metrics_api import ReadingFigures, measure_reading
from tests.bench.offline import measure_offline, report_offline
from tests.bench.offload import part as offload
from tests.bench.outage import measure_outage
from tests.bench.pairs import NAMES as PAIR_NAMES
from tests.bench.pairs import Pair, face_pair, helmet_pair
from tests.bench.serving.figures import over, spread
from tests.bench.serving.part import PARTS, QUICK_S, Options, bench_serving
from tests.bench.wire import measure_bytes

PARTS_OF_ALL = (
    "workers",
    "controller",
    "cpu-limit",
    "offline",
    "serving",
    "offload",
    "budget",
    "metrics-api",
    "autoscaling",
)


def main() -> None:
    """Print the figures; `--json FILE` also writes them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each pair of figures is measured, in turn")
    parser.add_argument(
        "--only",
        choices=PARTS_OF_ALL,
        help="one part of it",
    )
    parser.add_argument(
        "--services", type=int, nargs="+", default=[100, 500], help="numbers of services for the controller"
    )
    serving = parser.add_argument_group("--only serving", "the cloud worker against its limit and against its peers")
    serving.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS, help="some of it")
    serving.add_argument("--quick", action="store_true", help=f"one round, {QUICK_S:g} s a measurement")
    serving.add_argument("--seconds", type=float, default=Options().seconds, help="of one measurement")
    serving.add_argument("--overload-seconds", type=float, default=Options().overload_s, help="of the overload")
    serving.add_argument("--reload-seconds", type=float, default=Options().reload_s, help="of the new versions")
    way = parser.add_argument_group("--only offload", "the edge's way to the cloud: its costs, its use, and its faults")
    way.add_argument("--offload-parts", choices=offload.PARTS, nargs="+", default=offload.PARTS, help="some of it")
    way.add_argument("--pairs", choices=PAIR_NAMES, nargs="+", default=PAIR_NAMES, help="some of the model pairs")
    way.add_argument("--faults", choices=offload.ALL, nargs="+", default=offload.ALL, help="some of the outages")
    budget = parser.add_argument_group("--only budget", "what a share of the frames buys; models' answers are kept")
    budget.add_argument("--clip-seconds", type=float, default=BudgetOptions().seconds, help="that a budget is played")
    budget.add_argument(
        "--shrunk", type=int, nargs="*", default=[], help="longest sides in pixels to encode at as well"
    )
    budget.add_argument("--picture", type=Path, help="SVG file for the curves")
    scaling = parser.add_argument_group("--only autoscaling", "real pods and autoscalers; as root")
    scaling.add_argument("--scaling-parts", choices=SCALING_PARTS, nargs="+", default=SCALING_PARTS, help="some of it")
    scaling.add_argument("--scaling-rounds", type=int, default=ScalingOptions().rounds, help="how often, in turn")
    scaling.add_argument("--load-seconds", type=float, default=ScalingOptions().load_s, help="of a load on the edge")
    scaling.add_argument("--edge-cpu", default=ScalingOptions().edge_cpu, help="that an edge pod under it requests")
    scaling.add_argument("--early-share", type=float, default=ScalingOptions().early_share, help="the early warning")
    parser.add_argument("--json", type=Path, help="file for the figures of every round")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, leave)
    if chosen.quick:
        chosen.rounds, chosen.seconds = 1, QUICK_S
    if chosen.only == "autoscaling":
        chosen.rounds = chosen.scaling_rounds
    print(f"{cpu_name()}, {core_count()} cores; medians of {chosen.rounds} rounds, in turn [lowest .. highest]")
    figures: dict[str, object] = {}
    if chosen.only in (None, "workers"):
        pairs = [pair for pair in (face_pair(), helmet_pair()) if pair is not None]
        figures |= {pair.name: bench(pair, chosen.rounds) for pair in pairs}
    if chosen.only in (None, "cpu-limit"):
        figures["cpu_limit"] = bench_cpu_limit(chosen.rounds)
    if chosen.only in (None, "controller"):
        scales = measure_controller(tuple(chosen.services))
        report_controller(scales)
        figures["controller"] = [asdict(scale) for scale in scales]
    if chosen.only in (None, "metrics-api"):
        reading = measure_reading()
        report_reading(reading)
        figures["metrics_api"] = asdict(reading)
    if chosen.only in (None, "offline"):
        offline = measure_offline(face_pair())
        report_offline(offline)
        figures["offline"] = asdict(offline)
    if chosen.only in (None, "budget"):
        budget_options = BudgetOptions(chosen.clip_seconds, chosen.shrunk, chosen.picture)
        figures["budget"] = bench_budget(face_pair(), helmet_pair(), budget_options)
    if chosen.only == "serving":
        options = Options(
            chosen.rounds, chosen.seconds, chosen.overload_seconds, chosen.reload_seconds, tuple(chosen.parts)
        )
        figures["serving"] = bench_serving(face_pair(), helmet_pair(), options)
    elif chosen.only == "offload":
        pairs = [pair for pair in (face_pair(), helmet_pair()) if pair is not None and pair.name in chosen.pairs]
        if not pairs:
            parser.error(f"--pairs {' '.join(chosen.pairs)}: not on this machine")
        way_options = offload.Options(chosen.rounds, chosen.seconds, tuple(chosen.offload_parts), tuple(chosen.faults))
        figures["offload"] = offload.bench_offload(pairs, way_options)
    elif chosen.only == "autoscaling":
        scaling_options = ScalingOptions(
            tuple(chosen.scaling_parts),
            chosen.scaling_rounds,
            chosen.load_seconds,
            edge_cpu=chosen.edge_cpu,
            early_share=chosen.early_share,
        )
        figures["autoscaling"] = bench_autoscaling(scaling_options)
    elif chosen.only is None:
        print("\nautoscalers with real pods: --only autoscaling (as root; 20 minutes)")
        print("\nthe way to the cloud and its faults: --only offload")
        print(
            "\nthe cloud worker against FastAPI, KServe, MLServer and LitServe: --only serving (installs 2.4 GB once)"
        )
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def leave(*_: object) -> None:
    """End in good order, so that no worker and no cgroup stays behind; `timeout` sends the signal twice."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def bench(pair: Pair, rounds: int) -> dict[str, object]:
    """Measure one pair and print its figures."""
    print(f"\n{pair.name}: {pair.clip.name}")
    edge = measure_edge(pair, rounds)
    report_edge(edge)
    jpeg, listed, size = measure_bytes(pair)
    print(
        f"  hard frame on the wire, {size[0]}x{size[1]}: JPEG {jpeg / 1000:.1f} kB, JSON list {listed / 1e6:.2f} MB:"
        f" 1/{listed / jpeg:.0f}  (wanted: 1/150 or less)"
    )
    cloud = measure_cloud(pair, rounds, frames=60 if pair.name == "face" else 12)
    report_cloud(cloud)
    outage = measure_outage(pair, rounds) if pair.name == "face" else {}
    if outage:
        report_outage(outage)
    return {"edge": asdict(edge), "bytes": {"jpeg": jpeg, "json": listed}, "cloud": asdict(cloud), "outage": outage}


def bench_cpu_limit(rounds: int) -> dict[str, object]:
    """Measure what a container's cpu limit does to the cloud worker, and print the figures."""
    print("\ncpu limit 1: the face pair's cloud worker, 4 clients at full load, then even requests at half of that")
    if (reason := why_not()) is not None:
        print(f"  not measured: {reason}")
        return {}
    measured = measure_cpu_limit(face_pair(), rounds)
    pinned, limited, host_sized = (measured[name] for name in ("pinned", "limited", "host_sized"))
    ratio = spread(over(limited.per_second, pinned.per_second))
    print(
        f"  answers/s over those of the worker pinned to one cpu: {ratio}  (wanted: 0.90)"
        f"   {median(limited.per_second):.0f} of {median(pinned.per_second):.0f}"
    )
    print(f"    with as many threads as the node has cpus: {spread(over(host_sized.per_second, pinned.per_second))}")
    print(f"  p99 over p50 at half load: {spread(over(limited.p99_ms, limited.p50_ms))}  (wanted: 2 or less)")
    for name, figures in measured.items():
        print(
            f"    {name.replace('_', '-')}: p50 {median(figures.p50_ms):.1f} ms, p99 {spread(figures.p99_ms)} ms,"
            f" {median(figures.throttled):.0%} of the periods cut short"
        )
    return {name: asdict(figures) for name, figures in measured.items()}


def report_edge(edge: EdgeFigures) -> None:
    """Print the edge's share of the limit."""
    worker, limit, decoding = median(edge.worker), median(edge.limit), median(edge.decoding_limit)
    ratio = spread(over(edge.worker, edge.limit))
    print(
        f"  edge pipeline over limit (decode + AsyncInferQueue): {ratio}  (wanted: 0.85)   {worker:.0f} of {limit:.0f} frames/s"
    )
    ratio = spread(over(edge.worker, edge.decoding_limit))
    print(f"    over the limit with the model's outputs made into boxes: {ratio}   {decoding:.0f} frames/s")


def report_cloud(cloud: CloudFigures) -> None:
    """Print what a frame costs beside the bare model."""
    bare, http = median(cloud.bare), median(cloud.http)
    ratio = spread(over(cloud.http, cloud.bare))
    print(f"  cloud path over bare model, one frame at a time: {ratio}   {http:.1f} over {bare:.1f} ms")
    print(f"    decoding the JPEG alone: {spread(over(cloud.decode, cloud.bare))}   {median(cloud.decode):.1f} ms")
    print(f"    a JSON list to the same server: {spread(over(cloud.json, cloud.bare))}   {median(cloud.json):.1f} ms")


def report_outage(outage: dict[str, list[float]]) -> None:
    """Print what the loss of the cloud does to the edge."""
    for kind in ("refusing", "silent"):
        ratio = spread(over(outage[kind], outage["healthy"]))
        print(
            f"  edge frames/s with a {kind} cloud over those with a healthy one on this machine: {ratio}  (wanted: 0.97)"
        )


def report_controller(scales: list[ScaleFigures]) -> None:
    """Print what services cost the controller, and what more of them cost each."""
    print("\ncontroller: services with both autoscalers, none of whose pods may be made; one run of each")
    for scale in scales:
        writes = ", ".join(f"{number:.2f} {kind}" for kind, number in scale.writes_per_service.items())
        rate, times = scale.services / scale.seconds, scale.seconds / scale.bare_seconds
        print(
            f"  {scale.services} services: all children after {scale.seconds:.1f} s, {rate:.1f} services/s;"
            f" {times:.2f} times the {scale.bare_seconds:.1f} s of a client that only applies them"
        )
        print(f"    writes per service: {writes}")
        print(
            f"    controller: {scale.cpu_s_per_service * 1000:.0f} ms of processor time per service, {scale.rss_mib:.0f} MiB,"
            f" {scale.idle_cpu_percent:.2f} % of a core when idle  (wanted: < 2)"
        )
    if len(scales) > 1:
        first, last = scales[0], scales[-1]
        ratio = (last.seconds / last.services) / (first.seconds / first.services)
        spent = last.cpu_s_per_service / first.cpu_s_per_service
        print(
            f"  cost per service at {last.services} over that at {first.services}: {ratio:.2f} in time, {spent:.2f} in"
            " processor time  (wanted: < 1.3)"
        )


def report_reading(reading: ReadingFigures) -> None:
    """Print what it costs to read the counters of so many pods."""
    print(f"\nmetrics API: {reading.pods} played cloud workers, every one with a target for its autoscaler")
    print(
        f"  controller: {reading.cpu_percent:.1f} % of a core (wanted: < 5), {reading.growth_mib:.0f} MiB more than without"
        f" pods (wanted: < 100), {reading.reads_per_second:.0f} reads/s; {reading.idle_cpu_percent:.1f} % without pods"
    )
    print(
        f"    oldest value {reading.oldest_s:.1f} s (wanted: < 5), {reading.without_value} pods without one,"
        f" {reading.failed:.0f} reads failed"
    )


if __name__ == "__main__":
    main()
