"""A real edge worker and a cloud that is scaled to zero: the edge answers at once, and no hard frame is lost over its nights."""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter

import cv2
import httpx
import numpy as np
import pytest

from sedna_py.decision_log import Emit, closing
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import log_of, until
from tests.workers.edge.programs import free_port, wait_ready
from tests.workers.edge.sleepy_cloud import SleepyCloud

NIGHTS = 20
FRAMES = 5  # in the burst that ends a night
COLD_S = 0.4
NOTICED_S = 1.5  # a second until the next try, and a half


def picture(brightness: int) -> bytes:
    return cv2.imencode(".png", np.full((96, 128, 3), brightness, np.uint8))[1].tobytes()


@pytest.mark.processes
@pytest.mark.parametrize("emit", ["final", "edge-first"])
def test_twenty_nights_of_the_cloud_lose_no_frame_and_hold_up_none(programs, tmp_path, emit):
    health, log, queue = free_port(), tmp_path / "d.jsonl", tmp_path / "queue"
    nights = NIGHTS if emit == "final" else 3
    with SleepyCloud(COLD_S, held=True) as cloud:
        edge = programs.edge(
            video_url="push://",
            HEM_NAME="Threshold",
            BIG_MODEL_IP="127.0.0.1",
            BIG_MODEL_PORT=cloud.port,
            DECISIONS_FILE=log,
            EDGE_HTTP_PORT=health,
            OFFLINE_QUEUE_DIR=queue,
            EMIT=emit,
        )
        client = httpx.Client(base_url=f"http://127.0.0.1:{health}", trust_env=False, timeout=10)
        wait_ready(edge, health)
        pushed: dict[int, float] = {}
        noticed = []

        def answered_by_cloud() -> set[int]:
            return {r.frame for r in log_of(log) if r.cloud is not None}

        def closed_frames() -> set[int]:
            return {r.frame for r in closing(log_of(log))}

        for night in range(nights):
            for turn in range(FRAMES):
                sent_at = time.time()
                brightness = 20 + (night * FRAMES + turn) % 100  # hard, each one with a score of its own
                answer = client.post("/frames", content=picture(brightness), headers={"Content-Type": "image/png"})
                assert answer.status_code == 202, answer.text
                pushed[answer.json()["frame"]] = sent_at
            # Nobody wakes before each of them has been closed: by the edge, without the cloud.
            until(lambda: edge.running() and closed_frames() >= set(pushed), "all answers of the edge", 60)
            cloud.wake()
            until(lambda: edge.running() and answered_by_cloud() >= set(pushed), "all answers of the cloud", 60)
            first = min(r.emitted for r in log_of(log) if r.cloud is not None and r.frame > night * FRAMES)
            noticed.append(first - cloud.awake_since)
            cloud.sleep()

        def drained() -> bool:
            return waiting(client) == 0

        until(drained, "the last late answers to be off the disk", 30)
        page = client.get("/metrics").text
        client.close()
        assert edge.terminate() == 0, edge.log
    records = log_of(log)
    closed = closing(records)
    # Each frame is closed once, at once, by the edge: the cloud was asleep.
    assert sorted(r.frame for r in closed) == sorted(pushed) == list(range(1, nights * FRAMES + 1))
    held = [r for r in closed if r.path is AnswerPath.FALLBACK]
    causes = Counter(r.cause for r in held)
    # In a burst there is no place for a frame until the first one has come back with the news.
    assert causes.keys() <= {OffloadCause.CLOUD_ASLEEP, OffloadCause.QUEUE_FULL}
    assert causes[OffloadCause.CLOUD_ASLEEP] >= nights
    assert len(held) >= nights * (FRAMES - 1)
    first_answers = {r.frame: r.emitted for r in sorted(records, key=lambda r: r.emitted, reverse=True)}
    waits = [first_answers[frame] - sent_at for frame, sent_at in sorted(pushed.items())]
    # Of most nights, as of the next time below: a busy machine may hold up any of them, and a worker that waits waits in each.
    longest = [max(waits[night * FRAMES : (night + 1) * FRAMES]) for night in range(nights)]
    assert statistics.median(longest) < COLD_S, longest
    # Each of them has one answer of the cloud more, of its own frame.
    late = Counter((r.run, r.frame) for r in records if r.emit is Emit.LATE)
    assert late == Counter((r.run, r.frame) for r in held)
    assert len(cloud.frames) == len(set(cloud.frames)) == len(pushed)
    # It was woken once a night, asked about once a second until then, and used as soon as it was there.
    assert cloud.wakes == nights
    assert cloud.asked - len(cloud.frames) <= nights * FRAMES
    assert statistics.median(noticed) < NOTICED_S, noticed
    assert counter(page, names.EDGE_OFFLINE_STORED) == counter(page, names.EDGE_OFFLINE_SENT) == len(held)
    assert sum(map(float, re.findall(rf"^{names.EDGE_OFFLINE_LOST}{{.*}} (\S+)$", page, re.MULTILINE))) == 0
    failures = re.findall(rf'^{names.EDGE_OFFLOAD_FAILURES}{{cause="(\w+)"}} (\S+)$', page, re.MULTILINE)
    assert {cause: int(float(value)) for cause, value in failures if float(value)} == causes
    if emit == "edge-first":
        by_frame = [[r.emit for r in records if r.frame == frame] for frame in pushed]
        assert all(emits[-1] in {Emit.LATE, Emit.CORRECTION} for emits in by_frame)


def counter(page: str, name: str) -> int:
    found = re.search(rf"^{name} (\S+)$", page, re.MULTILINE)
    assert found is not None, name
    return int(float(found[1]))


def waiting(client: httpx.Client) -> int:
    return counter(client.get("/metrics").text, names.EDGE_OFFLINE_FRAMES)
