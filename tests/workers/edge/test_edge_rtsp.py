"""An RTSP camera that dies and comes back: GStreamer's server, and a whole worker.

SEDNA_RTSP_CUT_SECONDS says how long it is away.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sedna_py.decision_log import DecisionRecord
from tests.cluster.packages import SYSTEM_PYTHON, has_rtsp_server
from tests.workers.edge.fakes import log_of, until
from tests.workers.edge.programs import Program, free_port, wait_log, wait_ready

SERVER = Path(__file__).with_name("rtsp_server.py")
USER, PASSWORD = "viewer", "s3cret"
CUT_S = float(os.environ.get("SEDNA_RTSP_CUT_SECONDS", "8"))
BACK_S = 5.0  # what the issue allows


@pytest.fixture
def has_gstreamer(tier_unavailable):
    if not has_rtsp_server():
        tier_unavailable(
            "RTSP", "GStreamer's RTSP server is not installed: run `python -m tests.cluster packages` as root"
        )


@contextmanager
def camera(port: int) -> Iterator[None]:
    """Serve rtsp://.../cam until the end of the block; killed then, without a farewell."""
    server = subprocess.Popen([SYSTEM_PYTHON, SERVER, str(port), USER, PASSWORD], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "listening\n"
        yield
    finally:
        server.kill()
        server.wait(10)
        server.stdout.close()


def frames_since(worker: Program, log: Path, moment: float) -> list[DecisionRecord]:
    """Wait for three frames that were captured after `moment`, in seconds since the epoch; return the whole log."""
    return wait_log(worker, log, lambda records: sum(r.captured > moment for r in records) >= 3, "frames")


def back_after(records: list[DecisionRecord], moment: float) -> float:
    """Return how long after `moment` the first frame was captured."""
    return min(record.captured for record in records if record.captured > moment) - moment


def descriptors(worker: Program) -> int:
    return len(list(Path(f"/proc/{worker.process.pid}/fd").iterdir()))


def away(worker: Program, log: Path, seconds: float) -> None:
    """Let time pass without the camera, while the worker waits for it."""
    until(lambda: worker.running() and "/cam gives no frames; trying again" in worker.log, "the loss to be noticed")
    lost_at = time.time()
    time.sleep(seconds)  # the outage itself
    assert worker.running()
    assert max(record.captured for record in log_of(log)) <= lost_at


def test_a_camera_that_was_away_is_read_again_within_five_seconds(has_gstreamer, programs, tmp_path):
    port, http, log = free_port(), free_port(), tmp_path / "d.jsonl"
    worker = programs.edge(
        video_url=f"rtsp://{USER}:{PASSWORD}@127.0.0.1:{port}/cam", DECISIONS_FILE=log, EDGE_HTTP_PORT=http
    )
    # It starts before its camera does.
    until(lambda: worker.running() and "cannot be opened" in worker.log, "the first attempt", 60)
    early = httpx.get(f"http://127.0.0.1:{http}/readyz", trust_env=False)
    assert (early.status_code, "no source gives frames yet" in early.text) == (503, True)
    figures = {}
    with camera(port):
        up_at = time.time()
        figures["start"] = back_after(frames_since(worker, log, up_at), up_at)
        wait_ready(worker, http)
        before = descriptors(worker)
    away(worker, log, CUT_S)
    with camera(port):
        up_at = time.time()
        figures["killed"] = back_after(frames_since(worker, log, up_at), up_at)
        after = descriptors(worker)
        metrics = httpx.get(f"http://127.0.0.1:{http}/metrics", trust_env=False).text
        assert worker.terminate() == 0
    print(f"frames came again after, in seconds: {figures}, descriptors {before} -> {after}")
    assert max(figures.values()) <= BACK_S, figures
    assert after <= before + 1
    records = sorted(log_of(log), key=lambda record: record.captured)
    assert [record.frame for record in records] == sorted({record.frame for record in records})
    assert len({record.run for record in records}) == 1
    assert {record.source for record in records} == {f"rtsp://***@127.0.0.1:{port}/cam"}
    assert f'sedna_edge_source_up{{source="rtsp://***@127.0.0.1:{port}/cam"}} 1.0' in metrics
    assert PASSWORD not in worker.log + metrics + log.read_text()
