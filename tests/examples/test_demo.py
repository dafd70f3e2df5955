"""The demo from end to end, and its report's figures computed once more from the decision logs by code of this test's own."""

from __future__ import annotations

import html
import importlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

pytestmark = pytest.mark.processes

FOLDER = Path(__file__).parents[2] / "examples" / "face_detection"
FRAMES = 60
DISPLAYED = 0.5  # DISPLAY_THRESHOLD in service.yaml

with pytest.MonkeyPatch.context() as _path:  # the demo runs as a script, so its modules find each other by bare names
    _path.syspath_prepend(str(FOLDER))
    assets = importlib.import_module("assets")

Record = dict[str, Any]


def shortened(clip: Path, target: Path) -> Path:
    """Write every sixth frame of the walk, so that few frames show the face both near and far."""
    capture = cv2.VideoCapture(str(clip))
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
    for index in itertools.count():
        read, picture = capture.read()
        if not read:
            break
        if index % 6 == 0:
            writer.write(picture)
    writer.release()
    capture.release()
    return target


def log_of(path: Path) -> dict[int, Record]:
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({record["frame"] for record in records}) == len(records)
    return {record["frame"]: record for record in records}


def overlap(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def agree(one: list[list[float]], other: list[list[float]]) -> bool:
    """Tell whether some pairing has an overlap of a half everywhere; all boxes are faces."""
    return len(one) == len(other) and any(
        all(overlap(box, partner) >= 0.5 for box, partner in zip(one, order, strict=True))
        for order in itertools.permutations(other)
    )


def agreeing(run: dict[int, Record], reference: dict[int, Record]) -> int:
    return sum(agree(run[number]["result"], reference[number]["result"]) for number in run)


def sent(run: dict[int, Record]) -> int:
    return sum(record["bytes_sent"] for record in run.values())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the demo once; return its folder."""
    folder = tmp_path_factory.mktemp("demo")
    real = assets.prepare(assets.default_cache(os.environ), print)
    shortened(real.walk, folder / "mine.mp4")
    (folder / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, str(FOLDER / "demo.py"), "--source", "mine.mp4", "--frames", str(FRAMES), "--out", "shown"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "report: shown/report.html"
    assert sorted(path.name for path in folder.iterdir()) == ["mine.mp4", "shown", "tmp"]
    return folder / "shown"


@pytest.fixture(scope="module")
def logs(page: Path) -> dict[str, dict[int, Record]]:
    files = {"edge only": "edge-only", "joint": "decisions", "cloud only": "cloud-only"}
    return {mode: log_of(page / f"{name}.jsonl") for mode, name in files.items()}


@pytest.fixture(scope="module")
def cell(page: Path) -> Callable[[str, str], str]:
    """Return cell(figure, run) -> what the report's table says there."""
    text = (page / "report.html").read_text(encoding="utf-8")
    found = re.findall(r'<td data-figure="([^"]+)" data-run="([^"]+)">(.*?)</td>', text)
    cells = {(figure, run): html.unescape(said).replace("\u00a0", " ") for figure, run, said in found}
    return lambda figure, run: cells[figure, run]


def test_every_run_answered_every_frame(page: Path, logs: dict[str, dict[int, Record]]) -> None:
    everything = {
        name: log_of(page / "full-speed" / f"{name}.jsonl") for name in ("edge-only", "decisions", "cloud-only")
    }
    for run in [*logs.values(), *everything.values()]:
        assert sorted(run) == list(range(1, FRAMES + 1))


def test_the_logs_tell_one_story(logs: dict[str, dict[int, Record]]) -> None:
    for record in (record for run in logs.values() for record in run.values()):
        shown = record["cloud"] if record["path"] == "cloud" else record["edge"]
        assert record["result"] == [box for box in shown if box[4] >= DISPLAYED]
        assert record["hard"] == (record["path"] != "edge")
        assert (record["cause"] is not None) == (record["path"] == "fallback")
        assert record["bytes_sent"] == 0 or record["hard"]
    assert {record["path"] for record in logs["edge only"].values()} == {"edge"}
    assert {record["path"] for record in logs["cloud only"].values()} == {"cloud"}
    assert {record["path"] for record in logs["joint"].values()} >= {"edge", "cloud"}


@pytest.mark.parametrize("mode", ["edge only", "joint"])
def test_agreement_is_what_the_logs_say(
    cell: Callable[[str, str], str], logs: dict[str, dict[int, Record]], mode: str
) -> None:
    count = agreeing(logs[mode], logs["cloud only"])
    assert cell("agreement", mode) == f"{count / FRAMES:.1%} ({count} of {FRAMES})".replace("%", " %")
    assert cell("agreement", "cloud only") == "reference"


@pytest.mark.parametrize("mode", ["edge only", "joint", "cloud only"])
def test_bytes_and_counts_are_what_the_logs_say(
    cell: Callable[[str, str], str], logs: dict[str, dict[int, Record]], mode: str
) -> None:
    run = logs[mode]
    size = sent(run)
    kilobytes, unit = cell("bytes_sent", mode).split(" kB")[0].replace(" ", ""), cell("bytes_sent", mode)[-2:]
    assert unit == "kB"
    assert float(kilobytes) == pytest.approx(size / 1000, abs=0.06 if size < 100_000 else 0.51)
    hard = sum(record["hard"] for record in run.values())
    assert int(cell("hard", mode).split(" ")[0]) == hard
    assert int(cell("cloud_answered", mode)) == sum(record["path"] == "cloud" for record in run.values())
    assert int(cell("frames", mode)) == FRAMES


def test_the_headline_is_what_the_logs_say(page: Path, logs: dict[str, dict[int, Record]]) -> None:
    text = html.unescape((page / "report.html").read_text(encoding="utf-8")).replace("\u00a0", " ")
    told = re.search(r"agreed with cloud-only on ([\d.]+) % of frames while sending ([\d.]+) % of the bytes\.", text)
    assert told is not None
    joint, reference = logs["joint"], logs["cloud only"]
    assert float(told[1]) == pytest.approx(100 * agreeing(joint, reference) / FRAMES, abs=0.51)
    assert float(told[2]) == pytest.approx(100 * sent(joint) / sent(reference), abs=0.51)


def test_the_demo_shows_what_it_promises(logs: dict[str, dict[int, Record]]) -> None:
    joint, edge, cloud = logs["joint"], logs["edge only"], logs["cloud only"]
    assert agreeing(joint, cloud) > agreeing(edge, cloud)
    assert 0 < sent(joint) < sent(cloud) * 0.7
    assert sent(edge) == 0
    assert all(record["bytes_sent"] > 1000 for record in cloud.values())


def test_an_unwritable_cache_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, str(FOLDER / "demo.py")],
        cwd=tmp_path,
        env={**os.environ, "SEDNA_CACHE": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "set SEDNA_CACHE to a directory you can write" in done.stderr
