"""How the figures are printed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tests.bench.autoscaling.figures import Rise, Run, ratio, seconds
from tests.bench.autoscaling.services import (
    CLOUD_RATE,
    CPU_PERCENT,
    DEMAND_TARGET,
    EDGE_COMPUTE_S,
    EDGE_WAIT_S,
    IDLE_RATE,
    LOAD_RATE,
)

WANTED_S = 10


def report_runs(cpu: Sequence[Run], demand: Sequence[Run], load_s: float, edge_cpu: str) -> None:
    """Print both side by side, a line a round."""
    print(
        f"\n  edge worker, {IDLE_RATE:g} -> {LOAD_RATE:g} frames/s for {load_s:g} s; a frame takes"
        f" {EDGE_COMPUTE_S * 1000:g} ms of a processor and {EDGE_WAIT_S * 1000:g} ms of waiting; cpu request {edge_cpu}"
    )
    print(f"    hpa on cpu ({CPU_PERCENT} %) | on demand ({DEMAND_TARGET:g}) | demand over cpu")
    for number, (left, right) in enumerate(zip(cpu, demand, strict=True), start=1):
        print(
            f"    round {number}: zero drops after {seconds(left.zero_drops_s)} | {seconds(right.zero_drops_s)} |"
            f" {ratio(right.zero_drops_s, left.zero_drops_s)};"
            f" lost {left.lost} of {left.frames} | {right.lost} of {right.frames} | {ratio(right.lost, left.lost)};"
            f" first pod asked for after {seconds(left.scaled_s)} | {seconds(right.scaled_s)}"
        )
        print(
            f"      pods: {_replicas(left)} | {_replicas(right)}; one busy pod used {left.usage_of_one} % of its request"
        )


def report_rises(rise: Sequence[Rise], step: Sequence[Rise], rise_s: float, early_share: float) -> None:
    """Print when each of the two asked for a pod."""
    print(
        f"\n  cloud worker of {CLOUD_RATE:g} requests/s, streams 1; early warning {early_share:g} beside it, or not;"
        " the first pod asked for, seconds after the hard frames begin to rise"
    )
    for what, found, wanted in (
        (f"in {rise_s:g} s", rise, f"  (wanted: >= {WANTED_S} s sooner)"),
        ("at once", step, ""),
    ):
        for number, one in enumerate(found, start=1):
            print(
                f"    {what}, round {number}: early {seconds(one.early_s)}, queue alone {seconds(one.queue_s)}:"
                f" {one.sooner_s:+.1f} s sooner{wanted}"
            )
        if found:
            print(f"    {what}, median: {median(one.sooner_s for one in found):+.1f} s sooner")


def _replicas(run: Run) -> str:
    return ", ".join(f"{count} ({at:.0f} s)" for at, count in run.replicas)
