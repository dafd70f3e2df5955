"""Sinks on a disk that is really full, and after it has been freed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.workers.edge.fakes import FakeCloud, FakePredictor, FakeSource, Rig, log_of, make_result, sure, unsure, until
from workers.edge.offline_queue.backlog import Loss
from workers.edge.sinks.json_lines import JsonLinesSink
from workers.edge.sinks.upstream_folders import UpstreamFoldersSink

SIZE = 64 * 1024
NOISE = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)  # hardly compressible: tens of kilobytes


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(where)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    if not mounted:
        assert os.environ.get("CI") != "true", "CI must be able to mount a tmpfs: run it as root"
        pytest.skip("only root can mount a small file system")
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill the disk to the last byte but `leave`."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass
        if leave:
            file.truncate(file.tell() - leave)
    return ballast


def test_a_line_is_whole_or_absent_and_writing_goes_on_when_there_is_room(small_disk, monkeypatch):
    cut, write_some = [], os.write

    def spy(file, data):
        count = write_some(file, data)
        if count < len(data):
            cut.append(count)
        return count

    monkeypatch.setattr("workers.edge.sinks.json_lines.os.write", spy)
    path = small_disk / "decisions.jsonl"
    sink = JsonLinesSink(path)
    written, failed = [], []

    def write(numbers):
        for number in numbers:
            try:
                sink.write(make_result(number, edge=[[1, 2, 3, 4, 0.5, 0]] * 8))
                written.append(number)
            except OSError:
                failed.append(number)

    write(range(1, 4))
    ballast = fill(small_disk)
    write(range(4, 40))
    assert failed, "the disk was not full"
    assert cut, "no line was cut short, which is what this test is about"
    assert [record.frame for record in log_of(path)] == written
    assert path.read_bytes().endswith(b"\n")
    ballast.unlink()
    write(range(100, 103))
    assert written[-3:] == [100, 101, 102]
    assert [record.frame for record in log_of(path)] == written
    sink.close()


def test_no_half_picture_is_left_and_writing_goes_on_when_there_is_room(small_disk):
    sink = UpstreamFoldersSink(str(small_disk / "all"), None, None)
    ballast = fill(small_disk, leave=8192)
    with pytest.raises(OSError, match="No space left"):
        sink.write(make_result(1, shown=NOISE))
    assert list((small_disk / "all").iterdir()) == []
    ballast.unlink()
    sink.write(make_result(2, shown=NOISE))
    assert [path.name for path in (small_disk / "all").iterdir()] == ["2.jpeg"]


def test_the_pipeline_goes_on_through_a_full_disk(small_disk, caplog):
    """The log fills the disk; half-way somebody frees it. Every line there is, is a whole record."""
    caplog.set_level("INFO")
    ballast = fill(small_disk, leave=3 * os.sysconf("SC_PAGE_SIZE"))
    log = JsonLinesSink(small_disk / "decisions.jsonl")

    class Freed(FakeSource):
        def __iter__(self):
            for number, shown in enumerate(super().__iter__()):
                if number == 200:
                    ballast.unlink()
                yield shown

    rig = Rig(Freed(250), FakePredictor(sure), None, sinks=[log])
    assert len(rig.run()) == 250
    frames = [record.frame for record in log_of(small_disk / "decisions.jsonl")]
    assert frames == sorted(set(frames))
    assert frames[0] == 1
    assert frames[-1] == 250
    lost = rig.metric("sedna_edge_sink_errors_total", sink="decisions")
    assert lost > 0
    assert len(frames) + lost == 250
    # A shorter line may fit after a longer one did not: that ends a trouble, and another one is said again.
    said = re.findall("No space left on device|sink decisions can write again", caplog.text)
    assert said == ["No space left on device", "sink decisions can write again"] * (len(said) // 2)
    assert 1 <= len(said) // 2 < lost


def test_a_device_that_is_always_full():
    sink = JsonLinesSink(Path("/dev/full"))
    for number in (1, 2):
        with pytest.raises(OSError, match="No space left"):
            sink.write(make_result(number))
    sink.close()


def test_the_offline_queue_goes_on_through_a_full_disk(small_disk, caplog):
    """Hard frames come while there is no room; half-way somebody makes some. Nothing half is left, and all are counted."""
    caplog.set_level("INFO")
    ballast = fill(small_disk, leave=3 * os.sysconf("SC_PAGE_SIZE"))
    cloud = FakeCloud()
    cloud.refuses = True

    class Freed(FakeSource):
        def __iter__(self):
            for number, shown in enumerate(super().__iter__()):
                if number == 60:
                    ballast.unlink()
                yield shown
                until(lambda number=number: told() > number, "the frame to be stored or lost")

    def told():
        figures = rig.queue.figures()
        return figures.stored + sum(figures.lost.values())

    rig = Rig(Freed(70), FakePredictor(unsure), cloud, offline=small_disk / "queue", encode=lambda _: bytes(3000))
    assert len(rig.run()) == 70
    figures = rig.queue.figures()
    assert figures.lost[Loss.DISK_FULL] > 0
    assert figures.stored >= 10
    assert figures.stored + figures.lost[Loss.DISK_FULL] == 70
    left = [path.suffix for path in (small_disk / "queue").rglob("*.*")]
    assert left == [".frame"] * figures.stored
    assert caplog.text.count("the offline queue cannot write") == 1
    assert caplog.text.count("the offline queue can write again") == 1
