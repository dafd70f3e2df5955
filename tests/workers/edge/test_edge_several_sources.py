"""Whole workers with several sources: what ends, what is logged and written, what is counted, and what is wrong at once."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from sedna_py.errors import SettingsError, SourceError
from sedna_py.metrics import names
from tests.workers.edge.fakes import PATIENCE_S, FakePredictor, FakeSource, Rig, log_of, picture, sure, until
from tests.workers.edge.programs import UPSTREAM, free_port, pictures
from workers.edge.frames import BufferPolicy, FrameBuffer, LaneRule
from workers.edge.parts import lane_rules, source_places, video_path
from workers.edge.reader import SourceReaders
from workers.edge.sources import PushSource, WatchedFolder, open_sources
from workers.edge.worker import EdgeWorker
from workers.settings import EdgeSettings

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "upstream.py").write_text(UPSTREAM)
    return {
        "MODEL_URL": "any",
        "ESTIMATOR": f"{tmp_path}/upstream.py:Estimator",
        "DECISIONS_FILE": str(tmp_path / "d.jsonl"),
    }


def make(environment, **more) -> EdgeWorker:
    return EdgeWorker(EdgeSettings.from_environment({**environment, **{k: str(v) for k, v in more.items()}}))


@contextmanager
def running(worker: EdgeWorker) -> Iterator[None]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def value(port: int, series: str) -> float:
    """Return one series of /metrics."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return float(next(line for line in text.splitlines() if line.startswith(series + " ")).rpartition(" ")[2])


def test_sources_that_end_each_with_its_own_numbers_pictures_and_video(environment, tmp_path):
    for folder, values in (("a/in", [10, 10, 10]), ("b/in", [200, 200])):
        pictures(tmp_path / folder, values)
    make(
        environment,
        video_url=f"{tmp_path}/a/in,{tmp_path}/b/in,yard={tmp_path}/a/in",
        all_examples_inference_output=tmp_path / "all",
        ANNOTATED_VIDEO=tmp_path / "out.avi",
        HEM_NAME="CloudOnly",
        hard_example_edge_inference_output=tmp_path / "hard",
    ).run()
    records = log_of(tmp_path / "d.jsonl")
    found = {source: sorted(r.frame for r in records if r.source == source) for source in ("in", "in-2", "yard")}
    assert found == {"in": [1, 2, 3], "in-2": [1, 2], "yard": [1, 2, 3]}
    for source, shown in (("in", 10), ("in-2", 200), ("yard", 10)):
        for folder in ("all", "hard"):
            written = sorted((tmp_path / folder / source).iterdir())
            assert [path.name for path in written] == [f"{number}.jpeg" for number in found[source]]
            assert {round(float(np.median(cv2.imread(str(path)))), -1) for path in written} == {shown}
        video = cv2.VideoCapture(str(tmp_path / f"out-{source}.avi"))
        assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == len(found[source])
        video.release()


def test_one_source_alone_is_written_as_ever(environment, tmp_path):
    folder = pictures(tmp_path / "in", [10, 20])
    all_ = tmp_path / "all"
    make(
        environment, video_url=f"door={folder}", all_examples_inference_output=all_, ANNOTATED_VIDEO=tmp_path / "o.avi"
    ).run()
    assert sorted(path.name for path in all_.iterdir()) == ["1.jpeg", "2.jpeg"]
    assert (tmp_path / "o.avi").exists()
    assert {record.source for record in log_of(tmp_path / "d.jsonl")} == {"door"}


def test_live_files_folders_and_pushed_pictures_in_one_worker(environment, tmp_path):
    """The file ends and the camera is never there; the others go on, and everything is counted by source."""
    port, log = free_port(), tmp_path / "d.jsonl"
    (tmp_path / "arriving").mkdir()
    worker = make(
        environment,
        video_url=json.dumps(
            [
                str(pictures(tmp_path / "in", [10] * 40)),
                f"cam=rtsp://me:s3cret@127.0.0.1:{free_port()}/x",
                f"watch:{tmp_path}/arriving",
                "push://door",
            ]
        ),
        EDGE_HTTP_PORT=port,
    )
    with running(worker):
        until(lambda: len(log_of(log)) == 40, "the file's frames")
        pictures(tmp_path / "arriving", [30])
        body = cv2.imencode(".png", picture(50))[1].tobytes()
        answer = httpx.post(
            f"http://127.0.0.1:{port}/frames", content=body, headers={"Content-Type": "image/png"}, trust_env=False
        )
        assert answer.json() == {"source": "door", "frame": 1}
        until(lambda: len(log_of(log)) == 42, "the others' frames")
        for source, fates in (("in", 40), ("cam", 0), ("arriving", 1), ("door", 1)):
            assert value(port, f'{names.EDGE_SOURCE_FRAMES}{{fate="processed",source="{source}"}}') == fates
        assert value(port, f'{names.EDGE_SOURCE_UP}{{source="cam"}}') == 0
        until(lambda: value(port, names.EDGE_SOURCE_OUTAGES) == 1, "the camera to be missed")
        assert httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
    assert Counter(record.source for record in log_of(log)) == {"in": 40, "arriving": 1, "door": 1}


def test_a_worker_whose_only_source_is_not_there_yet_waits_and_says_so(environment, caplog):
    port = free_port()
    address = f"rtsp://me:s3cret@127.0.0.1:{free_port()}/x"
    with running(make(environment, video_url=address, EDGE_HTTP_PORT=port)):
        until(lambda: "trying again until it does" in caplog.text, "the first attempt")
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
    assert (answer.status_code, answer.json()["cause"]) == (503, "not_ready")
    assert "no source gives frames yet; trying again: rtsp://***@127.0.0.1" in answer.json()["detail"]
    assert "s3cret" not in caplog.text + answer.text


def test_a_source_that_fails_lets_the_others_end_and_is_the_workers_error(environment, tmp_path):
    broken = pictures(tmp_path / "broken", [10, 10])
    (broken / "00001.png").write_bytes(b"no picture")
    worker = make(environment, video_url=f"{broken},{pictures(tmp_path / 'whole', [20] * 9)}")
    with pytest.raises(SourceError, match=r"1 of 2 sources failed: .*00001\.png' is not a picture"):
        worker.run()
    assert Counter(record.source for record in log_of(tmp_path / "d.jsonl")) == {"broken": 1, "whole": 9}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"video_url": "rtsp://h/1,/no/such.mp4"}, SourceError, r"no video at '/no/such.mp4'.*a path with a comma"),
        ({"video_url": "watch:/no/such"}, SourceError, "no folder at '/no/such'"),
        ({"video_url": "push://"}, SettingsError, r"push:// \(push\) and EDGE_HTTP_PORT is not set; write the port"),
        (
            {"video_url": ",".join(["rtsp://h/1"] * 3), "BUFFER_FRAMES": "2"},
            SettingsError,
            "BUFFER_FRAMES is 2 with 3 sources; write 6, two for each",
        ),
    ],
)
def test_what_cannot_be_is_told_at_once(environment, settings, error, message):
    with pytest.raises(error, match=message):
        make({**environment, **settings})


def test_how_each_kind_of_source_waits(tmp_path):
    sources = open_sources(f"rtsp://h/1,push://,watch:{tmp_path},{pictures(tmp_path / 'in', [1])}")
    assert [type(source) for source in sources[1:3]] == [PushSource, WatchedFolder]

    def rules(**more: str) -> list[LaneRule]:
        settings = EdgeSettings.from_environment({"MODEL_URL": "m", "video_url": "x", **more})
        return list(lane_rules(settings, sources).values())

    live, kept = LaneRule(BufferPolicy.DROP_OLDEST, 1.0), LaneRule(BufferPolicy.WAIT)
    assert rules() == [live, live, kept, kept]
    assert rules(MAX_FRAME_AGE_MS="0")[0] == LaneRule(BufferPolicy.DROP_OLDEST)
    assert rules(BUFFER_POLICY="wait") == [kept] * 4
    assert rules(BUFFER_POLICY="drop-oldest")[3] == LaneRule(BufferPolicy.DROP_OLDEST)


def test_places_of_sources_in_paths():
    sources = [FakeSource() for _ in range(3)]
    for source, name in zip(sources, ("rtsp://h/1", "rtsp_h_1", "a.mp4"), strict=True):
        source.name = name
    assert source_places(sources) == {"rtsp://h/1": "rtsp_h_1", "rtsp_h_1": "rtsp_h_1-2", "a.mp4": "a.mp4"}
    assert source_places(sources[:1]) == {"rtsp://h/1": ""}
    assert video_path("/v/out.mp4", "a") == Path("/v/out-a.mp4")
    assert video_path("/v/out.mp4", "") == Path("/v/out.mp4")


class Camera(FakeSource):
    """Gives a picture every few milliseconds until it is closed."""

    def __init__(self, name: str, period_s: float) -> None:
        super().__init__(0, live=True)
        self.name = name
        self._period_s = period_s

    def __iter__(self) -> Iterator[np.ndarray]:
        while not self.closed.wait(self._period_s):
            yield picture(1)


def test_after_a_stall_old_frames_go_and_fresh_ones_are_processed():
    """The model stands still for longer than a frame may wait; what waited then is not looked at any more."""
    stalls = threading.Event()

    def answer(shown: np.ndarray) -> list:
        if not stalls.is_set():
            stalls.set()
            time.sleep(0.6)  # the stall itself
        return sure(shown)

    rig = Rig(source=Camera("fake", 0.02), predictor=FakePredictor(answer))
    rule = LaneRule(BufferPolicy.DROP_OLDEST, max_age_s=0.3)
    rig.buffer = FrameBuffer(64, BufferPolicy.DROP_OLDEST, 50, {"fake": rule})
    rig.reader = SourceReaders([rig.source], rig.buffer)
    rig.pipeline._reader, rig.pipeline._buffer = rig.reader, rig.buffer
    rig.start()
    until(lambda: len(rig.records) >= 10, "frames after the stall")
    rig.pipeline.stop()
    records = rig.join()
    assert rig.buffer.too_old >= 5
    # Were they not too old, it would be several; a busy machine may hold up one between the look at its age and the model.
    assert sum(record.latency_ms.wait > 500 for record in records) <= 1
    counts = rig.buffer.counts()["fake"]
    assert counts.taken_in == counts.got + counts.buffer_full + counts.too_old + counts.discarded
    assert len(records) == counts.got
