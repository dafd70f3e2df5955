"""`python -m tests.bench --only budget`: what a share of the frames buys, whether budgets and caps hold, and bytes a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from sedna_py.hard_example_mining import make_filter
from sedna_py.local.budget_curve import (
    LEARNT_S,
    BothWays,
    Curve,
    at_bytes,
    at_random,
    curve,
    joined,
    repeated,
    scores_of,
)
from sedna_py.local.budget_plot import curve_picture
from tests.bench.budget.answers import Jpeg
from tests.bench.budget.cases import Case, face_case, frames_of, helmet_case
from tests.bench.budget.limits import minute_shares, under_cap
from tests.bench.pairs import Pair
from tests.bench.wire import measure_encodings

HALF_S: Final = 180.0  # of each half of the clip whose difficulty changes
CHANGING: Final = 0.2
ALLOWED: Final = 0.02
CAP: Final = "500 kbit/s"
QUALITIES: Final = (60, 75, 85, 95)
SMALLEST: Final = 150  # times as small as upstream's list
AGREEING: Final = 0.98
OUT_OF_STEP_S: Final = 16.4  # of a round: a minute has three and two thirds of them
SOME: Final = (0.1, 0.2, 0.4)
NEAR: Final = 0.005  # two agreements closer than half a percent are called equal


@dataclass(frozen=True)
class Options:
    """`seconds` of clip time a budget is played; `shrunk` are longest sides in pixels to encode at as well; a picture's file."""

    seconds: float = 600.0
    shrunk: Sequence[int] = ()
    picture: Path | None = None


def bench_budget(face: Pair, helmet: Pair | None, options: Options) -> dict[str, object]:
    """Measure, print and return the figures."""
    cases = [face_case(face)] + ([helmet_case(helmet)] if helmet is not None else [])
    if helmet is None:
        print("\nhelmet pair: not measured: its files are not here")
    found: dict[str, Any] = {}
    panels = []
    for case in cases:
        print(f"\n{case.name}: share sent against agreement with cloud only", flush=True)
        frames = frames_of(case, case.scene)
        curves = [_curve(name, parameters, frames, options.seconds) for name, parameters in case.filters]
        slow = [replace(frame, at=frame.at * OUT_OF_STEP_S * case.scene.fps / len(frames)) for frame in frames]
        uneven = [_curve(name, parameters, slow, options.seconds) for name, parameters in case.filters]
        for one, other in zip(curves, uneven, strict=True):
            report_curve(one, frames)
            report_out_of_step(other, frames)
        print("  CrossEntropy: not measured: it judges class probabilities, and a detector gives boxes")
        panels.append((case.name, curves, [at_random(frames, 0.0), at_random(frames, 1.0)]))
        found[case.pair.name] = {
            "frames": len(frames),
            "edge_only": at_random(frames, 0.0).agreement,
            "curves": [asdict(one) for one in curves],
            "out_of_step": [asdict(one) for one in uneven],
            "changing": _changing(case),
            "cap": _cap(case, frames),
            "encodings": _encodings(case, options.shrunk),
        }
    if options.picture is not None:
        options.picture.write_text(curve_picture(panels), encoding="utf-8")
        print(f"\npicture: {options.picture}")
    return found


def report_curve(one: Curve, frames: Sequence[BothWays]) -> None:
    """Print the budgets beside a fixed threshold and beside chance, at the bytes that each budget sent."""
    print(f"  {one.name}")
    print(f"                                                      Random    from {LEARNT_S:g} s on")
    print("    budget   frames   bytes   agree      F1    fixed           agree    fixed")
    for point, later in zip(one.budgets, one.settled, strict=True):
        fixed, chance = at_bytes(one.thresholds, point.bytes), at_random(frames, point.bytes).agreement
        fixed_later = at_bytes(one.thresholds, later.bytes)
        missed = ["below the fixed threshold"] if later.agreement < fixed_later - NEAR else []
        missed += ["no better than Random"] if point.agreement <= chance else []
        print(
            f"    {point.setting:6.0%}  {point.sent:7.1%} {point.bytes:7.1%} {point.agreement:7.1%} {point.f1 or 0.0:7.3f}"
            f"  {fixed:7.1%} {chance:7.1%} {later.agreement:7.1%}  {fixed_later:7.1%}   {', '.join(missed)}".rstrip()
        )


def report_out_of_step(one: Curve, frames: Sequence[BothWays]) -> None:
    """Print the same where the clip is a little slower, so that its hard frames are at other seconds of each minute."""
    cells = [
        f"{point.setting:.0%}: {point.agreement:.1%}, {at_bytes(one.thresholds, point.bytes):.1%},"
        f" {at_random(frames, point.bytes).agreement:.1%}"
        for point in one.budgets
        if point.setting in SOME
    ]
    print(f"    in rounds of {OUT_OF_STEP_S:g} s (agree, fixed, Random): {'; '.join(cells)}")


def _curve(name: str, parameters: Any, frames: Sequence[BothWays], seconds: float) -> Curve:
    shown = ", ".join(f"{key} {value}" for key, value in parameters.items())
    scores = scores_of(make_filter(name, parameters), frames)
    return curve(f"{name} ({shown})" if shown else name, frames, scores, seconds)


def _changing(case: Case) -> dict[str, Any]:
    """Play an easy half and a hard one, minutes of each, and look at every window of 60 s."""
    easy, hard = frames_of(case, case.easy), frames_of(case, case.hard)
    clip = joined([repeated(easy, HALF_S), repeated(hard, HALF_S)])
    before, behind = (at_random(half, 0.0).agreement for half in (easy, hard))
    print(
        f"  difficulty changes: {case.easy.name} ({before:.0%} agree at the edge), then {case.hard.name} ({behind:.0%}),"
        f" {HALF_S:g} s of each; budget {CHANGING:.0%}"
    )
    found = {}
    for name, parameters in case.filters:
        held = minute_shares(clip, scores_of(make_filter(name, parameters), clip), CHANGING)
        met = held.lowest >= CHANGING - ALLOWED and held.highest <= CHANGING + ALLOWED
        print(
            f"    {name}: {held.lowest:.1%} to {held.highest:.1%} in {held.windows} windows of 60 s"
            f"  (wanted: {CHANGING:.0%} +- {ALLOWED:.0%}{'' if met else '; MISSED'})"
        )
        found[name] = asdict(held)
    return found


def _cap(case: Case, frames: Sequence[BothWays]) -> dict[str, Any]:
    """Send real JPEG sizes through the cap: all of them, and those that a budget of the same rate takes."""
    long, found = repeated(frames, 60.0), {}
    print(f"  cap {CAP}, JPEGs of {case.scene.name}")
    offers: list[tuple[str, list[float | None] | None]] = [("every frame", None)]
    offers += [(f"{name}, budget {CAP}", scores_of(make_filter(name, p), long)) for name, p in case.filters]
    for name, scores in offers:
        sent = under_cap(long, scores, CAP)
        limit = float(CAP.split()[0])
        print(
            f"    {name}: fullest second {sent.fullest_second:.1f} kbit, {sent.average:.0f} kbit/s on the average,"
            f" {sent.kept_here} of {sent.offered} stayed here"
            f"  (wanted: {limit:g} or less{'' if sent.fullest_second <= limit else '; MISSED'})"
        )
        found[name] = asdict(sent)
    return found


def _encodings(case: Case, shrunk: Sequence[int]) -> list[dict[str, Any]]:
    """Print bytes a frame and what the encoding costs in agreement of the big model with itself."""
    ways = [Jpeg(quality) for quality in QUALITIES] + [Jpeg(85, longest) for longest in shrunk]
    measured = measure_encodings(case.pair.big, case.scene, case.display, ways)
    print(f"  bytes a frame of {case.scene.name}, and the big model's answers against those to raw pixels")
    for one in measured:
        factor = one.listed / one.size
        way = f"JPEG {one.encoding.quality}" + (f", {one.encoding.longest} wide" if one.encoding.longest else "")
        wanted = ""
        if one.encoding == Jpeg(85):
            met = factor >= SMALLEST and one.agreeing >= AGREEING
            wanted = f"  (wanted: 1/{SMALLEST} or less, {AGREEING}{'' if met else '; MISSED'})"
        print(
            f"    {way}: {one.size / 1000:.1f} kB, 1/{factor:.0f} of upstream's {one.listed / 1e6:.2f} MB;"
            f" {one.agreeing:.1%} of {one.frames} frames agree, F1 {one.f1:.3f}{wanted}"
        )
    return [asdict(one) for one in measured]
