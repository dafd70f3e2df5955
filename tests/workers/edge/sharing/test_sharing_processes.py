"""Real edge workers that share their sources: shares, deaths, and every frame accounted for."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from sedna_py.decision_log import DecisionRecord
from sedna_py.metrics import names
from tests.workers.edge.fakes import log_of, until
from tests.workers.edge.programs import START_S, Program, Programs, free_port, pictures
from tests.workers.edge.test_edge_process import get, samples

pytestmark = pytest.mark.processes
HELD = 8  # frames that one replica may hold here: in its buffer, on the way to it, in its model, before its sinks

SLOW = '''
"""One frame after the other, 15 ms each."""
import time


class Slow:
    def load(self, model_url=""):
        pass

    def predict(self, data, **kwargs):
        time.sleep(0.015)
        return []
'''


class Fleet:
    """Replicas of one worker, with what they wrote."""

    def __init__(self, programs: Programs, folder: Path, **settings: object) -> None:
        self._programs = programs
        self._folder = folder
        self._settings = {"SHARED_DIR": folder / "shared", "NAMESPACE": "shop", "SERVICE_NAME": "helmet", **settings}
        self.ports: dict[str, int] = {}

    def start(self, name: str) -> Program:
        self.ports[name] = free_port()
        return self._programs.edge(
            WORKER_NAME=name,
            DECISIONS_FILE=self._folder / "{worker}.jsonl",
            EDGE_HTTP_PORT=self.ports[name],
            **self._settings,
        )

    def records(self, name: str) -> list[DecisionRecord]:
        return log_of(self._folder / f"{name}.jsonl")

    def numbers(self, *replicas: str) -> list[int]:
        return [record.frame for name in replicas for record in self.records(name)]

    def metric(self, replica: str, name: str, *labels: str) -> float:
        return samples(get(self.ports[replica], "/metrics").text).get((name, labels), 0)

    def wait_more(self, program: Program, name: str, count: int) -> None:
        """Wait until this replica has answered so many more frames."""
        wanted = len(self.records(name)) + count
        until(
            lambda: program.running() and len(self.records(name)) >= wanted,
            f"frames of {name}:\n{program.log}",
            START_S,
        )


def test_replicas_share_a_camera_and_outlive_each_other(programs, tmp_path) -> None:
    """One folder played as a camera of 100 frames/s; a taker and then the capturer are killed."""
    source = pictures(tmp_path / "in", [100] * 50)
    fleet = Fleet(programs, tmp_path, video_url=source, SOURCE_REPEAT=0, SOURCE_PACE=100)
    first = fleet.start("first")
    fleet.wait_more(first, "first", 1)
    second, third = fleet.start("second"), fleet.start("third")
    for program, name in ((second, "second"), (third, "third")):
        fleet.wait_more(program, name, 1)
    names_there = ("first", "second", "third")

    def share_alike() -> bool:
        before = {name: len(fleet.records(name)) for name in names_there}
        fleet.wait_more(third, "third", 60)
        shares = [len(fleet.records(name)) - count for name, count in before.items()]
        return max(shares) <= 2 * min(shares)

    until(share_alike, "a third each", START_S)  # a window in which the machine held one of them up does not count
    assert fleet.metric("first", names.EDGE_SHARING_ROLE, "capturer") == 1
    assert fleet.metric("second", names.EDGE_SHARING_ROLE, "taker") == 1

    third.kill()
    fleet.wait_more(second, "second", 60)
    until(lambda: fleet.metric("first", names.EDGE_FRAMES_LOST, "with_replica") or third_lost_nothing(fleet), "a look")
    lost = fleet.metric("first", names.EDGE_FRAMES_LOST, "with_replica")

    first.kill()
    fleet.wait_more(second, "second", 60)
    until(lambda: fleet.metric("second", names.EDGE_SHARING_ROLE, "capturer") == 1, "the last one to capture")
    assert second.terminate() == 0, second.log
    numbers = fleet.numbers("first", "second", "third")
    assert max(Counter(numbers).values()) == 1
    missing = set(range(1, max(numbers) + 1)) - set(numbers)
    assert len(missing) <= lost + HELD
    assert len({record.run for name in names_there for record in fleet.records(name)}) == 1
    assert "nobody captures: this replica does from now on" in second.log


def test_a_second_replica_halves_the_work_of_the_first_within_five_seconds(programs, tmp_path) -> None:
    rate = 50
    source = pictures(tmp_path / "in", [100] * 50)
    fleet = Fleet(programs, tmp_path, video_url=source, SOURCE_REPEAT=0, SOURCE_PACE=rate)
    first = fleet.start("first")
    fleet.wait_more(first, "first", rate)
    second = fleet.start("second")
    fleet.wait_more(second, "second", 3 * rate)
    came = fleet.numbers("second")[0]
    # The source's frames of the third, fourth and fifth second since then; all are answered, or the test would wait for ever.
    late = range(came + 2 * rate, came + 5 * rate)
    until(lambda: set(late) <= set(fleet.numbers("first", "second")), "five seconds of frames")
    of_first = fleet.numbers("first")
    shares = [sum(number in late[begin : begin + 10] for number in of_first) for begin in range(0, len(late), 10)]
    assert median(shares) == pytest.approx(5, rel=0.2)  # the machine may hold one of them up for some of these


def third_lost_nothing(fleet: Fleet) -> bool:
    """Whether every frame that was read is answered, but the newest."""
    numbers = fleet.numbers("first", "second", "third")
    return not set(range(1, max(numbers) - HELD)) - set(numbers)


def test_eight_sources_at_half_capacity_get_equal_shares_and_every_frame_is_accounted_for(programs, tmp_path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    each = 200
    folders = [pictures(tmp_path / f"in-{index}", [index] * 20) for index in range(8)]
    fleet = Fleet(
        programs,
        tmp_path,
        ESTIMATOR=f"{tmp_path}/slow.py:Slow",
        INFERENCE_STREAMS=1,
        video_url=",".join(str(folder) for folder in folders),
        SOURCE_REPEAT=each // 20,
        SOURCE_PACE=33,
        BUFFER_POLICY="drop-oldest",
        BUFFER_FRAMES=16,
    )
    replicas = {name: fleet.start(name) for name in ("first", "second")}
    for program in replicas.values():
        assert program.wait() == 0, program.log
    records = [record for name in replicas for record in fleet.records(name)]
    keys = Counter((record.source, record.frame) for record in records)
    assert max(keys.values()) == 1
    # Not the beginning and the end, where a source may be alone.
    by_source = Counter(record.source for record in records if 20 < record.frame <= each - 20)
    mean = sum(by_source.values()) / 8
    assert len(by_source) == 8
    assert all(abs(count - mean) <= 0.05 * mean + 1 for count in by_source.values()), by_source
    assert max(record.frames_waiting for record in records) <= 16 + 1
    logs = "".join(program.log for program in replicas.values())
    told = [[int(number) for number in re.findall(r"\d+", line)] for line in re.findall(r"shared: (.*)", logs)]
    read, itself, others, queue, dropped, old, left, lost = (sum(column) for column in zip(*told, strict=True))
    assert read == 8 * each
    assert itself + others == len(records)
    assert read == len(records) + dropped
    assert (queue, old, left, lost) == (0, 0, 0, 0)
    assert dropped >= 0.2 * read  # it was too much for both
    assert min(itself, others) > 0
