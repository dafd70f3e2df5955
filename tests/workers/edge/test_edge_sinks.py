"""What the sinks write: decision log, upstream's folders, the annotated video."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from sedna_py.errors import SettingsError
from sedna_py.hard_example_mining import Decision
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import log_of, make_result, picture
from workers.edge.decision import CloudAnswer
from workers.edge.sinks import video as video_module
from workers.edge.sinks.drawing import COLOURS, draw_boxes, is_drawable
from workers.edge.sinks.in_order import InOrder
from workers.edge.sinks.json_lines import JsonLinesSink
from workers.edge.sinks.upstream_folders import UpstreamFoldersSink
from workers.edge.sinks.video import MAX_HELD, VideoSink, check_video_path, frames_held

HARD = Decision(True, "hard", 0.1)
BLACK = np.zeros((80, 100, 3), np.uint8)
EDGE_BOX = [10, 20, 40, 50, 0.4, 0]
CLOUD_BOX = [60, 30, 90, 70, 0.9, 3]


# --- order


@pytest.mark.parametrize(
    ("limit", "pushed", "left", "flushed", "late"),
    [
        (3, [0, 1, 2], [0, 1, 2], [], 0),
        (3, [2, 1, 0], [0, 1, 2], [], 0),
        (3, [1, 0, 3, 2, 5, 4], [0, 1, 2, 3, 4, 5], [], 0),
        (3, [1, 2], [], [1, 2], 0),
        (3, [0, 2, 4], [0], [2, 4], 0),
        (2, [1, 2, 3], [1, 2, 3], [], 0),  # 0 is given up: more than two wait for it
        (2, [1, 2, 3, 0, 4], [1, 2, 3, 4], [], 1),  # ... and too late when it comes
        (2, [0, 2, 4, 6, 1, 3], [0, 2, 3, 4], [6], 1),
        (0, [3, 1, 4], [3, 4], [], 1),
    ],
)
def test_in_order(limit, pushed, left, flushed, late):
    order = InOrder(limit)
    assert [item for number in pushed for item in order.push(number, number)] == left
    assert order.flush() == flushed
    assert order.late == late
    assert order.flush() == []


def test_in_order_never_holds_more_than_its_limit():
    order, held, most = InOrder(5), 0, 0
    for number in np.random.default_rng(1).permutation(500).tolist():
        late = order.late
        held += 1 - len(order.push(number, number)) - (order.late - late)
        most = max(most, held)
    assert most == 5


# --- decision log


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path):
    path = tmp_path / "new" / "folder" / "decisions.jsonl"
    sink = JsonLinesSink(path)
    for number in (1, 2):
        sink.write(make_result(number))
        assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == [1, 2][:number]
    sink.close()


def test_a_second_run_continues_the_file(tmp_path):
    path = tmp_path / "decisions.jsonl"
    for number in (1, 2):
        sink = JsonLinesSink(path)
        sink.write(make_result(number))
        sink.close()
    assert [record.frame for record in log_of(path)] == [1, 2]


@pytest.mark.parametrize("torn", [b'{"frame":2,"sou', b"{", b"x" * 200_000])
@pytest.mark.parametrize("whole", [b"", make_result(1).record.to_line().encode() * 3])
def test_a_line_that_a_kill_cut_short_is_taken_back(tmp_path, whole, torn):
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(whole + torn)
    sink = JsonLinesSink(path)
    assert path.read_bytes() == whole
    sink.write(make_result(2))
    sink.close()
    assert [record.frame for record in log_of(path)] == [*[1] * bool(whole) * 3, 2]


def test_two_workers_may_share_a_log(tmp_path):
    path = tmp_path / "decisions.jsonl"
    sinks = [JsonLinesSink(path) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        for sink in sinks:
            threads.submit(lambda sink=sink: [sink.write(make_result(number)) for number in range(1, 301)])
    for sink in sinks:
        sink.close()
    assert sorted(record.frame for record in log_of(path)) == sorted([*range(1, 301)] * 3)


def test_a_line_that_another_worker_is_writing_is_never_cut(tmp_path):
    path = tmp_path / "decisions.jsonl"
    sink, line = JsonLinesSink(path), make_result(1).record.to_line()
    with path.open("a") as other, ThreadPoolExecutor(1) as threads:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(line[:20])
        other.flush()
        writing = threads.submit(sink.write, make_result(2))
        starting = threads.submit(JsonLinesSink, path)
        with pytest.raises(TimeoutError):
            writing.result(0.05)
        other.write(line[20:])
        other.flush()
        fcntl.flock(other, fcntl.LOCK_UN)
        writing.result(10)
        starting.result(10).close()
    sink.close()
    assert [record.frame for record in log_of(path)] == [1, 2]


def test_what_another_worker_left_torn_is_taken_back_by_whoever_writes_next(tmp_path):
    path = tmp_path / "decisions.jsonl"
    sink = JsonLinesSink(path)
    sink.write(make_result(1))
    with path.open("a") as killed:
        killed.write('{"frame": 9, "sou')
    sink.write(make_result(2))
    sink.close()
    assert [record.frame for record in log_of(path)] == [1, 2]


def test_a_log_that_stays_held_is_an_error_and_no_hang(tmp_path, monkeypatch):
    monkeypatch.setattr("workers.edge.sinks.json_lines.LOCK_S", 0.02)
    path = tmp_path / "decisions.jsonl"
    sink = JsonLinesSink(path)
    with path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            sink.write(make_result(1))
    sink.write(make_result(2))
    sink.close()
    assert [record.frame for record in log_of(path)] == [2]


def test_a_file_system_without_locks_is_written_to_all_the_same(tmp_path, monkeypatch):
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("workers.edge.sinks.json_lines.fcntl.flock", none)
    sink = JsonLinesSink(tmp_path / "d.jsonl")
    sink.write(make_result(1))
    sink.close()
    assert [record.frame for record in log_of(tmp_path / "d.jsonl")] == [1]


def test_the_log_may_be_a_pipe():
    read, write = os.pipe()
    sink = JsonLinesSink(video_module.Path(f"/dev/fd/{write}"))
    sink.write(make_result(7))
    assert json.loads(os.read(read, 65536))["frame"] == 7
    sink.close()
    os.close(read)
    os.close(write)


# --- drawing


def colour_at(shown, x, y):
    return tuple(int(v) for v in shown[y, x])


def test_a_box_is_drawn_in_its_classs_colour_with_name_and_score():
    drawn = draw_boxes(BLACK, [EDGE_BOX, CLOUD_BOX])
    assert colour_at(drawn, 10, 35) == colour_at(drawn, 40, 35) == COLOURS[0]
    assert colour_at(drawn, 75, 30) == colour_at(drawn, 75, 70) == COLOURS[3]
    assert not BLACK.any(), "the frame itself must stay as it is"
    above_the_box = drawn[5:17, 10:60]
    assert above_the_box.any()
    named = draw_boxes(BLACK, [EDGE_BOX], ["a helmet on"])
    assert named[5:17].astype(int).sum() > 1.5 * draw_boxes(BLACK, [EDGE_BOX])[5:17].astype(int).sum()


@pytest.mark.parametrize("kind", [0, 1, 7, -1, 2.0, "helmet", None, math.nan, []], ids=lambda kind: repr(kind))
def test_any_kind_of_class_can_be_drawn(kind):
    assert draw_boxes(BLACK, [[10, 20, 40, 50, 0.4, kind]], ["one"]).any()


@pytest.mark.parametrize(
    "box", ["a text", 7, None, [], [1, 2, 3, 4], [1, 2, 3, math.nan, 0.5], [1, 2, "3", 4, 0.5], {"x": 1}]
)
def test_what_is_no_box_is_left_out(box):
    assert not is_drawable(box)
    assert not draw_boxes(BLACK, [box]).any()


@pytest.mark.parametrize(
    "box", [[-1e12, -1e12, 1e12, 1e12, 1.0, 0], [50, 50, 10, 10, 0.5, 0], [200, 200, 300, 300, 0.5, 0], [0, 0, 0, 0, 0]]
)
def test_boxes_outside_the_picture_or_inside_out_harm_nothing(box):
    assert draw_boxes(BLACK, [box]).shape == BLACK.shape


# --- upstream's folders


def folders(tmp_path, **options):
    return UpstreamFoldersSink(*(str(tmp_path / name) for name in ("all", "cloud", "edge")), **options)


def written(tmp_path):
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("progress", "names"),
    [
        ({"edge": [EDGE_BOX]}, ["all/11.jpeg"]),
        (
            {"decision": HARD, "edge": [EDGE_BOX], "answer": CloudAnswer([CLOUD_BOX], None)},
            ["all/11.jpeg", "cloud/11.jpeg", "edge/11.jpeg"],
        ),
        (
            {"decision": HARD, "edge": [EDGE_BOX], "answer": CloudAnswer([], None)},
            ["all/11.jpeg", "cloud/11.jpeg", "edge/11.jpeg"],
        ),
        (
            {"decision": HARD, "edge": [EDGE_BOX], "answer": CloudAnswer(None, OffloadCause.OVERLOADED)},
            ["all/11.jpeg", "edge/11.jpeg"],
        ),
        (
            {"decision": HARD, "answer": CloudAnswer([CLOUD_BOX], None)},
            ["all/11.jpeg", "cloud/11.jpeg", "edge/11.jpeg"],
        ),
    ],
)
def test_which_folder_gets_a_frame(tmp_path, progress, names):
    sink = folders(tmp_path)
    sink.write(make_result(11, shown=BLACK, **progress))
    sink.close()
    assert written(tmp_path) == names


def test_each_folder_shows_its_models_boxes(tmp_path):
    folders(tmp_path).write(
        make_result(1, shown=BLACK, decision=HARD, edge=[EDGE_BOX], answer=CloudAnswer([CLOUD_BOX], None))
    )

    def shows(name, box):
        shown = cv2.imread(str(tmp_path / name / "1.jpeg"))
        x, y = box[0], (box[1] + box[3]) // 2
        return int(shown[y, x].max()) > 100

    assert {name: (shows(name, EDGE_BOX), shows(name, CLOUD_BOX)) for name in ("all", "cloud", "edge")} == {
        "all": (False, True),
        "cloud": (False, True),
        "edge": (True, False),
    }


def test_the_threshold_holds_in_every_folder(tmp_path):
    sink = folders(tmp_path, threshold=0.95)
    sink.write(make_result(1, shown=BLACK, decision=HARD, edge=[EDGE_BOX], answer=CloudAnswer([CLOUD_BOX], None)))
    assert not cv2.imread(str(tmp_path / "cloud" / "1.jpeg")).any()
    assert not cv2.imread(str(tmp_path / "edge" / "1.jpeg")).any()


def test_a_folder_that_is_not_set_is_not_written(tmp_path):
    sink = UpstreamFoldersSink(str(tmp_path / "all"), None, None)
    sink.write(make_result(1, shown=BLACK, decision=HARD, edge=[EDGE_BOX], answer=CloudAnswer([CLOUD_BOX], None)))
    assert written(tmp_path) == ["all/1.jpeg"]


def test_what_cannot_be_written_leaves_no_part_behind(tmp_path, monkeypatch):
    sink = folders(tmp_path)
    (tmp_path / "all" / "2.jpeg").mkdir()  # a file cannot take the place of a folder
    with pytest.raises(OSError, match=r"2\.jpeg"):
        sink.write(make_result(2, shown=BLACK))
    assert written(tmp_path) == []
    with pytest.raises(OSError, match="cannot be encoded"):
        sink.write(make_result(3, shown=np.zeros((70_000, 1, 3), np.uint8)))
    sink.write(make_result(4, shown=BLACK))
    assert written(tmp_path) == ["all/4.jpeg"]


# --- video


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    shown = []
    while (frame := capture.read())[0]:
        shown.append(frame[1])
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return shown, fps


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_video_has_every_frame_in_order(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    check_video_path(path)
    sink = VideoSink(path, 12.0)
    for number in (2, 1, 3, 6, 5, 4):
        sink.write(make_result(number, shown=picture(number * 30, (64, 80, 3))))
    sink.close()
    shown, fps = frames_of(path)
    assert [round(frame.mean() / 30) for frame in shown] == [1, 2, 3, 4, 5, 6]
    assert fps == pytest.approx(12.0)


def test_frames_of_other_sizes_get_the_first_ones(tmp_path):
    sink = VideoSink(tmp_path / "out.avi", 0.0)
    for number, shape in enumerate([(64, 80, 3), (32, 200, 3), (480, 640, 3), (1, 1, 3)], start=1):
        sink.write(make_result(number, shown=picture(60, shape)))
    sink.close()
    shown, fps = frames_of(tmp_path / "out.avi")
    assert [frame.shape for frame in shown] == [(64, 80, 3)] * 4
    assert fps == pytest.approx(25.0)


def test_final_boxes_are_in_the_video(tmp_path):
    sink = VideoSink(tmp_path / "out.avi", 10.0)
    sink.write(make_result(1, shown=BLACK, edge=[EDGE_BOX]))
    sink.write(make_result(2, shown=BLACK))
    sink.close()
    with_box, without = frames_of(tmp_path / "out.avi")[0]
    assert int(with_box[35, 10].max()) > 100
    assert int(without.max()) < 60


def test_a_missing_frame_delays_a_bounded_number(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(video_module, "MAX_HELD", 3)
    sink = VideoSink(tmp_path / "out.avi", 10.0)
    for number in (1, 3, 4, 5, 6, 2, 7, 9):  # 2 comes when four wait for it, 8 never
        sink.write(make_result(number, shown=picture(number * 20, (64, 80, 3))))
    sink.close()
    assert [round(frame.mean() / 20) for frame in frames_of(tmp_path / "out.avi")[0]] == [1, 3, 4, 5, 6, 7, 9]
    assert "1 frames came too late for the video" in caplog.text


@pytest.mark.parametrize(
    ("size", "held"),
    [((480, 640, 3), MAX_HELD), ((1080, 1920, 3), 43), ((2160, 3840, 3), 10), ((20_000, 20_000, 3), 1)],
)
def test_what_is_kept_back_is_bounded_in_bytes(size, held):
    assert frames_held(math.prod(size)) == held


def test_a_video_that_cannot_be_written_is_an_oserror_each_time(tmp_path):
    sink = VideoSink(tmp_path / "gone" / "out.mp4", 10.0)
    for number in (1, 2):
        with pytest.raises(OSError, match="cannot write the video"):
            sink.write(make_result(number))
    sink.close()


def test_a_video_without_frames_leaves_no_file(tmp_path):
    check_video_path(tmp_path / "out.mp4")
    VideoSink(tmp_path / "out.mp4", 10.0).close()
    assert written(tmp_path) == []


def test_checking_a_path_keeps_an_older_video(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"an older one")
    check_video_path(tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"an older one"


def test_a_path_that_is_no_video(tmp_path):
    with pytest.raises(SettingsError, match=r"ends in \.mp4 or \.avi"):
        check_video_path(tmp_path / "out.txt")
