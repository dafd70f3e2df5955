"""One real edge worker through every fault in turn: it keeps its pace, answers each frame once, and uses the cloud again."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from sedna_py.decision_log import DecisionRecord
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.load_test.processes import rss_bytes
from sedna_py.protocol.causes import OffloadCause as Cause
from tests.faults.bad_links import FAULTS, FLAPPING, fault
from tests.workers.edge.fakes import log_of
from tests.workers.edge.programs import pictures, wait_log

pytestmark = pytest.mark.processes
PACE = 50  # frames/s, every one of them hard
DEADLINE_MS = 400  # shorter than by default, so that a fault shows sooner
FRAMES = 50  # that a fault is looked at for
SEPARATE_S = 0.5  # of a fault until its causes have replaced those of the one before
MOST_MIB = 48  # of growth over all faults; the worker as a whole has about 200
# The fault, and what answers its frames: a None is the cloud itself. Others may be among them, these have to be.
SEEN: dict[str, set[Cause | None]] = {
    "refused": {Cause.CIRCUIT_OPEN},
    "black hole": {Cause.CIRCUIT_OPEN},
    "503 storm": {Cause.CIRCUIT_OPEN},
    "10 % of connections lost": {None},
    "100 ms round trip": {None},
    "500 ms round trip": {Cause.CIRCUIT_OPEN},  # a deadline of 400 ms cannot be kept
    "slow-loris replies": {Cause.CIRCUIT_OPEN},
    "wrong JSON": {Cause.CIRCUIT_OPEN},
    "huge replies": {Cause.CIRCUIT_OPEN},
    FLAPPING: {None},
}
# What the requests that meet it say, before the circuit opens and at each probe: one of these.
TOLD: dict[str, set[Cause]] = {
    "refused": {Cause.CONNECT_FAILED},
    "black hole": {Cause.DEADLINE_EXCEEDED},
    "503 storm": {Cause.OVERLOADED},
    "500 ms round trip": {Cause.DEADLINE_EXCEEDED},
    "slow-loris replies": {Cause.DEADLINE_EXCEEDED},
    "wrong JSON": {Cause.INVALID_REPLY},
    "huge replies": {Cause.INVALID_REPLY, Cause.DEADLINE_EXCEEDED},  # as many bytes may take as long
}


@dataclass
class Edge:
    """The worker, its log, and how to look at it."""

    program: object
    log: object

    def captured_since(self, begun: float, count: int) -> list[DecisionRecord]:
        """Wait for so many answers to frames captured from then on; return them in the order of the frames."""
        found: list[DecisionRecord] = []

        def enough(records: list[DecisionRecord]) -> bool:
            found[:] = sorted((r for r in records if r.captured >= begun), key=lambda r: r.frame)
            return len(found) >= count

        wait_log(self.program, self.log, enough, f"{count} answers")
        return found

    def wait_for_the_cloud(self, begun: float, count: int = 20) -> None:
        """Wait until the cloud has answered frames captured since."""
        wait_log(
            self.program,
            self.log,
            lambda records: sum(r.path is AnswerPath.CLOUD for r in records if r.captured >= begun) >= count,
            "the cloud to be used again",
        )


def test_every_fault_in_turn(started, programs, tmp_path, proxy, cloud, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    link = proxy.link(cloud.port)
    edge = Edge(
        programs.edge(
            video_url=pictures(tmp_path / "in", [20] * 20),
            SOURCE_REPEAT=0,
            SOURCE_PACE=PACE,
            BUFFER_POLICY="drop-oldest",
            HEM_NAME="CloudOnly",
            BIG_MODEL_IP="127.0.0.1",
            BIG_MODEL_PORT=link.port,
            OFFLOAD_DEADLINE_MS=DEADLINE_MS,
            DECISIONS_FILE=tmp_path / "d.jsonl",
        ),
        tmp_path / "d.jsonl",
    )
    edge.wait_for_the_cloud(0.0, 50)
    begun_rss = rss_bytes(edge.program.process.pid)
    seen: dict[str, list[DecisionRecord]] = {}
    for name in (*FAULTS, FLAPPING):
        begun = time.time()  # before the fault: the first frames that meet it open the circuit
        with held_up() as stalls, fault(name, link, cloud, period_s=0.5):
            there = time.time()
            edge.captured_since(there + SEPARATE_S, FRAMES)
            if name == FLAPPING:  # by chance the first probe meets a link that is up, or one of the next
                edge.wait_for_the_cloud(there + SEPARATE_S, 1)
            healed = time.time()
        edge.wait_for_the_cloud(healed)
        seen[name] = sorted((r for r in log_of(edge.log) if begun <= r.captured < healed), key=lambda r: r.captured)
        check_pace(name, seen[name], healed - begun - sum(stalls))
        causes = {r.cause for r in seen[name]}
        assert SEEN[name] <= causes, f"{name}: {causes}"
        assert name not in TOLD or TOLD[name] & causes, f"{name}: {causes}"
    grown = (rss_bytes(edge.program.process.pid) - begun_rss) / 1024**2
    assert grown < MOST_MIB, f"{grown:.0f} MiB more after all faults"
    assert edge.program.terminate() == 0, edge.program.log
    check_every_frame(log_of(edge.log))


@contextmanager
def held_up() -> Iterator[list[float]]:
    """Note the times in which the machine had none even for a thread that only sleeps: no worker is to blame for those."""
    found: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        before = time.monotonic()
        while not ended.wait(0.02):
            now = time.monotonic()
            if now - before > 0.1:
                found.append(now - before)
            before = now

    thread = threading.Thread(target=watch, name="held-up")
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def check_pace(name: str, records: list[DecisionRecord], seconds: float) -> None:
    """The frames came at their pace, and the little model answered each soon; bounds for a machine that does other things too."""
    assert len(records) > 0.7 * PACE * seconds, f"{name}: {len(records)} frames in {seconds:.1f} s"
    waits = sorted(r.latency_ms.wait + r.latency_ms.edge for r in records)
    assert waits[len(waits) // 2] < 100, f"{name}: {waits[len(waits) // 2]:.0f} ms until the little model's answer"
    totals = sorted(r.latency_ms.total for r in records)
    assert totals[len(totals) * 3 // 4] < DEADLINE_MS + 1000, f"{name}: {totals}"
    # What held up the frames inside has held up those that came as well, which the pace is about.
    gap_ms = 1000 * max(after.captured - before.captured for before, after in itertools.pairwise(records))
    assert totals[-1] < DEADLINE_MS + 1000 + gap_ms, f"{name}: a frame left after {totals[-1]:.0f} ms"


def check_every_frame(records: list[DecisionRecord]) -> None:
    """Each frame has one closing answer, with a cause where it is not the cloud's."""
    closing = [r.frame for r in records if r.emit.closes]
    assert len(closing) == len(set(closing))
    assert set(closing) == {r.frame for r in records}
    for record in records:
        assert record.edge, record
        assert (record.cause is None) == (record.path is AnswerPath.CLOUD), record
        assert record.result == (record.edge if record.cloud is None else record.cloud)
