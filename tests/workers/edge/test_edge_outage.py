"""The cloud goes away and comes back, with real processes: every frame has an answer, and the cloud is used again soon."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

from sedna_py.decision_log import DecisionRecord
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import PATIENCE_S, log_of
from tests.workers.edge.programs import free_port, pictures, wait_log, wait_ready

pytestmark = pytest.mark.processes
DARK = 20
USED_AGAIN_S = 5.0  # an acceptance criterion: from the cloud's readiness until it answers a frame


class SilentServer:
    """Accepts every connection, reads what comes, and never answers."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._listener.close()
        for connection in self._connections:
            connection.close()

    @property
    def asked(self) -> int:
        return len(self._connections)

    def _accept(self) -> None:
        while True:
            try:
                self._connections.append(self._listener.accept()[0])
            except OSError:
                return


@contextmanager
def silent_server(port):
    server = SilentServer(port)
    try:
        yield server
    finally:
        server.close()


def start_edge(programs, tmp_path, port, **settings):
    """Start an edge whose every frame is hard, at 50 frames a second for ever."""
    return programs.edge(
        video_url=pictures(tmp_path / "in", [DARK] * 20),
        SOURCE_REPEAT=0,
        SOURCE_PACE=50,
        HEM_NAME="CloudOnly",
        BIG_MODEL_IP="127.0.0.1",
        BIG_MODEL_PORT=port,
        DECISIONS_FILE=tmp_path / "d.jsonl",
        **settings,
    )


def with_cause(records, *causes):
    return [record for record in records if record.cause in causes]


def answered_by_cloud(records, since=0.0):
    return [record for record in records if record.path is AnswerPath.CLOUD and record.emitted >= since]


def check_every_frame(records: list[DecisionRecord]) -> None:
    """Each frame once, none missing, each with the little model's answer and, where that stands, a cause."""
    frames = sorted(record.frame for record in records)
    assert frames == list(range(1, len(frames) + 1))
    assert all(record.edge for record in records)
    assert all((record.cause is None) == (record.path is AnswerPath.CLOUD) for record in records)
    assert all(record.result == (record.cloud if record.cloud is not None else record.edge) for record in records)


def test_a_cloud_that_is_killed_and_started_again(programs, tmp_path):
    port, log = free_port(), tmp_path / "d.jsonl"
    cloud = programs.cloud(port)
    wait_ready(cloud, port)
    edge = start_edge(programs, tmp_path, port)
    wait_log(edge, log, lambda records: len(answered_by_cloud(records)) >= 20, "answers of the first cloud")
    cloud.kill()
    broken = wait_log(
        edge, log, lambda records: len(with_cause(records, OffloadCause.CIRCUIT_OPEN)) >= 60, "the circuit to open"
    )
    assert with_cause(broken, OffloadCause.CONNECT_FAILED, OffloadCause.CONNECTION_LOST)
    ready = wait_ready(cloud := programs.cloud(port), port)
    wait_log(
        edge, log, lambda records: len(answered_by_cloud(records, since=ready)) >= 20, "answers of the second cloud"
    )
    assert edge.terminate() == 0, edge.log
    records = log_of(log)
    check_every_frame(records)
    first = min(record.emitted for record in answered_by_cloud(records, since=ready))
    assert first - ready < USED_AGAIN_S
    assert cloud.terminate() == 0, cloud.log


def test_a_cloud_that_accepts_and_never_answers_then_a_real_one(programs, tmp_path):
    port, log = free_port(), tmp_path / "d.jsonl"
    with silent_server(port) as silent:
        edge = start_edge(programs, tmp_path, port)
        silenced = wait_log(
            edge, log, lambda records: len(with_cause(records, OffloadCause.CIRCUIT_OPEN)) >= 60, "the circuit to open"
        )
        assert silent.asked > 0
    causes = {record.cause for record in silenced}
    assert {OffloadCause.DEADLINE_EXCEEDED, OffloadCause.QUEUE_FULL, OffloadCause.CIRCUIT_OPEN} <= causes
    assert not answered_by_cloud(silenced)
    # The frame loop kept the source's pace: frames that the cloud did not hold left at once.
    at_once = with_cause(silenced, OffloadCause.QUEUE_FULL, OffloadCause.CIRCUIT_OPEN)
    held = with_cause(silenced, OffloadCause.DEADLINE_EXCEEDED)
    assert min(record.latency_ms.total for record in held) > 1500
    assert sorted(record.latency_ms.total for record in at_once)[len(at_once) // 2] < 1000
    ready = wait_ready(programs.cloud(port), port)
    wait_log(edge, log, lambda records: len(answered_by_cloud(records, since=ready)) >= 20, "answers of the real cloud")
    assert edge.terminate() == 0, edge.log
    records = log_of(log)
    check_every_frame(records)
    first = min(record.emitted for record in answered_by_cloud(records, since=ready))
    assert first - ready < USED_AGAIN_S
