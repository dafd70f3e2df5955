"""The offline queue in real workers: killed in the middle, with a cloud that comes back, and two answers a frame."""

from __future__ import annotations

import re
from itertools import pairwise

import httpx
import pytest

from sedna_py.decision_log import Emit, closing
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.errors import SettingsError
from sedna_py.metrics import names
from tests.e2e.decisions import DecisionReader
from tests.workers.edge.fakes import log_of, until
from tests.workers.edge.programs import free_port, pictures, wait_log, wait_ready
from workers.edge.worker import EdgeWorker
from workers.settings import EdgeSettings

VALUES = list(range(20, 120, 2))  # the detector's score is the picture's brightness: each frame has its own, under 0.5
STORED = re.compile(rf"^{names.EDGE_OFFLINE_STORED} (\S+)", re.MULTILINE)
WAITING = re.compile(rf"^{names.EDGE_OFFLINE_FRAMES} (\S+)", re.MULTILINE)


def value_of(record):
    return VALUES[(record.frame - 1) % len(VALUES)]


def amends(record):
    return record.emit is Emit.CORRECTION and record.path is AnswerPath.CLOUD


@pytest.mark.processes
def test_killed_in_the_middle_of_an_outage_and_drained_after_it(programs, tmp_path):
    """Every late answer is the cloud's to the very frame that it names, whichever process stored it, in the order of value."""
    port, health, log, queue = free_port(), free_port(), tmp_path / "d.jsonl", tmp_path / "queue"

    def start(**settings):
        return programs.edge(
            video_url=pictures(tmp_path / "in", VALUES),
            HEM_NAME="Threshold",
            BIG_MODEL_IP="127.0.0.1",
            BIG_MODEL_PORT=port,
            DECISIONS_FILE=log,
            EDGE_HTTP_PORT=health,
            OFFLINE_QUEUE_DIR=queue,
            OFFLOAD_FORMAT="png",  # nothing is lost, so that the cloud's brightness is the frame's
            EMIT="edge-first",
            SOURCE_REPEAT=0,
            OFFLOAD_IN_FLIGHT=2,  # a place is kept for new frames: stored ones go one by one, so none overtakes another
            **settings,
        )

    def metric(pattern):
        try:
            found = pattern.search(httpx.get(f"http://127.0.0.1:{health}/metrics", timeout=5, trust_env=False).text)
        except httpx.HTTPError:
            return -1
        return int(float(found[1])) if found else -1

    first = start(SOURCE_PACE=40)
    until(lambda: first.running() and metric(STORED) >= 24, "stored frames", 60)
    first.kill()
    files = list(queue.rglob("*.frame"))
    (files[0].parent / "x.part").write_bytes(b"one that the kill met half-way")
    second = start(SOURCE_PACE=5)
    until(lambda: second.running() and metric(STORED) >= 4, "frames of the second process", 60)
    assert f"has taken over {len(files)} frames" in second.log
    assert list(queue.rglob("*.part")) == []
    assert metric(WAITING) >= len(files) + 4
    before = log_of(log)
    assert {(r.emit, r.path) for r in closing(before)} <= {
        (Emit.FINAL, AnswerPath.FALLBACK),
        (Emit.CORRECTION, AnswerPath.FALLBACK),
    }
    cloud = programs.cloud(port)
    wait_ready(cloud, port)

    def drained(records):
        late = [r for r in records if r.emit is Emit.LATE and r.run == before[0].run]
        return len(late) >= len(files) and any(amends(r) for r in records)

    wait_log(second, log, drained, "the late answers of all that the first process kept")
    assert second.terminate() == 0, second.log
    assert cloud.terminate() == 0, cloud.log
    records = log_of(log)
    closed = {(r.run, r.frame): r for r in closing(records)}
    assert len(closed) == len(closing(records))
    late = [record for record in records if record.emit is Emit.LATE]
    assert len({(r.run, r.frame) for r in late}) == len(late)  # neither process's frames came twice
    assert len({r.run for r in late}) == 2
    for record in late:
        was = closed[record.run, record.frame]
        told = (was.path, was.captured, was.edge, was.score)
        assert told == (AnswerPath.FALLBACK, record.captured, record.edge, record.score)
        assert record.cloud[0][4] == pytest.approx(value_of(record) / 255, abs=1e-3)
    told = DecisionReader(tmp_path, log.name).decisions()  # as the tests on a cluster read it
    assert (told.answered_twice(), told.without_a_cause(), len(told.late)) == ([], [], len(late))
    ours = [record.score for record in late if record.run == before[0].run]
    assert len(ours) == len(files)
    assert sum(after < earlier for earlier, after in pairwise(ours)) <= len(ours) // 10  # one may be tried again
    # Frames that came when the cloud was back have a first answer, and a correction by it.
    firsts = {(r.run, r.frame): r for r in records if r.emit is Emit.FIRST}
    for record in filter(amends, records):
        first_answer = firsts[record.run, record.frame]
        assert (first_answer.captured, first_answer.edge) == (record.captured, record.edge)
        assert record.cloud[0][4] == pytest.approx(value_of(record) / 255, abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"OFFLINE_QUEUE_DIR": "queue"}, "OFFLINE_QUEUE_DIR is set without BIG_MODEL_IP"),
        ({"OFFLINE_QUEUE_DIR": "queue", "BIG_MODEL_IP": "127.0.0.1", "OFFLOAD_FORMAT": "npy"}, "write jpeg or png"),
        ({"OFFLINE_QUEUE_DIR": "/proc/no", "BIG_MODEL_IP": "127.0.0.1"}, "OFFLINE_QUEUE_DIR is '/proc/no'"),
        ({"EMIT": "both"}, "EMIT"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(settings, said, tmp_path):
    settings = {name: str(tmp_path / value) if value == "queue" else value for name, value in settings.items()}
    folder = str(pictures(tmp_path / "in", [1]))
    with pytest.raises(SettingsError, match=re.escape(said)):
        EdgeWorker(EdgeSettings.from_environment({"MODEL_URL": "x.xml", "video_url": folder, **settings}))
