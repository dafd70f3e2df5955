"""Files, folders, cameras and addresses that cannot be opened."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sedna_py.errors import SourceError
from tests.workers.edge.fakes import number_of, picture
from workers.edge.sources import LiveStream, PictureFolder, VideoFile, local_path, open_source
from workers.edge.sources.capture import MAX_FPS, fps_of


def write_video(path, count=5, size=(64, 48), fps=10.0):
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    for number in range(count):
        writer.write(picture(number * 20, (size[1], size[0], 3)))
    writer.release()
    return path


def numbers(source):
    """Return what is written in the pictures, as far as a lossy codec keeps it."""
    return [round(float(shown.mean()) / 20) for shown in source]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_video_file_is_read_whole_and_again(tmp_path, suffix):
    source = open_source(str(write_video(tmp_path / f"clip{suffix}")))
    assert isinstance(source, VideoFile)
    assert (source.name, source.live, source.fps, source.frames) == (f"clip{suffix}", False, 10.0, 5)
    assert numbers(source) == [0, 1, 2, 3, 4]
    assert numbers(source) == [0, 1, 2, 3, 4]
    source.close()


def test_a_video_that_vanished_cannot_be_repeated(tmp_path):
    path = write_video(tmp_path / "clip.avi")
    source = open_source(str(path))
    assert len(numbers(source)) == 5
    path.unlink()
    with pytest.raises(SourceError, match=r"no frame of .*clip\.avi"):
        numbers(source)


def test_a_video_without_a_whole_frame_says_so(tmp_path):
    whole = write_video(tmp_path / "clip.avi").read_bytes()
    path = tmp_path / "torn.avi"
    path.write_bytes(whole[: whole.index(b"00dc") + 8])
    with pytest.raises(SourceError, match=r"torn\.avi"):
        numbers(open_source(str(path)))


def test_a_folder_is_read_in_the_order_of_names_and_only_its_pictures(tmp_path):
    for name, number in (("b.png", 2), ("a.PNG", 1), ("c.bmp", 3)):
        cv2.imwrite(str(tmp_path / name), picture(number))
    (tmp_path / "notes.txt").write_text("no picture")
    source = open_source(str(tmp_path))
    assert isinstance(source, PictureFolder)
    assert (source.name, source.live, source.frames, source.fps) == (tmp_path.name, False, 3, 0.0)
    assert [number_of(shown) for shown in source] == [1, 2, 3]
    assert [number_of(shown) for shown in source] == [1, 2, 3]


def test_pictures_of_different_sizes_and_kinds_all_become_bgr(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 20), np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((30, 40, 4), np.uint8))
    assert [shown.shape for shown in open_source(str(tmp_path))] == [(10, 20, 3), (30, 40, 3)]


def test_a_corrupt_picture_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), picture(1))
    (tmp_path / "2.png").write_bytes(b"\x89PNG but not really")
    shown = iter(open_source(str(tmp_path)))
    assert number_of(next(shown)) == 1
    with pytest.raises(SourceError, match=r"2\.png' is not a picture .* remove it or replace it"):
        next(shown)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none.mp4", "no video at"),
        (lambda p: p, "holds no picture"),
        (lambda p: text_file(p / "text.mp4"), "not a video that OpenCV can read"),
        (lambda p: text_file(p / "empty.mp4", ""), "not a video that OpenCV can read"),
        (lambda p: p / ("x" * 300), "File name too long"),
        (lambda p: text_file(p / "plain.txt") / "below.mp4", "no video at"),
    ],
)
def test_paths_that_are_no_source(tmp_path, make, message):
    with pytest.raises(SourceError, match=message) as raised:
        open_source(str(make(tmp_path)))
    assert "\n" not in str(raised.value)


def text_file(path, text="hello\n" * 50):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("video_url", "message"),
    [
        ("99", "camera 99 cannot be opened"),
        ("rtsp://admin:s3cret@127.0.0.1:9/stream", r"rtsp://\*\*\*@127.0.0.1:9/stream cannot be opened"),
        ("http://admin:s3cret@127.0.0.1:9/x.mjpg", r"http://\*\*\*@127.0.0.1:9/x.mjpg cannot be opened"),
        ("HTTP://admin:s3cret@127.0.0.1:9/x.mjpg", "cannot be opened"),
        ("gopher://admin:s3cret@host/x", "unknown scheme 'gopher'; write a path, rtsp"),
        ("rtsp://admin:s3cret@[::1/x", "is no address: Invalid IPv6 URL"),
        ("²", "no video at"),
    ],
)
def test_addresses_that_are_no_source(video_url, message, capfd, caplog):
    with pytest.raises(SourceError, match=message) as raised:
        open_source(video_url)
    printed = capfd.readouterr()
    assert "s3cret" not in str(raised.value) + printed.err + printed.out + caplog.text
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("video_url", "path"),
    [
        ("/data/a.mp4", "/data/a.mp4"),
        ("a.mp4", "a.mp4"),
        ("file:///data/a.mp4", "/data/a.mp4"),
        ("file://video/a.mp4", "/video/a.mp4"),  # upstream's own example
        ("file:a.mp4", "a.mp4"),
        ("file:/data/a.mp4", "/data/a.mp4"),
    ],
)
def test_what_path_an_address_means(video_url, path):
    assert str(local_path(video_url)) == path


def test_a_file_address_is_opened(tmp_path):
    write_video(tmp_path / "clip.avi")
    assert open_source(f"file:/{tmp_path}/clip.avi").frames == 5


@pytest.mark.parametrize(
    ("reported", "fps"),
    [(25.0, 25.0), (MAX_FPS, MAX_FPS), (0.0, 0.0), (-1.0, 0.0), (90000.0, 0.0), (float("nan"), 0.0)],
)
def test_a_rate_that_cannot_be_is_unknown(reported, fps):
    class Capture:
        def get(self, _: int) -> float:
            return reported

    assert fps_of(Capture()) == fps


def test_a_live_streams_name_has_no_password(monkeypatch):
    class Capture:
        def get(self, _: int) -> float:
            return 25.0

        def release(self) -> None: ...

    monkeypatch.setattr("workers.edge.sources.capture.open_capture", lambda _: Capture())
    assert LiveStream("rtsp://admin:s3cret@host:554/x").name == "rtsp://***@host:554/x"
    assert LiveStream(0).name == "camera 0"
