"""Single frames of a clip, and a clip of a live source."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from sedna_py.errors import SourceError
from tests.workers.edge.fakes import FakeSource, picture, until
from workers.edge.clips import pictures, record


class Camera(FakeSource):
    """Gives a frame a millisecond until it is closed, but five at least, or none if it has broken off."""

    def __init__(self, broken: bool = False) -> None:
        super().__init__(live=True)
        self._broken = broken

    def __iter__(self):
        given = 0
        while not (self.closed.wait(0.001) and (self._broken or given >= 5)):
            if not self._broken:
                given += 1
                yield picture(90, (48, 64, 3))


def test_a_recording_ends_and_can_be_read(tmp_path):
    camera = Camera()
    path = record(camera, 0.2, tmp_path / "new" / "clip.mp4")
    assert camera.closed.is_set()
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) >= 5
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    capture.release()


def test_a_stream_that_gives_nothing_does_not_record_for_ever(tmp_path):
    before = set(threading.enumerate())
    with pytest.raises(SourceError, match=r"fake gave no frame within 0\.05 s"):
        record(Camera(broken=True), 0.05, tmp_path / "clip.mp4")
    until(lambda: set(threading.enumerate()) <= before, "the timer to end")
    assert not (tmp_path / "clip.mp4").exists()


def test_chosen_pictures_of_a_folder(tmp_path):
    for number in range(1, 6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(number * 40, (48, 64, 3)))
    found = pictures(str(tmp_path), [2, 5, 99])
    shown = {n: cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).mean() for n, jpeg in found.items()}
    assert shown == pytest.approx({2: 80, 5: 200}, abs=2)
