"""A long outage at full rate: what the offline queue keeps, whether it keeps its bounds, and what comes of it afterwards.

    OFFLINE_MINUTES=10 python -m tests.bench --only offline

The edge plays the demo's clip as fast as it can while nobody listens at the cloud's address; half-way it is killed (SIGKILL) and
started again. Then a cloud worker starts there, and the edge, started once more at a slow camera's rate, drains the queue.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx

from sedna_py.decision_log import DecisionRecord, Emit, read_records
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.local.box_matching import same_boxes
from sedna_py.local.ports import free_port
from sedna_py.metrics import names
from tests.bench.cloud import serving
from tests.bench.pairs import ROOT, Pair
from workers.edge.sources import open_source
from workers.inference.image_codec import encode_jpeg

MINUTES = float(os.environ.get("OFFLINE_MINUTES", "1"))
QUEUE_BYTES = 32 * 1024 * 1024
CAMERA_FPS = 5  # little enough that live frames leave room on a machine that also runs the cloud worker
DRAIN_LIMIT_S = 600.0
LOOK_S = 0.2
CHECKED_ANSWERS = 200
QUALITY = 85
LOST = re.compile(names.EDGE_OFFLINE_LOST + r'\{cause="(\w+)"\} (\S+)')
WAITING = re.compile(rf"^{names.EDGE_OFFLINE_FRAMES} (\S+)", re.MULTILINE)

Frame = tuple[str, str, int]  # run, source, number


@dataclass
class OfflineFigures:
    """What came of it. `most_bytes` are blocks on the disk at any look; `fps` are frames/s of the three parts."""

    minutes: float
    bound: int
    most_bytes: int = 0
    fps: list[float] = field(default_factory=list)
    fallbacks: int = 0  # hard frames that the cloud could not answer before it was back
    kept: int = 0  # on disk when the cloud came back
    lost: dict[str, int] = field(default_factory=dict)
    late: int = 0
    twice: int = 0  # late answers that came again
    unmatched: int = (
        0  # late answers whose frame was not closed by a fallback with the same capture time and edge's answer
    )
    out_of_order: int = 0  # late answers that came before one of a lower score
    most_uncertain: float = 0.0  # of as many lowest scores as were kept: the share that was kept
    drained_s: float = 0.0
    left: int = 0
    checked: int = 0
    same_answer: int = 0  # of the checked: the cloud's late answer is what it says of that very frame
    edge_rss_mib: list[float] = field(default_factory=list)


class DiskWatch(threading.Thread):
    """Looks at what the queue takes on the disk, until `stop`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder, self._ended = folder, threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.most = max(self.most, taken(self._folder))

    def stop(self) -> int:
        self._ended.set()
        self.join()
        return self.most


def taken(folder: Path) -> int:
    """Return the bytes of the blocks that the files in a folder have.

    Of those that are there before and after the look: else one that gives way to another meanwhile would count beside it.
    """
    found = {}
    for path in folder.rglob("*.*"):
        with contextlib.suppress(FileNotFoundError):  # sent or given up meanwhile
            found[path] = path.stat().st_blocks * 512
    return sum(size for path, size in found.items() if path.exists())


def measure_offline(pair: Pair) -> OfflineFigures:
    """Run it; takes MINUTES and what draining takes."""
    figures = OfflineFigures(MINUTES, QUEUE_BYTES)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "queue").mkdir()
        watch = DiskWatch(folder / "queue")
        watch.start()
        for index in range(2):
            with edge(pair, folder, index, port) as worker:
                worker.wait(MINUTES * 30)
                worker.note(figures)
                (worker.process.kill if index == 0 else worker.process.terminate)()
                worker.process.wait(60)
        figures.kept = sum(1 for _ in (folder / "queue").rglob("*.frame"))
        with serving(pair, port), edge(pair, folder, 2, port, SOURCE_PACE=str(CAMERA_FPS)) as worker:
            begun = time.monotonic()
            while (left := worker.waiting()) != 0 and time.monotonic() - begun < DRAIN_LIMIT_S:
                worker.wait(LOOK_S)
            figures.drained_s = time.monotonic() - begun
            figures.left = left or 0
            worker.note(figures)
            worker.process.terminate()
            worker.process.wait(60)
        figures.most_bytes = watch.stop()
        judge(pair, [folder / f"decisions-{index}.jsonl" for index in range(3)], figures)
    return figures


class Worker:
    """An edge worker that runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self._port = port

    def wait(self, seconds: float) -> None:
        """Let it work. Raises RuntimeError if it ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            raise RuntimeError(f"the edge worker ended with status {self.process.returncode}")

    def waiting(self) -> int | None:
        """Return how many frames wait on the disk; None as long as it does not say."""
        found = WAITING.search(self._metrics())
        return int(float(found[1])) if found else None

    def note(self, figures: OfflineFigures) -> None:
        """Add what only this process knows: what was lost, and its memory."""
        for cause, count in LOST.findall(self._metrics()):
            figures.lost[cause] = figures.lost.get(cause, 0) + int(float(count))
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        figures.edge_rss_mib.append(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024)

    def _metrics(self) -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/metrics", trust_env=False, timeout=10).text
        except httpx.TransportError:
            return ""


@contextmanager
def edge(pair: Pair, folder: Path, index: int, port: int, **more: str) -> Iterator[Worker]:
    """Run an edge worker with the queue, whose cloud is at that port."""
    own = free_port()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **pair.little,
        "HEM_NAME": "Threshold",
        "HEM_PARAMETERS": '[{"key":"threshold","value":"0.8"}]',
        "BIG_MODEL_IP": "127.0.0.1",
        "BIG_MODEL_PORT": str(port),
        "video_url": str(pair.clip),
        "SOURCE_REPEAT": "0",
        "EDGE_HTTP_PORT": str(own),
        "DECISIONS_FILE": str(folder / f"decisions-{index}.jsonl"),
        "OFFLINE_QUEUE_DIR": str(folder / "queue"),
        "OFFLINE_QUEUE_BYTES": str(QUEUE_BYTES),
        "JPEG_QUALITY": str(QUALITY),
        **more,
    }
    command = [sys.executable, "-m", "workers.edge"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield Worker(process, own)
        finally:
            if process.poll() is None:
                process.kill()


def judge(pair: Pair, logs: list[Path], figures: OfflineFigures) -> None:
    """Read the logs, of which a long run has gigabytes, record by record."""
    closed: dict[Frame, tuple[float, float | None, int]] = {}  # captured, score, hash of the edge's answer
    late: list[DecisionRecord] = []
    for log in logs:
        first, last, count = float("inf"), 0.0, 0
        with log.open(encoding="utf-8") as lines:
            for record in read_records(lines):
                if record.emit is Emit.LATE:
                    late.append(record)
                    continue
                first, last, count = min(first, record.captured), max(last, record.emitted), count + 1
                if record.path is AnswerPath.FALLBACK:
                    closed[key(record)] = (record.captured, record.score, hash(str(record.edge)))
        figures.fps.append(count / (last - first))
    figures.late, figures.fallbacks = len(late), len(closed)
    figures.twice = len(late) - len({key(record) for record in late})
    figures.unmatched = sum(
        closed.get(key(record)) != (record.captured, record.score, hash(str(record.edge))) for record in late
    )
    scores = [record.score for record in late if record.score is not None]
    figures.out_of_order = sum(after < before for before, after in pairwise(scores))
    lowest = sorted(closed, key=lambda frame: (closed[frame][1] or 0.0, -closed[frame][0]))[: len(late)]
    figures.most_uncertain = len({key(record) for record in late} & set(lowest)) / max(len(late), 1)
    check_answers(pair, late, figures)


def check_answers(pair: Pair, late: list[DecisionRecord], figures: OfflineFigures) -> None:
    """Ask a cloud worker about the very frames, for some of the late answers: it may decode at less than their size."""
    source = open_source(str(pair.clip))
    pictures = list(source)
    source.close()
    port = free_port()
    with serving(pair, port), httpx.Client(trust_env=False, timeout=30) as cloud:
        for record in late[:: max(len(late) // CHECKED_ANSWERS, 1)]:
            shown = pictures[(record.frame - 1) % len(pictures)]
            reply = cloud.post(
                f"http://127.0.0.1:{port}/sedna/predict",
                content=encode_jpeg(shown, QUALITY),
                headers={"Content-Type": "image/jpeg"},
            )
            figures.checked += 1
            figures.same_answer += same_boxes(reply.raise_for_status().json()["result"], record.cloud or [])


def key(record: DecisionRecord) -> Frame:
    """Return what names a frame."""
    return (record.run, record.source, record.frame)


def report_offline(it: OfflineFigures) -> None:
    """Print the figures."""
    fps = " / ".join(f"{value:.0f}" for value in it.fps)
    print(
        f"\noffline queue: {it.minutes:g} min without a cloud at full rate, killed half-way; {fps} frames/s in its parts"
    )
    print(
        f"  most bytes on disk over the bound: {it.most_bytes / it.bound:.3f} of {it.bound / 1e6:.0f} MB  (wanted: 1 or less)"
    )
    lost = ", ".join(f"{cause} {count}" for cause, count in sorted(it.lost.items()) if count)
    print(f"  {it.fallbacks} hard frames without the cloud, {it.kept} waited when it was back; lost: {lost or 'none'}")
    print(
        f"  late answers: {it.late}, {it.left} left after {it.drained_s:.0f} s; of frames that were not closed so: {it.unmatched}"
        f"  (wanted: 0); twice: {it.twice}; not in the order of their scores: {it.out_of_order}"
    )
    print(f"  of the {it.late} lowest scores of all, these are: {it.most_uncertain:.3f}")
    print(f"  late answers that are what the cloud says of that very frame: {it.same_answer} of {it.checked}")
    print(f"  memory of the edge at the end of each part: {' / '.join(f'{mib:.0f}' for mib in it.edge_rss_mib)} MiB")
