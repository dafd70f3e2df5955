"""`make bench`'s part about the way to the cloud: which of its figures there are, and how they are printed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.bench.edge import median
from tests.bench.offload.balance import EQUAL, ONE_SLOW, SAME_SUM, balance
from tests.bench.offload.edge_run import EdgeRun
from tests.bench.offload.outages import ALL, UnderFault, measure_outages
from tests.bench.offload.throughput import (
    AgainstUpstream,
    Costs,
    Saturation,
    measure_costs,
    measure_depth,
    measure_saturation,
    measure_upstream,
)
from tests.bench.pairs import Pair
from tests.bench.serving.figures import over, spread

PARTS: Final = ("costs", "saturation", "upstream", "depth", "balance", "outages")
MIB: Final = 1024**2
BALANCE_DEPTHS: Final = (8, 16)  # the first is the default of OFFLOAD_IN_FLIGHT


@dataclass(frozen=True, slots=True)
class Options:
    """How often and how long; `parts` are some of PARTS, `faults` of those of the part outages."""

    rounds: int = 5
    seconds: float = 8.0
    parts: Sequence[str] = PARTS
    faults: Sequence[str] = ALL


def bench_offload(pairs: Sequence[Pair], options: Options) -> dict[str, object]:
    """Measure the chosen parts, print their figures and return them; what needs one pair only uses the first."""
    found: dict[str, object] = {}
    first, rounds, seconds = pairs[0], options.rounds, options.seconds
    if "costs" in options.parts:
        print(
            "\nframes/s with 30 % hard and a cloud that answers after 50 ms over those with no offload  (wanted: 0.95)"
        )
        for pair in pairs:
            costs = measure_costs(pair, rounds, seconds)
            report_costs(pair, costs)
            found[f"costs {pair.name}"] = asdict(costs)
    if "saturation" in options.parts:
        print(
            "\nall frames hard, edge and cloud worker on a core each: offloaded rate over the worker's own saturated rate"
        )
        with tempfile.TemporaryDirectory(prefix="sedna-bench-") as folder:
            for pair in pairs:
                saturation = measure_saturation(pair, rounds, seconds, Path(folder))
                report_saturation(pair, saturation)
                found[f"saturation {pair.name}"] = asdict(saturation)
    if "upstream" in options.parts:
        print("\nframes/s over those of a written-down model of upstream's edge (upstream_client.py)")
        against = measure_upstream(first, rounds, seconds)
        report_upstream(against)
        found["upstream"] = asdict(against)
    if "depth" in options.parts:
        one, default = measure_depth(first, rounds, seconds)
        report_depth(one, default)
        found["depth"] = {"one": [asdict(run) for run in one], "default": [asdict(run) for run in default]}
    if "balance" in options.parts:
        found["balance"] = {str(at_once): bench_balance(at_once, rounds, seconds) for at_once in BALANCE_DEPTHS}
    if "outages" in options.parts:
        for pair in pairs:
            print(f"\nfaults, 30 % hard, {pair.name} pair: each over the healthy link measured just before")
            outages = measure_outages(pair, rounds, seconds, options.faults)
            report_outages(outages)
            found[f"outages {pair.name}"] = {name: asdict(figures) for name, figures in outages.items()}
    return found


def report_costs(pair: Pair, costs: Costs) -> None:
    """Print what offloading costs."""
    rates, without = [run.frames for run in costs.with_it], [run.frames for run in costs.without]
    print(
        f"  {pair.name}: {spread(over(rates, without))}   {median(rates):.0f} of {median(without):.0f} frames/s,",
        end=" ",
    )
    print(f"{median([run.offloaded for run in costs.with_it]):.0f} of them answered by the cloud")
    share = median([run.others_share for run in costs.with_it])
    alone = spread(over([run.frames_alone for run in costs.with_it], without))
    print(f"    the process that plays the cloud took {100 * share:.0f} % of this machine; without that: {alone}")


def report_saturation(pair: Pair, figures: Saturation) -> None:
    """Print how much of a cloud worker one edge uses."""
    print(f"  {pair.name}: {spread(over(figures.offloaded, figures.alone))}  (wanted: 0.90)", end="   ")
    print(
        f"{median(figures.offloaded):.1f} of {median(figures.alone):.1f}/s; the edge itself {median(figures.edge):.1f} frames/s"
    )
    print(
        f"    over its rate while an edge that asks nobody has the other core: {spread(over(figures.offloaded, figures.beside))}"
    )


def report_upstream(figures: AgainstUpstream) -> None:
    """Print the ratio for each case."""
    for name, ours in figures.ours.items():
        upstream = figures.upstream[name]
        print(f"  {name}: {spread(over(ours, upstream))}   {median(ours):.1f} over {median(upstream):.2f} frames/s")


def report_depth(one: Sequence[EdgeRun], default: Sequence[EdgeRun]) -> None:
    """Print what requests at once are good for."""
    rates = [run.offloaded for run in default], [run.offloaded for run in one]
    print(
        f"\n100 ms round trip, all frames hard: offloaded rate over that at depth 1: {spread(over(*rates))}  (wanted: 5)"
    )
    print(f"  {median(rates[0]):.1f} over {median(rates[1]):.1f} frames/s")


def bench_balance(at_once: int, rounds: int, seconds: float) -> dict[str, object]:
    """Measure the three kinds of pods in turn and print how they were used."""
    equal, slow, same = [], [], []
    for _ in range(rounds):
        equal.append(balance(EQUAL, at_once, seconds))
        slow.append(balance(ONE_SLOW, at_once, seconds))
        same.append(balance(SAME_SUM, at_once, seconds))
    print(f"\nthree pods, {at_once} requests at a time")
    print(f"  furthest from an equal share, three alike: {spread([run.uneven for run in equal])}  (wanted: < 0.10)")
    print(
        f"  furthest from its share of the capacity, one slow by 3x: {spread([run.uneven for run in slow])}  (wanted: < 0.15)"
    )
    ratio = spread(over([run.p95 for run in slow], [run.p95 for run in equal]))
    print(
        f"  p95 with one slow over p95 of three alike: {ratio}  (wanted: 1.3 or less; 9/7 = 1.29 is the mean's, by Little's law)"
    )
    ratio = spread(over([run.p95 for run in slow], [run.p95 for run in same]))
    print(f"    over p95 of three alike with the same capacity in sum: {ratio}")
    return {name: [asdict(run) for run in runs] for name, runs in (("equal", equal), ("slow", slow), ("same", same))}


def report_outages(outages: dict[str, UnderFault]) -> None:
    """Print rate, tail, memory and answers of each fault."""
    for name, runs in outages.items():
        rate = spread(over([run.frames for run in runs.fast], [run.frames for run in runs.healthy_fast]))
        paced = spread(over([run.frames for run in runs.paced], [run.frames for run in runs.healthy_paced]))
        tail = spread(over([run.edge_p99 for run in runs.paced], [run.edge_p99 for run in runs.healthy_paced]))
        every = [*runs.fast, *runs.paced]
        grown = max((run.rss_end - run.rss_begin) / MIB for run in every)
        healthy = max((run.rss_end - run.rss_begin) / MIB for run in (*runs.healthy_fast, *runs.healthy_paced))
        print(f"  {name}: frames/s {rate}, at a camera's pace {paced}  (wanted: 0.97)")
        alone = [run.frames_alone for run in runs.fast], [run.frames_alone for run in runs.healthy_fast]
        share, before = (median([run.others_share for run in some]) for some in (runs.fast, runs.healthy_fast))
        print(
            f"    proxy and played cloud took {100 * share:.0f} % of this machine ({100 * before:.0f} % before);",
            end=" ",
        )
        print(f"without that: {spread(over(*alone))}")
        print(f"    p99 of the edge's answer: {tail}  (wanted: 1.10)")
        causes = ", ".join(f"{cause} {count}" for cause, count in runs.paced[-1].causes.items()) or "none"
        print(
            f"    frames without exactly one answer and its cause: {sum(run.unanswered for run in every)};"
            f" memory {grown:+.1f} MiB in a run at most (healthy {healthy:+.1f}); causes: {causes}"
        )
