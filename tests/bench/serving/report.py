"""What the benchmark of the cloud worker prints."""

from __future__ import annotations

from statistics import median

from tests.bench.serving.comparison import Compared, Loaded, best_peer
from tests.bench.serving.figures import MB, over, row, spread
from tests.bench.serving.hot_reload import Reloaded
from tests.bench.serving.overload import FULL, Overloaded
from tests.bench.serving.servers import OURS

JUDGED = 32  # connections
HEAVY = (8, 32)  # connections for a model that takes its time


def report_compared(compared: Compared) -> None:
    """Print a light model's figures: against the limits, against the peers, memory."""
    ours, limits = compared.servers[OURS], compared.limits
    judged = ours[JUDGED]
    for what, limit in (("with boxes", limits.boxes), ("without", limits.no_boxes), ("benchmark_app", limits.bare)):
        print(
            f"    limit, {what}: {spread(limit, 0)} per second"
            + (f", {limits.threads} feeding" if "with" in what else "")
        )
    for number, figures in sorted(ours.items()):
        about = f"{median(figures.per_second):.0f} of {median(limits.boxes):.0f} per second"
        ratio = over(figures.per_second, limits.boxes)
        print(row(f"answers over no HTTP, {number} connections", ratio, least=0.95, about=about))
    each = over(judged.answers_per_cpu_s, limits.boxes_per_cpu_s)
    print(f"    the same per processor second, whatever else runs here: {spread(each)}")
    print(f"    over no HTTP without boxes: {spread(over(judged.per_second, limits.no_boxes))}")
    for name, loaded in compared.servers.items():
        for number, figures in sorted(loaded.items()):
            print(f"    {name}, {number} connections: {_loaded(figures)}")
    for name, reason in compared.absent.items():
        print(f"    {name}: not measured: {reason}")
    if len(compared.servers) > 1:
        best = best_peer(compared, JUDGED, "per_second")
        print(
            row(
                "answers over the best peer's",
                over(judged.per_second, best),
                least=1.15,
                about=f"best {median(best):.0f}",
            )
        )
        each = over(judged.answers_per_cpu_s, best_peer(compared, JUDGED, "answers_per_cpu_s"))
        print(f"    the same per processor second: {spread(each)}")
        best = best_peer(compared, JUDGED, "p99")
        ratio = over(judged.p99, best)
        print(
            row("p99 over the best peer's", ratio, most=0.9, about=f"{median(judged.p99):.1f} of {median(best):.1f} ms")
        )
    print(row("PSS, MB", [value / MB for value in ours[max(ours)].pss], most=180))


def report_heavy(compared: Compared) -> None:
    """Print the figures of a model that takes long, against benchmark_app."""
    limits = compared.limits
    for number, figures in sorted(compared.servers[OURS].items()):
        about = f"{median(figures.per_second):.1f} of {median(limits.bare):.1f} per second"
        what = f"answers over benchmark_app's inferences, {number} connections"
        print(row(what, over(figures.per_second, limits.bare), least=0.95, about=about))
        print(f"    over no HTTP: {spread(over(figures.per_second, limits.boxes))}")
        print(
            row(f"p99 over p50, {number} connections", over(figures.p99, figures.p50), most=1.5, about=_loaded(figures))
        )


def report_overload(found: Overloaded) -> None:
    """Print what ten times too much does."""
    print(
        f"    {found.most:.0f} answers/s at most over {FULL} connections, MAX_WAIT_MS {found.max_wait_ms};"
        f" before: {found.refused_before:.1%} refused; sent {found.offered:.0f}/s, answered {found.during_per_second:.0f}/s,"
        f" {found.failed} failed"
    )
    about = f"{found.during_p99:.1f} of {found.before_p99:.1f} ms"
    print(row("p99 of the accepted over that before", [found.during_p99 / found.before_p99], most=2, about=about))
    if found.refused_p50 is None or found.refused_p99 is None:
        print("  nothing was refused: that is no overload")
    else:
        print(row("refusals, median ms", [found.refused_p50], most=5, about=f"p99 {found.refused_p99:.1f} ms"))
    refused = "" if found.kept_refused_p50 is None else f", refusals' median {found.kept_refused_p50:.1f} ms"
    print(
        f"    with connections that were there before: p99 {found.kept_p99 / found.before_p99:.2f} times that before,"
        f" {found.kept_p99:.1f} ms{refused}"
    )
    print(
        f"    who asks: {found.own_cpu:.2f} of a cpu, {found.late_p99:.1f} ms late itself (p99; it is in these figures),"
        f" {found.not_sent} not sent for want of connections"
    )
    growth = found.rss_end / max(found.rss_begin, 1)
    print(
        f"    RSS at the end over the beginning: {growth:.3f}   {found.rss_end / MB:.0f} of {found.rss_begin / MB:.0f} MB"
    )
    if found.recovered_s is None:
        print("  back to normal: not within the time that was looked at  (wanted: <= 2 s; MISSED)")
    else:
        print(row("back to normal, seconds", [found.recovered_s], most=2))


def report_one_core(figures: dict[str, Loaded]) -> None:
    """Print what a core is worth alone and of two."""
    two = figures["two"]
    for name, words in (("one", "one cpu"), ("limited", "a limit of one cpu")):
        if name not in figures:
            continue
        ratio = over(figures[name].per_second, two.answers_per_cpu_s)
        about = f"{median(figures[name].per_second):.0f} per second, {_loaded(figures[name])}"
        print(row(f"answers/s on {words} over answers per processor second on two", ratio, least=0.95, about=about))
        each = over(figures[name].answers_per_cpu_s, two.answers_per_cpu_s)
        print(f"    by processor seconds on both: {spread(each)}")
        halves = [value / 2 for value in two.per_second]
        print(
            f"    over half the answers/s on two, which the client shares: {spread(over(figures[name].per_second, halves))}"
        )


def report_two_pods(found: dict[str, list[float]]) -> None:
    """Print what a second worker adds on the same two cpus, which who asks needs as well."""
    one, both = median(found["one"]), median(found["both"])
    ratio = over(found["both"], found["one"])
    print(
        f"    two workers under a limit of one cpu each, over one: {spread(ratio)}   {both:.0f} of {one:.0f} per second"
    )


def report_reload(found: Reloaded) -> None:
    """Print what new versions do."""
    print(
        f"    {found.offered} versions offered, {found.loaded} loaded; {found.answers} answers, p99 {found.p99:.1f} ms"
    )
    print(row("errors", [float(found.errors)], most=0, about=str(found.causes) if found.causes else ""))
    growth = found.rss_end / max(found.rss_begin, 1)
    about = f"{found.rss_end / MB:.0f} of {found.rss_begin / MB:.0f} MB"
    print(row("RSS at the end over the beginning", [growth], most=1.1, about=about))


def _loaded(figures: Loaded) -> str:
    """Return one line of a server's figures: medians over the rounds."""
    p50, p95, p99 = (median(values) for values in (figures.p50, figures.p95, figures.p99))
    bad = sum(figures.bad)
    return (
        f"{spread(figures.per_second, 0)} per second, p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms,"
        f" {median(figures.answers_per_cpu_s):.0f} per processor second, PSS {median(figures.pss) / MB:.0f} MB"
        + (f", {bad:.0f} BAD" if bad else "")
    )
