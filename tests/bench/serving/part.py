"""`python -m tests.bench --only serving`: the cloud worker against its own limit and against its peers."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.cloud import take
from tests.bench.pairs import Pair
from tests.bench.serving import report
from tests.bench.serving.comparison import compare
from tests.bench.serving.hot_reload import hot_reload
from tests.bench.serving.limits import BenchModel, bench_model
from tests.bench.serving.middle_model import middle_model
from tests.bench.serving.one_core import measure_one_core, measure_two_pods, why_not
from tests.bench.serving.overload import overload
from tests.bench.serving.servers import picture_files
from tests.bench.serving.settings_table import measure_settings, report_settings
from workers.inference.image_codec import encode_jpeg

PICTURES: Final = 40
QUALITY: Final = 85
LIGHT: Final = 944.0  # inferences/s that a light model is nearest to
MIDDLE: Final = 104.0  # and one of ten milliseconds on two cores
PARTS: Final = ("light", "heavy", "overload", "one-core", "reload", "settings")
QUICK_S: Final = 3.0
PROBE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """`seconds` of one measurement; how long overload and reloads last; which `parts` are run."""

    rounds: int = 5
    seconds: float = 6.0
    overload_s: float = 10.0
    reload_s: float = 10.0
    parts: Sequence[str] = PARTS


def bench_serving(face: Pair, helmet: Pair | None, options: Options) -> dict[str, object]:
    """Measure the chosen parts, print their figures and return them."""
    with tempfile.TemporaryDirectory(prefix="sedna-bench-") as folder:
        return _bench(face, helmet, options, Path(folder))


def _bench(face: Pair, helmet: Pair | None, options: Options, folder: Path) -> dict[str, object]:
    jpegs = [encode_jpeg(picture, QUALITY) for picture in take(face, PICTURES)]
    pictures, first = picture_files(folder / "pictures", jpegs), jpegs[0]
    found: dict[str, Any] = {}
    light = _light([bench_model("short_range", face.little, folder), bench_model("full_range", face.big, folder)])
    parts = set(options.parts)
    if "light" in parts:
        print(f"\nserving a light model, {light.name}, {len(jpegs)} JPEGs of 640x480: ours and peers in turn")
        compared = compare(light, pictures, first, options.rounds, options.seconds)
        report.report_compared(compared)
        found["light"] = asdict(compared)
    if "heavy" in parts:
        found["heavy"] = _heavy(face, helmet, options, folder, pictures, first)
    if "overload" in parts:
        found["overload"] = {}
        for apart in (True, False):
            if apart and why_not() is not None:
                continue
            where = "one cpu for the worker, another for who asks" if apart else "both share all cpus"
            print(f"\nten times too much for {options.overload_s:g} s, {light.name}, {where}; one run")
            overloaded = overload(light, pictures, first, max(options.seconds, 3.0), options.overload_s, apart=apart)
            report.report_overload(overloaded)
            found["overload"]["apart" if apart else "shared"] = asdict(overloaded)
    if "one-core" in parts:
        print(f"\none core, {light.name}")
        if (reason := why_not()) is not None:
            print(f"  not measured: {reason}")
        else:
            cores = measure_one_core(light, pictures, first, options.rounds, options.seconds)
            report.report_one_core(cores)
            found["one_core"] = {name: asdict(figures) for name, figures in cores.items()}
            if "limited" in cores:  # there are cgroups
                found["two_pods"] = measure_two_pods(light, pictures, first, options.rounds, options.seconds)
                report.report_two_pods(found["two_pods"])
    if "reload" in parts:
        print(f"\na new version every other second for {options.reload_s:g} s, {light.name}; one run")
        reloaded = hot_reload(light, pictures, first, folder / "versions", options.reload_s)
        report.report_reload(reloaded)
        found["reload"] = asdict(reloaded)
    if "settings" in parts:
        batchable = middle_model(LIGHT, folder)  # which the face models are not
        print(f"\nwhat the settings do, {batchable.name}: {batchable.per_second(PROBE_S):.0f} inferences/s")
        settings = measure_settings(batchable, pictures, first, options.rounds, options.seconds)
        report_settings(settings)
        found["settings"] = {
            name: {number: asdict(loaded) for number, loaded in by_number.items()}
            for name, by_number in settings.items()
        }
    return found


def _light(models: Sequence[BenchModel]) -> BenchModel:
    """Return the model whose speed here is nearest to LIGHT, as a ratio."""
    speeds = {model.name: model.per_second(PROBE_S) for model in models}
    print("  " + ", ".join(f"{name} {speed:.0f} inferences/s" for name, speed in speeds.items()), flush=True)
    return min(models, key=lambda model: abs(math.log(speeds[model.name] / LIGHT)))


def _heavy(
    face: Pair, helmet: Pair | None, options: Options, folder: Path, pictures: Path, first: bytes
) -> dict[str, object]:
    """Measure models that take longer, ours alone: a real one of a few milliseconds, one of ten, a real one of some forty."""
    models = [bench_model("full_range", face.big, folder), middle_model(MIDDLE, folder)]
    if helmet is None:
        print("\nhelmet/little: not measured: its files are not here")
    else:
        models.append(bench_model("helmet-little", helmet.little, folder))
    found: dict[str, object] = {}
    for model in models:
        print(f"\nserving {model.name}: {model.per_second(PROBE_S):.0f} inferences/s", flush=True)
        compared = compare(model, pictures, first, options.rounds, options.seconds, connections=report.HEAVY, peers=())
        report.report_heavy(compared)
        found[model.name] = asdict(compared)
    return found
